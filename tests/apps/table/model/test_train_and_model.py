"""The network for tables, its training, and the file that holds all of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn

from metricopt._errors import CheckpointError, ConfigError, DataError
from metricopt._random import generator
from metricopt.apps.table.model import (
    ClassLabels,
    Epoch,
    TableEncoder,
    TableModel,
    TableNet,
    TableRows,
    TableTraining,
    TargetScale,
    train_table_net,
)
from metricopt.apps.table.model.train import row_losses
from metricopt.runtime import read_tensors, write_tensors

QUICK = TableTraining(epochs=30, learning_rate=1e-2)


def net(outputs: int = 1, features: int = 3) -> nn.Sequential:
    return TableNet(features=features, outputs=outputs, hidden=(8,)).build(generator(0, "net"))


def problem(rows: int = 200, seed: int = 0, outputs: int = 1) -> TableRows:
    """Classes that the sign of a column, or the largest of three, decides."""
    x = torch.randn(rows, 3, generator=generator(seed, "x"))
    return TableRows(inputs=x, targets=(x[:, 0] > 0).long() if outputs == 1 else x.argmax(dim=1))


@pytest.mark.parametrize("outputs", [1, 3])
def test_classes_are_learned(outputs: int) -> None:
    network, new = net(outputs), problem(500, seed=1, outputs=outputs)
    train_table_net(network, problem(outputs=outputs), aim="classes", recipe=QUICK, seed=0)
    assert not network.training
    scores = network(new.inputs)
    found = (scores[:, 0] > 0).long() if outputs == 1 else scores.argmax(dim=1)
    assert float((found == new.targets).float().mean()) > 0.9


def test_numbers_are_learned() -> None:
    x = torch.randn(300, 3, generator=generator(0, "x"))
    rows = TableRows(inputs=x, targets=torch.tanh(x[:, 0]) - 0.5 * x[:, 1])
    network = net()
    train_table_net(network, rows, aim="numbers", recipe=QUICK, seed=0)
    with torch.no_grad():
        left = (network(x)[:, 0] - rows.targets).square().mean() / rows.targets.var()
    assert float(left) < 0.1


def weights_of(**options: object) -> Tensor:
    network = net()
    train_table_net(network, problem(), aim="classes", recipe=replace(QUICK, epochs=3), **options)  # type: ignore[arg-type]
    return torch.cat([p.flatten() for p in network.parameters()])


def test_the_same_seed_gives_the_same_weights_and_leaves_the_global_state_alone() -> None:
    before, threads = torch.random.get_rng_state(), torch.get_num_threads()
    first, again, other = weights_of(seed=0), weights_of(seed=0), weights_of(seed=1)
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert torch.equal(torch.random.get_rng_state(), before) and torch.get_num_threads() == threads


def test_training_stops_after_the_best_epoch_and_takes_its_weights() -> None:
    rows, held_out = problem(40), problem(100, seed=1)
    noisy = TableRows(
        inputs=rows.inputs, targets=torch.where(torch.arange(40) % 3 == 0, 1 - rows.targets, rows.targets)
    )
    network = net()
    recipe = TableTraining(epochs=300, learning_rate=3e-2, patience=10)
    epochs = train_table_net(network, noisy, aim="classes", held_out=held_out, recipe=recipe, seed=0)
    losses = [epoch.held_out for epoch in epochs if epoch.held_out is not None]
    best = min(range(len(losses)), key=losses.__getitem__)
    assert len(epochs) == best + 1 + 10 < 300
    assert [epoch.number for epoch in epochs if epoch.is_best][-1] == best + 1
    with torch.no_grad():
        now = row_losses(network(held_out.inputs), held_out.targets, "classes").mean()
    assert float(now) == pytest.approx(losses[best], rel=1e-6)


def test_weights_of_rows_decide_what_is_learned() -> None:
    x = torch.zeros(64, 3)
    targets = torch.arange(64) % 2
    shares = []
    for weight in (0.1, 1.0, 10.0):
        network = net()
        rows = TableRows(inputs=x, targets=targets, weights=torch.where(targets == 1, weight, 1.0))
        train_table_net(network, rows, aim="classes", recipe=TableTraining(epochs=60, learning_rate=5e-2), seed=0)
        shares.append(torch.sigmoid(network(x[:1])).item())
    # Where inputs say nothing, the probability is the weight of class 1 in the whole.
    assert shares == pytest.approx([1 / 11, 1 / 2, 10 / 11], abs=0.08)


def test_a_watcher_sees_every_epoch_and_may_stop_the_training() -> None:
    seen: list[Epoch] = []
    epochs = train_table_net(net(), problem(), aim="classes", recipe=QUICK, seed=0, watch=seen.append)
    assert seen == epochs and [epoch.number for epoch in seen] == list(range(1, 31))
    assert seen[-1].training < seen[0].training and seen[0].held_out is None

    def stop(epoch: Epoch) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_table_net(net(), problem(), aim="classes", recipe=QUICK, seed=0, watch=stop)


def test_the_last_epoch_may_be_named() -> None:
    epochs = train_table_net(net(), problem(), aim="classes", recipe=replace(QUICK, last=4), seed=0)
    assert len(epochs) == 4


@pytest.mark.parametrize("rows", [2, 3])
def test_a_handful_of_rows_is_enough_to_train(rows: int) -> None:
    data = TableRows(inputs=torch.randn(rows, 3, generator=generator(0)), targets=torch.arange(rows) % 2)
    network = net()
    train_table_net(network, data, aim="classes", recipe=QUICK, seed=0)
    assert bool(network(data.inputs).isfinite().all())


def test_what_cannot_be_trained_is_an_error() -> None:
    x = torch.zeros(4, 3)
    with pytest.raises(DataError, match="at least two rows that count, got n_samples = 1"):
        train_table_net(net(), TableRows(inputs=x[:1], targets=x[:1, 0]), aim="numbers", seed=0)
    with pytest.raises(DataError, match="at least two rows that count"):
        train_table_net(net(), TableRows(inputs=x, targets=x[:, 0], weights=x[:, 0]), aim="numbers", seed=0)
    with pytest.raises(ConfigError, match="the training loss is inf; use a smaller learning_rate"):
        train_table_net(net(), TableRows(inputs=x, targets=x[:, 0] + 1e30), aim="numbers", seed=0)
    with pytest.raises(DataError, match="of one length, got \\[3, 4\\]"):
        TableRows(inputs=x, targets=x[:3, 0])
    with pytest.raises(DataError, match="finite and at least 0"):
        TableRows(inputs=x, targets=x[:, 0], weights=x[:, 0] - 1)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: TableTraining(epochs=0), "epochs must be"),
        (lambda: TableTraining(batch_size=1), "batch_size must be an integer of at least 2"),
        (lambda: TableTraining(learning_rate=0.0), "learning_rate must be"),
        (lambda: TableTraining(weight_decay=-1.0), "weight_decay must be"),
        (lambda: TableTraining(patience=0), "patience must be"),
        (lambda: TableTraining(last=0), "last must be"),
        (lambda: TableNet(features=0), "features must be"),
        (lambda: TableNet(features=1, outputs=0), "outputs must be"),
        (lambda: TableNet(features=1, hidden=(4, 0)), r"hidden\[1\] must be a whole number of at least 1"),
        (lambda: TableNet(features=1, hidden=4), "hidden must be a sequence"),
        (lambda: TableNet(features=1, dropout=1.0), "dropout must be"),
    ],
)
def test_settings_that_cannot_work_are_an_error(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make()


def test_weights_of_a_new_network_come_from_the_generator_and_have_the_usual_spread() -> None:
    before = torch.random.get_rng_state()
    shape = TableNet(features=100, hidden=(100,))
    first, again, other = (shape.build(torch.Generator().manual_seed(seed)) for seed in (0, 0, 1))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert all(torch.equal(a, b) for a, b in zip(first.state_dict().values(), again.state_dict().values(), strict=True))
    assert not torch.equal(first.state_dict()["0.weight"], other.state_dict()["0.weight"])
    weight = first.state_dict()["0.weight"]
    assert float(weight.abs().max()) <= 0.1
    assert float(weight.std()) == pytest.approx(0.1 / 3**0.5, rel=0.05)  # 10,000 uniform draws
    reference = nn.BatchNorm1d(100).state_dict()
    assert all(torch.equal(first[1].state_dict()[name], tensor) for name, tensor in reference.items())


# --- the file -----------------------------------------------------------------------------------------


def table(rows: int = 60) -> pd.DataFrame:
    return pd.DataFrame({"n": np.arange(rows) % 7, "c": [("a", "b", None)[i % 3] for i in range(rows)]})


def made(target: ClassLabels | TargetScale) -> TableModel:
    encoder = TableEncoder.fit(table())
    outputs = len(target) if isinstance(target, ClassLabels) and len(target) > 2 else 1
    shape = TableNet(features=encoder.width, outputs=outputs, hidden=(6,))
    return TableModel(encoder=encoder, shape=shape, network=shape.build(generator(0)).eval(), target=target)


TARGETS = {
    "two": ClassLabels.fit(["no", "yes"]),
    "three": ClassLabels.fit([1, 2, 3]),
    "numbers": TargetScale(center=100.0, spread=3.0),
}


@pytest.mark.parametrize("target", TARGETS)
def test_a_saved_model_predicts_the_same(target: str, tmp_path: Path) -> None:
    model = made(TARGETS[target])
    model.save(tmp_path / "model.safetensors")
    again = TableModel.load(tmp_path / "model.safetensors")
    assert torch.equal(again.outputs(table()), model.outputs(table()))
    assert again.predict(table()).tolist() == model.predict(table()).tolist()
    assert set(model.predict(table()).tolist()) <= {"no", "yes", 1, 2, 3} or target == "numbers"


def test_numbers_come_in_their_units() -> None:
    model = made(TARGETS["numbers"])
    with torch.no_grad():
        standard = model.network.double()(model.encoder.transform(table()).double())[:, 0]
    model.network.float()
    assert torch.allclose(model.outputs(table()), 100 + 3 * standard, rtol=1e-12)


def test_parts_that_do_not_fit_together_are_an_error() -> None:
    model = made(TARGETS["two"])
    with pytest.raises(ConfigError, match="to 3 outputs, got 4 to 1"):
        replace(model, target=TARGETS["three"])


@pytest.mark.parametrize(
    "change",
    [
        lambda s: s.pop("encoder"),
        lambda s: s.update(target=None),
        lambda s: s.update(target={"center": 0.0, "spread": 0.0}),
        lambda s: s.update(target={"center": 0.0, "spread": "1"}),
        lambda s: s.update(target={"classes": {"kind": "integer", "values": [1, 2, 3]}}),
        lambda s: s["network"].update(features=10**9),
        lambda s: s["network"].update(hidden=[6, 6]),
        lambda s: s["network"].update(hidden=6),
        lambda s: s["network"].update(dropout=1.5),
        lambda s: s["network"].update(outputs=0),
        lambda s: s["encoder"]["columns"].pop(),
    ],
)
def test_a_damaged_model_is_a_checkpoint_error(change: Callable[[dict], object], tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    made(TARGETS["two"]).save(path)
    tensors, settings = read_tensors(path, kind="table model", version=1)
    settings = json.loads(json.dumps(settings))
    change(settings)
    write_tensors(path, tensors, kind="table model", version=1, settings=settings)
    with pytest.raises(CheckpointError):
        TableModel.load(path)


def test_a_file_that_is_missing_or_cut_short_is_a_checkpoint_error(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    with pytest.raises(CheckpointError, match="cannot read"):
        TableModel.load(path)
    made(TARGETS["two"]).save(path)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(CheckpointError, match="cannot read"):
        TableModel.load(path)
