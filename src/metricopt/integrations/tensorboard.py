"""TensorBoard as a watcher of `optimize`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, final

from .._extras import require
from .sink import VERDICT, Log, Sink


@final
class TensorBoardSink(Sink):
    """Write the events of `optimize(..., watch=TensorBoardSink(log_dir))` for TensorBoard.

    Scalars `metricopt/<stage>/value` and `/best` against the number of the metric call; the settings as
    hyperparameters; at the end `metricopt/before`, `after`, `gain_low`, `gain_high` and `accepted` (0 or 1), and the
    reason as a text.

    Args:
        log_dir: a folder for one run. Further runs of the same sink go to its sub-folders `2`, `3`, and so on.

    Raises:
        MissingExtra: tensorboard is not installed.

    >>> import tempfile
    >>> from metricopt.job import Began, Checked, Observed
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     sink = TensorBoardSink(folder)
    ...     sink(Began(total_calls=1, metric="f1", higher_is_better=True))
    ...     sink(Observed(stage="threshold", call=1, value=0.5, best=0.5, seconds=0.1))
    ...     sink(Checked(before=0.5, after=0.6, low=0.02, high=0.18, accepted=True, reason="Better."))
    ...     len(list(Path(folder).glob("events.*")))
    1
    """

    def __init__(self, log_dir: str | os.PathLike[str]) -> None:
        super().__init__()
        require("tensorboard", extra="tensorboard", purpose="TensorBoardSink")
        self.log_dir = Path(log_dir)

    def _open(self, number: int) -> Log:
        return _Events(self.log_dir if number == 1 else self.log_dir / str(number))


class _Events(Log):
    """An event file."""

    def __init__(self, folder: Path) -> None:
        super().__init__("metricopt")
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(folder))
        self._file: Any = self._writer.file_writer

    def settings(self, values: Mapping[str, str | int | float | bool]) -> None:
        from torch.utils.tensorboard.summary import hparams

        # The writer's own add_hparams would open a second file, and could say only at the end what was set.
        experiment, begin, self._end = hparams(dict(values), {f"{self.prefix}/{name}": 0.0 for name in VERDICT})
        self._file.add_summary(experiment)
        self._file.add_summary(begin)
        self._writer.flush()

    def scalar(self, name: str, value: float, step: int) -> None:
        self._writer.add_scalar(name, value, step)

    def text(self, name: str, text: str, step: int) -> None:
        self._writer.add_text(name, text, step)

    def finish(self, *, done: bool) -> None:
        if done:
            self._file.add_summary(self._end)
        self._writer.close()
