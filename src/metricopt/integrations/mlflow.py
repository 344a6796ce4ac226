"""MLflow as a watcher of `optimize`."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, final

from .._errors import ConfigError
from .._extras import require
from .sink import Log, Sink

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric

#: Numbers are sent together, after this many seconds or when there are this many: each message may cross a network.
_SECONDS = 2.0
_AT_ONCE = 500
#: The most parameters that MLflow takes in one message.
_PARAMS = 100


@final
class MLflowSink(Sink):
    """Write the events of `optimize(..., watch=MLflowSink())` to an MLflow run.

    Parameters `metricopt/<setting>`; metrics `metricopt/<stage>/value` and `/best` with the number of the metric call
    as step; at the end `metricopt/before`, `after`, `gain_low`, `gain_high` and `accepted` (0 or 1), and the reason as
    the tag `metricopt/verdict`.

    Where the caller has a run open (`with mlflow.start_run():`), or names one, it is written to and stays open; a
    further run of the same sink then has the prefix `metricopt/2`, and so on. Otherwise each run gets an MLflow run
    of its own, which ends as FINISHED, or as FAILED where it broke off.

    Args:
        experiment: name of the experiment of a new run; made if there is none.
        run_name: of a new run.
        run_id: an existing run to write to.
        tracking_uri: where MLflow keeps its runs; by default what MLflow itself is set to.

    Raises:
        ConfigError: both an existing run and the name of a new one are given.
        MissingExtra: mlflow is not installed.
    """

    def __init__(
        self,
        *,
        experiment: str | None = None,
        run_name: str | None = None,
        run_id: str | None = None,
        tracking_uri: str | None = None,
    ) -> None:
        super().__init__()
        if run_id is not None and (experiment is not None or run_name is not None):
            raise ConfigError(
                f"run_id={run_id!r} names a run that exists; leave out experiment= and run_name=, which are of a new "
                f"one"
            )
        self._mlflow: Any = require("mlflow", extra="mlflow", purpose="MLflowSink")
        self.experiment = experiment
        self.run_name = run_name
        self.run_id = run_id
        self.tracking_uri = tracking_uri

    def _open(self, number: int) -> Log:
        client = self._mlflow.MlflowClient(tracking_uri=self.tracking_uri)
        existing = self.run_id if self.run_id is not None else self._active()
        if existing is not None:
            return _Run(client, existing, ours=False, prefix="metricopt" if number == 1 else f"metricopt/{number}")
        name = "metricopt" if self.experiment is None else self.experiment
        known = client.get_experiment_by_name(name)
        where = client.create_experiment(name) if known is None else known.experiment_id
        run = client.create_run(where, run_name=self.run_name)
        return _Run(client, run.info.run_id, ours=True, prefix="metricopt")

    def _active(self) -> str | None:
        """The run that the caller has open, if nothing was said that would lead elsewhere."""
        if (self.experiment, self.run_name, self.tracking_uri) != (None, None, None):
            return None
        active = self._mlflow.active_run()
        return None if active is None else str(active.info.run_id)


class _Run(Log):
    """An MLflow run; `ours` if it is to be ended, too."""

    def __init__(self, client: MlflowClient, run_id: str, *, ours: bool, prefix: str) -> None:
        super().__init__(prefix)
        self._client = client
        self._run_id = run_id
        self._ours = ours
        self._waiting: list[Metric] = []
        self._sent = time.monotonic()

    def settings(self, values: Mapping[str, str | int | float | bool]) -> None:
        from mlflow.entities import Param

        params = [Param(name, str(value)) for name, value in values.items()]
        for start in range(0, len(params), _PARAMS):
            self._client.log_batch(self._run_id, params=params[start : start + _PARAMS])

    def scalar(self, name: str, value: float, step: int) -> None:
        from mlflow.entities import Metric

        self._waiting.append(Metric(name, value, int(time.time() * 1000), step))
        if len(self._waiting) >= _AT_ONCE or time.monotonic() - self._sent > _SECONDS:
            self._send()

    def text(self, name: str, text: str, step: int) -> None:
        self._client.set_tag(self._run_id, name, text)

    def finish(self, *, done: bool) -> None:
        try:
            self._send()
        finally:
            if self._ours:
                self._client.set_terminated(self._run_id, "FINISHED" if done else "FAILED")

    def _send(self) -> None:
        waiting, self._waiting = self._waiting, []
        self._sent = time.monotonic()
        if waiting:
            self._client.log_batch(self._run_id, metrics=waiting)
