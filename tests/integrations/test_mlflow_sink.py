"""What `MLflowSink` writes, read back by MLflow's own client from a local store."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from metricopt import Outcome
from metricopt._errors import ConfigError
from metricopt.integrations.mlflow import MLflowSink
from metricopt.job import Began, Checked, Event, Observed

pytest.importorskip("mlflow")


@pytest.fixture
def uri(tmp_path: Path) -> str:
    return (tmp_path / "store").as_uri()


@pytest.fixture
def client(uri: str) -> Any:
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=uri)


@pytest.fixture
def open_run(uri: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A run that the caller has open, as in a training script."""
    import mlflow

    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    with mlflow.start_run() as run:
        yield run


def runs(client: Any, experiment: str = "metricopt") -> list[Any]:
    found = client.get_experiment_by_name(experiment)
    return list(client.search_runs([found.experiment_id]))


def play(sink: MLflowSink, values: list[float]) -> None:
    sink(Began(total_calls=None, metric="f1", higher_is_better=True, settings={"seed": len(values)}))
    for call, value in enumerate(values, start=1):
        sink(Observed(stage="a", call=call, value=value, best=value, seconds=0.0))
    sink(Checked(before=0.5, after=0.75, low=0.125, high=0.375, accepted=True, reason="Better."))


def history(client: Any, run: Any, name: str) -> list[tuple[int, float]]:
    return [(metric.step, metric.value) for metric in client.get_metric_history(run.info.run_id, name)]


def test_a_run_of_its_own_holds_settings_observations_and_verdict(
    uri: str, client: Any, optimise: Callable[..., Outcome]
) -> None:
    outcome = optimise(MLflowSink(experiment="tuning", run_name="first", tracking_uri=uri), seed=3)
    (run,) = runs(client, "tuning")
    assert (run.info.run_name, run.info.status) == ("first", "FINISHED")
    assert run.data.params["metricopt/metric"] == "f1"
    assert run.data.params["metricopt/seed"] == "3"
    assert run.data.tags["metricopt/verdict"] == outcome.reason
    assert outcome.interval is not None
    told = {name: run.data.metrics[f"metricopt/{name}"] for name in ("before", "after", "gain_low", "gain_high")}
    assert told == dict(zip(told, (outcome.before, outcome.after, *outcome.interval), strict=True))
    assert run.data.metrics["metricopt/accepted"] == float(outcome.accepted)
    seen = [one for one in outcome.history if one.stage == "threshold"]
    assert history(client, run, "metricopt/threshold/value") == [(one.call, one.value) for one in seen]
    assert history(client, run, "metricopt/threshold/best") == [(one.call, one.best) for one in seen]


def test_more_observations_than_one_message_takes(uri: str, client: Any) -> None:
    values = [call / 2000 for call in range(1200)]
    play(MLflowSink(tracking_uri=uri), values)
    (run,) = runs(client)
    assert history(client, run, "metricopt/a/best") == list(enumerate(values, start=1))


def test_a_run_that_breaks_off_has_failed_and_keeps_its_numbers(
    uri: str, client: Any, optimise: Callable[..., Outcome]
) -> None:
    def stop(event: Event) -> None:
        if isinstance(event, Observed) and event.call == 5:
            raise RuntimeError("enough")

    sink = MLflowSink(tracking_uri=uri)
    with pytest.raises(RuntimeError, match="enough"):
        optimise([sink, stop])  # optimize closes it: nobody else does, and the sink is still held here
    (run,) = runs(client)
    assert run.info.status == "FAILED"
    assert len(history(client, run, "metricopt/metricopt/value")) == 5


def test_the_run_that_the_caller_has_open_is_used_and_stays_open(client: Any, open_run: Any) -> None:
    sink = MLflowSink()
    play(sink, [0.25])
    play(sink, [0.25, 0.5])
    run = client.get_run(open_run.info.run_id)
    assert run.info.status == "RUNNING"
    assert run.data.params["metricopt/seed"] == "1"
    assert run.data.params["metricopt/2/seed"] == "2"
    assert run.data.metrics["metricopt/a/value"] == 0.25
    assert run.data.metrics["metricopt/2/a/value"] == 0.5
    assert client.get_experiment_by_name("metricopt") is None


def test_a_named_experiment_is_used_although_a_run_is_open(client: Any, open_run: Any) -> None:
    play(MLflowSink(experiment="elsewhere"), [0.25])
    assert "metricopt/a/value" not in client.get_run(open_run.info.run_id).data.metrics
    assert len(runs(client, "elsewhere")) == 1


def test_a_run_is_named_by_its_id_or_made_not_both() -> None:
    with pytest.raises(ConfigError, match=r"run_id='7' names a run that exists; leave out experiment="):
        MLflowSink(run_id="7", experiment="x")
