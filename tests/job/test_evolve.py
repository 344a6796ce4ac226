"""`metricopt.evolve` from end to end: what it returns, keeps, resumes, and what it refuses."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import metricopt
from metricopt import Evolved, SymbolicLoss, evolve
from metricopt._errors import CheckpointError, ConfigError, MetricError
from metricopt._random import generator
from metricopt.losses import LOSSES, for_metric, get_loss

SOURCE = generator("evolve job")
X = torch.randn(400, 4, generator=SOURCE)
Y = (X[:, 0] + 0.5 * X[:, 1] + 0.7 * torch.randn(400, generator=SOURCE) > 0.8).float()
TRAIN, VAL = (X[:200], Y[:200]), (X[200:], Y[200:])


def net(outputs: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, outputs))


def run(**change):
    given = {"metric": "f1", "train": TRAIN, "val": VAL, "preset": "smoke", "quiet": True} | change
    return evolve(given.pop("model", net()), **given)


def figures(found: Evolved) -> dict[str, object]:
    """All but the time."""
    data = json.loads(found.report_data.to_json()) | {"seconds": 0}
    return {"loss": found.best.loss.to_plain(), "data": data, "calls": found.calls, "after": found.after}


def test_the_result_is_a_loss_a_network_and_what_was_found_out():
    model = net()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    found = run(model=model)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    loss = found.best.as_loss()
    assert loss.formula.is_loss and str(loss.formula) in repr(loss) and found.metric == "f1"
    assert found.model(X).shape == (400, 1) and not found.model.training
    assert found.interval is not None and found.accepted == (found.interval[0] > 0)
    assert found.calls > 10 and "in short" in found.summary() and "metric calls" in str(found)
    assert found._repr_html_().startswith("<pre>") and "f(x)" in found._repr_html_()
    assert [one.size for one in found.front] == sorted(one.size for one in found.front)


def test_the_same_seed_gives_the_same_result_and_the_folder_holds_it(tmp_path):
    first, again = run(run=tmp_path / "a"), run()
    assert figures(first) == figures(again) != figures(run(seed=1))
    loaded = Evolved.load(tmp_path / "a", net())
    assert figures(loaded) == figures(first) and loaded.summary() == first.summary()
    torch.testing.assert_close(loaded.model(X), first.model(X))
    finished = run(run=tmp_path / "a", model=net())  # other values of the weights: they do not count
    assert finished.seconds == first.seconds
    assert (tmp_path / "a" / "loss.json").stat().st_size < 900
    with pytest.raises(ConfigError, match="holds another run"):
        run(run=tmp_path / "a", metric="mcr")
    with pytest.raises(ConfigError, match="loaded without its network"):
        _ = Evolved.load(tmp_path / "a").model


def test_a_run_that_is_killed_goes_on_to_the_same_result(tmp_path):
    script = tmp_path / "job.py"
    script.write_text(
        "import sys; sys.path.insert(0, sys.argv[2])\n"
        "import torch; torch.set_num_threads(1)\n"
        "from test_evolve import run\n"
        "run(run=sys.argv[1])\n"
    )
    folder = tmp_path / "killed"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen([sys.executable, str(script), str(folder), str(Path(__file__).parent)], env=environment)
    for _ in range(1200):
        if (folder / "search.json").exists() or process.poll() is not None:
            break
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert (folder / "search.json").exists()
    assert figures(run(run=folder)) == figures(run())


def test_a_changed_file_is_refused(tmp_path):
    run(run=tmp_path / "a")
    for name in ("loss.json", "report_data.json", "evolved.json", "model.safetensors"):
        file = tmp_path / "a" / name
        kept = file.read_bytes()
        file.write_bytes(kept.replace(b"e", b"x", 1))
        with pytest.raises(CheckpointError):
            Evolved.load(tmp_path / "a", net())
        file.unlink()
        with pytest.raises(CheckpointError):
            Evolved.load(tmp_path / "a", net())
        file.write_bytes(kept)
    search = tmp_path / "a" / "search.json"
    (tmp_path / "a" / "evolved.json").unlink()
    search.write_bytes(search.read_bytes()[:-20])
    with pytest.raises(CheckpointError):
        run(run=tmp_path / "a")


def test_an_evolved_loss_trains_guides_and_joins_the_catalogue(tmp_path):
    loss = SymbolicLoss("square(y - f(x)) * (2 * y + 1)", "binary", name="evolved_in_test", metric="f1")
    loss.save(tmp_path / "loss.json")
    model = net()
    optimizer = torch.optim.Adam(model.parameters(), 0.02)
    for _ in range(150):
        optimizer.zero_grad()
        loss(model(X[:200]), Y[:200]).backward()
        optimizer.step()
    assert float(((model(X[200:])[:, 0] > 0) == (Y[200:] > 0)).float().mean()) > 0.75
    for way in (loss, str(tmp_path / "loss.json")):
        outcome = metricopt.optimize(
            model, metric="f1", train=TRAIN, val=VAL, loss=way, budget=70, method="loss_finetune", quiet=True
        )
        assert outcome.calls <= 70
    LOSSES.add(loss.entry())
    try:
        assert get_loss("evolved_in_test")(torch.zeros(2), torch.tensor([0, 1])) == loss(
            torch.zeros(2), torch.tensor([0, 1])
        )
        assert "evolved_in_test" in [entry.card.name for entry in for_metric("f1")]
    finally:
        LOSSES._own.pop("evolved_in_test")
        LOSSES._modules._items.pop("evolved_in_test")


def test_numbers_classes_and_labels():
    numbers = X @ torch.tensor([1.0, -1.0, 0.5, 0.0])
    found = run(train=(X[:200], numbers[:200]), val=(X[200:], numbers[200:]), metric="mae", bounds=(0, 10))
    assert found.best.loss.outputs == "values" and found.report_data.loss_search.plain == "mse"
    classes = (X[:, :3].argmax(1)).long()
    found = run(model=net(3), train=(X[:200], classes[:200]), val=(X[200:], classes[200:]), metric="mcr")
    assert found.best.loss.outputs == "multiclass" and found.report_data.confusion is not None
    labels = (X[:, :2] > 0.3).float()
    found = run(model=net(2), train=(X[:200], labels[:200]), val=(X[200:], labels[200:]), outputs="multilabel")
    assert found.best.loss.outputs == "multilabel"


def test_a_metric_of_ones_own_is_a_black_box_and_its_calls_are_counted():
    calls = []

    def profit(labels, targets):
        calls.append(1)
        return float(((labels == 1) & (targets == 1)).sum()) / len(targets)

    found = run(metric=profit, higher_is_better=True, reads="labels", settings=metricopt.evolution.PRESETS["smoke"])
    assert found.calls == len(calls)


def test_workers_change_nothing():
    assert figures(run(executor="processes", workers=2)) == figures(run())


def test_without_an_acceptance_test_the_figures_say_so():
    found = run(acceptance=None)
    assert found.interval is None and not found.report_data.verified


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"preset": "tiny"}, "no preset of the search for losses named 'tiny'"),
        ({"rate": -1.0}, "rate must be"),
        ({"loss": "crossentropy"}, "did you mean 'cross_entropy'"),
        ({"objective": "nothing at all"}, "no loss named"),
        ({"model": nn.LSTM(4, 1)}, "the model must return|returns"),
        ({"model": 3}, "model must be"),
        ({"outputs": "embeddings", "model": net(5), "val": (X[200:], Y[200:].long())}, "formulas speak of"),
        ({"metric": lambda model: 0.5, "reads": "model", "higher_is_better": True}, "reads the whole model"),
        ({"metric": lambda scores, targets, group: 0.5, "higher_is_better": True}, "takes a third argument"),
        ({"train": (X[:200], Y[:200] * float("nan"))}, "hold NaN"),
        ({"executor": "cloud"}, "executor must be"),
        ({"executor": "threads"}, "threads would train on one and the same network"),
    ],
)
def test_what_cannot_work_is_refused_in_words(change, told):
    with pytest.raises(ConfigError, match=told):
        run(**change)


def test_a_metric_that_raises_ends_the_call():
    def broken(labels, targets):
        raise ValueError("the server is down")

    with pytest.raises(MetricError, match="the server is down"):
        run(metric=broken, higher_is_better=True, reads="labels")


def test_arrays_are_taken_too():
    found = run(train=(X[:200].numpy(), Y[:200].numpy()), val=(X[200:].numpy().astype(np.float64), Y[200:].numpy()))
    assert found.calls > 10
