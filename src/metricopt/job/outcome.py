"""What `optimize` returns, and its folder: weights in safetensors, figures in JSON, the report. No pickles."""

from __future__ import annotations

import copy
import html
import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from .._errors import CheckpointError, ConfigError
from .._typed import from_plain
from ..profiles import Profile
from ..report import ReportData, Term
from ..runtime import (
    check_template,
    read_tensors,
    read_whole,
    strict_object,
    write_atomically,
    write_tensors,
)
from ..value import LearnedLoss, LearnedValue, Reading, read_metric
from .events import Observed
from .figures import Figures, read_report_data
from .stages import Candidate
from .terms import told as limits_told


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The result of one call of `optimize`.

    Args:
        architecture: the model; read it as `.model`. None where a saved outcome was loaded without one.
        accepted: whether `.model` is a changed one. If not, it is the very model that was given.
        reason: why, in one sentence.
        before, after: the metric of the given and of the proposed model, on examples that the search never saw; where
            the proposal was refused, `.model` is still worth `before`.
        interval: (low, high) of the gain, positive is better, in units of the metric; None where nothing was tested.
        expected_gain: the gain to expect on fresh examples, in units of the metric: the measured one, corrected for
            having been accepted. One only hears of gains that passed the test, so those near its border were lucky.
        confidence: of the interval.
        calls, seconds: spent in all; calls include those of the acceptance test.
        phi: `(d,)`, the proposal; zeros where there was none.
        metric: its name. higher_is_better: its direction.
        candidates: what each stage proposed. history: every rating on the search part, in order.
        value: the learned value function with its observations, if one was learned.
        report_data: all that the report shows.
    """

    architecture: nn.Module | None = field(repr=False)
    accepted: bool
    reason: str
    before: float
    after: float
    interval: tuple[float, float] | None
    expected_gain: float = 0.0
    confidence: float
    calls: int
    seconds: float
    phi: Tensor = field(repr=False)
    metric: str
    higher_is_better: bool
    candidates: tuple[Candidate, ...] = field(default=(), repr=False)
    history: tuple[Observed, ...] = field(default=(), repr=False)
    value: LearnedValue | None = field(default=None, repr=False)
    report_data: ReportData = field(repr=False)

    @property
    def model(self) -> nn.Module:
        """The same architecture with folded weights if the change was accepted, else the model that was given."""
        if self.architecture is None:
            raise ConfigError(
                "this outcome was loaded without its model: weights are saved, code is not. "
                "Load it as metricopt.load(folder, model=...), with a model of the same architecture"
            )
        return self.architecture

    @property
    def observations(self) -> tuple[Tensor, Tensor]:
        """All that was rated on the search part: phis `(m, d)`, and their utilities `(m,)` in [0, 1], 1 is best.

        A saved outcome has none.
        """
        results = [one.result for one in self.candidates]
        if not results:
            return torch.zeros(0, len(self.phi)), torch.zeros(0, dtype=torch.float64)
        return torch.cat([one.phis for one in results]), torch.cat([one.utilities for one in results])

    def __str__(self) -> str:
        return self.summary()

    def _repr_html_(self) -> str:
        """What a notebook shows: the summary."""
        return f"<pre>{html.escape(self.summary())}</pre>"

    def summary(self) -> str:
        """Two or three lines for a terminal: the figures, why, and what the metric turned out to reward."""
        sign = "accepted" if self.accepted else "not accepted"
        figures = f"{self.metric}: {self.before:.4f} -> {self.after:.4f}"
        if not self.accepted and self.after != self.before:
            figures += " (refused)"
        if self.interval is not None:
            figures += f", gain {self.interval[0]:+.4f} to {self.interval[1]:+.4f} ({100 * self.confidence:g} %)"
            if self.accepted:
                figures += f", expect {self.expected_gain:+.4f}"
        told = f"{figures}; {sign}\n{self.reason} {self.calls} metric calls, {self.seconds:.1f} s."
        reading = self.reading
        lines = [told, limits_told(self.terms, "acceptance rows" if self.interval is not None else "search rows")]
        if reading is not None and reading.parts:
            lines.append(f"The metric rewards {reading}.")
        return "\n".join(filter(None, lines))

    @property
    def terms(self) -> tuple[Term, ...]:
        """Of a constrained metric the objective and each limit, on the rows of `before` and `after`; none of others."""
        return self.report_data.terms

    @property
    def feasible(self) -> bool:
        """Whether the model that comes back keeps all limits of a constrained metric on the acceptance rows."""
        return all((one.kept if self.accepted else one.kept_before) is not False for one in self.terms)

    @property
    def reading(self) -> Reading | None:
        """What the metric turned out to reward; None where no value function was learned."""
        return None if self.value is None else read_metric(self.value)

    def learned_loss(self, profile: Profile | None = None) -> LearnedLoss:
        """What the metric turned out to reward as an ordinary loss, `(outputs, targets) -> scalar`, for any model.

        Args:
            profile: where the value function reads one with columns of your own.

        Raises:
            ConfigError: no value function was learned.
        """
        if self.value is None:
            raise ConfigError("no value function was learned in this run; the methods that learn one are metricopt*")
        return LearnedLoss(self.value, profile)

    def report(self, path: str | os.PathLike[str]) -> Path:
        """Write the report, one HTML file that opens anywhere."""
        from ..report import write  # the template engine is loaded when the first report is written

        return write(self.report_data, path)

    def save(self, folder: str | os.PathLike[str]) -> Path:
        """Write weights, figures, value function, report_data and report to `folder`; `metricopt.load` reads them.

        Raises:
            WriteFailed: the folder cannot be written.
        """
        return save(self, folder)


_WEIGHTS, _FIGURES, _DATA, _REPORT, _VALUE = (
    "model.safetensors",
    "outcome.json",
    "report_data.json",
    "report.html",
    "value",
)
_ROWS = "rows.jsonl"
_KIND, _VERSION = "optimized model", 1
#: What the figures answer for: other files of these names, from another outcome, are refused.
_SEALED = (_WEIGHTS, _ROWS, _DATA)


def save(outcome: Outcome, folder: str | os.PathLike[str]) -> Path:
    """Write every file atomically, the figures last: they hold digests of the rest, so a folder that loads is whole.

    Raises: WriteFailed, the folder cannot be written.
    """
    path = Path(folder)
    save_weights(outcome.model, outcome.phi, path / _WEIGHTS, accepted=outcome.accepted)
    if outcome.value is not None:
        outcome.value.save(path / _VALUE)
    rows = "".join(json.dumps(asdict(row), allow_nan=False) + "\n" for row in outcome.history)
    write_atomically(path / _ROWS, rows.encode())
    write_atomically(path / _DATA, outcome.report_data.to_json().encode())
    outcome.report(path / _REPORT)
    Figures.write(outcome, path / _FIGURES, kind=_KIND, value=outcome.value is not None, files=_SEALED)
    return path


def save_weights(model: nn.Module, phi: Tensor, path: Path, *, accepted: bool) -> None:
    """The state of a model and the phi that it was made by, as safetensors."""
    state = {name: value for name, value in model.state_dict().items() if isinstance(value, Tensor)}
    settings = {"architecture": type(model).__name__, "accepted": accepted}
    write_tensors(path, state | {_PHI: phi}, kind=_KIND, version=_VERSION, settings=settings)


def load(folder: str | os.PathLike[str], model: nn.Module | None = None) -> Outcome:
    """Read what `Outcome.save` or a run folder holds.

    Args:
        folder: the folder.
        model: a model of the same architecture; the saved weights are loaded into a copy of it. Without one,
            everything but `.model` is there.

    Raises:
        CheckpointError: a file is missing, damaged or not what its name says, or the weights do not fit `model`.
    """
    if not isinstance(model, nn.Module | None):
        raise ConfigError(f"model must be a torch.nn.Module or None, got a {type(model).__name__}")
    path = Path(folder)
    try:
        figures = Figures.read(path / _FIGURES, kind=_KIND, value=bool, files=_SEALED)
    except FileNotFoundError as error:
        raise CheckpointError(_why_absent(path / _FIGURES)) from error
    tensors, _ = read_tensors(path / _WEIGHTS, kind=_KIND, version=_VERSION)
    phi = tensors.pop(_PHI, None)
    if phi is None or phi.dim() != 1 or not phi.is_floating_point():
        raise CheckpointError(f"{path / _WEIGHTS} lacks the vector {_PHI!r}. Save the outcome again.")
    return Outcome(
        architecture=None if model is None else _filled(model, tensors, path / _WEIGHTS),
        phi=phi,
        value=LearnedValue.load(path / _VALUE) if figures.value else None,
        history=_history(path / _ROWS),
        report_data=read_report_data(path / _DATA),
        **figures.of_result(),
    )


def _filled(model: nn.Module, tensors: dict[str, Tensor], path: Path) -> nn.Module:
    """A copy of `model` with the saved weights, which may hold biases that it lacks: folding adds them."""
    twin = copy.deepcopy(model)
    for name in sorted(set(tensors) - set(twin.state_dict())):
        owner, _, leaf = name.rpartition(".")
        try:
            module = twin.get_submodule(owner)
        except AttributeError:
            continue
        fits = leaf in ("weight", "bias") and tensors[name].is_floating_point()
        if fits and getattr(module, leaf, 0) is None:
            setattr(module, leaf, nn.Parameter(torch.zeros_like(tensors[name])))
    check_template(path, tensors, {n: v for n, v in twin.state_dict().items() if isinstance(v, Tensor)})
    twin.load_state_dict(tensors)
    return twin


def _history(path: Path) -> tuple[Observed, ...]:
    return tuple(
        from_plain(Observed, strict_object(line, path), f"line of {path}") for line in read_whole(path).splitlines()
    )


def _why_absent(path: Path) -> str:
    folder = path.parent
    if not folder.is_dir():
        return f"there is no folder {str(folder)!r}; give one that a run or Outcome.save wrote"
    if (folder / "search" / path.name).is_file():
        return (
            f"{folder} is the run of a table: metricopt.load({str(folder / 'search')!r}) reads its outcome, "
            f"metricopt.apps.table.model.TableModel.load({str(folder / _WEIGHTS)!r}) the model with its columns"
        )
    return f"{folder} holds no finished outcome: there is no {path.name}. Run the same command again to finish it."


_PHI = "metricopt.phi"
