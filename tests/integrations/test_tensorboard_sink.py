"""What `TensorBoardSink` writes, read back by TensorBoard itself."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from metricopt import Outcome
from metricopt._errors import ConfigError
from metricopt.integrations.tensorboard import TensorBoardSink
from metricopt.job import Began, Event, Observed

pytest.importorskip("tensorboard")


def read(folder: Path) -> Any:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    return EventAccumulator(str(folder), size_guidance={"scalars": 0, "tensors": 0}).Reload()


def session(events: Any, tag: str) -> Any:
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    content = events.PluginTagToContent("hparams")
    return HParamsPluginData.FromString(content[f"_hparams_/{tag}"])


def scalars(events: Any, name: str) -> list[tuple[int, float]]:
    return [(event.step, event.value) for event in events.Scalars(name)]


def began() -> Began:
    return Began(total_calls=None, metric="f1", higher_is_better=True, settings={"seed": 3, "loss": None})


def test_every_observation_is_a_scalar_of_its_stage(tmp_path: Path, optimise: Callable[..., Outcome]) -> None:
    outcome = optimise(TensorBoardSink(tmp_path))
    events = read(tmp_path)
    assert len(outcome.history) > 20
    for stage in {seen.stage for seen in outcome.history}:
        mine = [seen for seen in outcome.history if seen.stage == stage]
        for name in ("value", "best"):
            expected = [(seen.call, pytest.approx(getattr(seen, name), rel=1e-6)) for seen in mine]
            assert scalars(events, f"metricopt/{stage}/{name}") == expected


def test_settings_and_verdict_are_there(tmp_path: Path, optimise: Callable[..., Outcome]) -> None:
    outcome = optimise(TensorBoardSink(tmp_path), seed=3)
    events = read(tmp_path)
    told = session(events, "session_start_info").session_start_info.hparams
    assert told["metricopt/metric"].string_value == "f1"
    assert told["metricopt/seed"].number_value == 3
    assert told["metricopt/higher_is_better"].number_value == 1
    assert session(events, "session_end_info").session_end_info.status == 1  # STATUS_SUCCESS
    assert outcome.interval is not None
    last = outcome.history[-1].call
    for name, value in {
        "before": outcome.before,
        "after": outcome.after,
        "gain_low": outcome.interval[0],
        "gain_high": outcome.interval[1],
        "accepted": float(outcome.accepted),
    }.items():
        assert scalars(events, f"metricopt/{name}") == [(last, pytest.approx(value, rel=1e-6))]
    (verdict,) = events.Tensors("metricopt/verdict/text_summary")
    assert verdict.tensor_proto.string_val == [outcome.reason.encode()]


def test_a_run_that_breaks_off_is_closed_and_readable(tmp_path: Path, optimise: Callable[..., Outcome]) -> None:
    def stop(event: Event) -> None:
        if isinstance(event, Observed) and event.call == 5:
            raise RuntimeError("enough")

    sink = TensorBoardSink(tmp_path)
    with pytest.raises(RuntimeError, match="enough"):
        optimise([sink, stop])  # optimize closes it: nobody else does, and the sink is still held here
    events = read(tmp_path)
    assert len(events.Scalars("metricopt/metricopt/value")) == 5
    assert "_hparams_/session_start_info" in events.PluginTagToContent("hparams")
    assert "_hparams_/session_end_info" not in events.PluginTagToContent("hparams")


def test_a_sink_that_nobody_holds_closes_its_file(tmp_path: Path) -> None:
    sink = TensorBoardSink(tmp_path)
    sink(began())
    sink(Observed(stage="a", call=1, value=0.25, best=0.5, seconds=0.0))
    gone = weakref.ref(sink)
    del sink
    gc.collect()
    assert gone() is None
    assert scalars(read(tmp_path), "metricopt/a/value") == [(1, 0.25)]


def test_each_run_of_one_sink_has_a_folder_of_its_own(tmp_path: Path) -> None:
    with TensorBoardSink(tmp_path) as sink:
        for value in (0.25, 0.5):
            sink(began())
            sink(Observed(stage="a", call=1, value=value, best=value, seconds=0.0))
    assert scalars(read(tmp_path), "metricopt/a/value") == [(1, 0.25)]
    assert scalars(read(tmp_path / "2"), "metricopt/a/value") == [(1, 0.5)]


def test_an_event_out_of_order_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="TensorBoardSink got Observed before Began"):
        TensorBoardSink(tmp_path)(Observed(stage="a", call=1, value=0.5, best=0.5, seconds=0.0))
