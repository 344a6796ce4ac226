"""Workloads in memory and from a stream: the same numbers, bounded memory, any nest of inputs and outputs."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

from metricopt._errors import ConfigError, DataError
from metricopt.adapters import Film, InputBias, LoRA, OutputShift, attach
from metricopt.losses import cross_entropy, get_loss
from metricopt.metrics import Budget, Metric, get_metric
from metricopt.problem import Problem
from metricopt.workload import Examples, StreamedWorkload, TensorWorkload, TrainingLoss, Workload, member, take
from metricopt.workload.phi_scale import estimated_sensitivity, exact_sensitivity


def source(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


class Conv(nn.Module):
    """A forward of its own, batch norm, a skip connection."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm = nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.second, self.last = nn.Conv2d(4, 4, 3, padding=1), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.norm(self.first(x)))
        return self.last((x + self.second(x)).mean(dim=(2, 3)))


IMAGES = torch.randn(40, 2, 6, 6, generator=source())
LABELS = torch.arange(40) % 3


def workload(**settings: Any) -> TensorWorkload:
    torch.manual_seed(0)
    adapted = attach(Conv().eval(), [Film(), OutputShift()], where={"film": "second"}, probe=IMAGES[:4])
    made: dict[str, Any] = {"loss": cross_entropy, "train": (IMAGES, LABELS), "val": (IMAGES[:25], LABELS[:25])}
    return TensorWorkload(adapted, batch_size=8, **(made | settings))


def phis(made: Workload, count: int) -> Tensor:
    return 0.3 * torch.randn(count, made.dim, generator=source(1))


def test_little_memory_changes_no_number() -> None:
    rich, poor = workload(), workload(memory=1 << 12)
    assert poor._bytes_per_row() > poor.memory // 8  # one phi alone goes backward in blocks of rows
    points = phis(rich, 5)
    indices = torch.stack([rich.draws(seed, 1)[0] for seed in range(5)])
    for mine, theirs in zip(poor.loss_and_grad(points, indices), rich.loss_and_grad(points, indices), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(poor.predict(points), rich.predict(points))
    torch.testing.assert_close(poor.phi_scale, rich.phi_scale, rtol=1e-4, atol=1e-6)
    assert poor._kept("val") is None
    assert rich._kept("val") is not None


def test_a_loss_of_a_set_is_exact_in_blocks_of_rows() -> None:
    """F1 of a batch is no mean over rows: its gradient must not be either."""
    torch.manual_seed(0)
    targets = (LABELS == 0).float()
    settings: dict[str, Any] = {
        "train": (IMAGES, targets),
        "val": (IMAGES, targets),
        "loss": get_loss("anyloss_f_beta"),
    }
    net = nn.Sequential(nn.Flatten(), nn.Linear(72, 8), nn.ReLU(), nn.Linear(8, 1)).eval()
    made = [
        TensorWorkload(attach(net_, InputBias(dim=3), probe=IMAGES[:3]), batch_size=16, memory=memory, **settings)
        for net_, memory in ((net, 1 << 30), (copy.deepcopy(net), 1 << 10))
    ]
    point, indices = phis(made[0], 1), made[0].draws(0, 1)
    assert made[1]._bytes_per_row() * 16 > made[1].memory
    for mine, theirs in zip(*(one.loss_and_grad(point, indices) for one in made), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-6)


def exact(made: TensorWorkload, rows: torch.Tensor) -> torch.Tensor:
    return exact_sensitivity(made.adapted, made.features, rows)


def test_the_estimated_sensitivity_is_near_the_exact_one() -> None:
    made = workload()
    rows = torch.arange(40)
    found, estimated = exact(made, rows), estimated_sensitivity(made.adapted, made.features, rows.split(64))
    # 32 random directions over 40 rows of 3 outputs: a fifth of each figure by chance.
    torch.testing.assert_close(estimated, found, rtol=0.8, atol=1e-3)
    torch.testing.assert_close(estimated.sum(), found.sum(), rtol=0.25, atol=0)


def test_sensitivity_in_blocks_is_the_same() -> None:
    made = workload()
    torch.testing.assert_close(
        exact(made, torch.arange(40)),
        sum((exact(made, block) * len(block) / 40 for block in torch.arange(40).split(7)), torch.zeros(1)),
        rtol=1e-5,
        atol=1e-6,
    )


def test_a_stream_gives_what_memory_gives() -> None:
    held = workload()
    data, val = TensorDataset(IMAGES, LABELS), TensorDataset(IMAGES[:25], LABELS[:25])
    for loader in (val, DataLoader(val, batch_size=7)):
        for memory in (1 << 30, 1 << 12):
            streamed = StreamedWorkload(
                held.adapted, loss=cross_entropy, train=data, val=loader, batch_size=8, memory=memory
            )
            points, indices = phis(held, 3), torch.stack([held.draws(seed, 1)[0] for seed in range(3)])
            assert torch.equal(streamed.draws(2, 4), held.draws(2, 4))
            torch.testing.assert_close(streamed.predict(points), held.predict(points))
            torch.testing.assert_close(
                streamed.loss_and_grad(points, indices), held.loss_and_grad(points, indices), rtol=1e-4, atol=1e-6
            )
            assert torch.equal(streamed.targets, held.targets)
            assert streamed.kind == "multiclass"


class Noisy(Dataset[tuple[Tensor, Tensor]]):
    """Augments with the global random state, as torchvision does."""

    targets = LABELS

    def __len__(self) -> int:
        return 40

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return IMAGES[index] + torch.randn(2, 6, 6), LABELS[index]


def test_augmentation_is_repeatable_and_leaves_the_global_state_alone() -> None:
    held = workload()
    made = StreamedWorkload(
        held.adapted, loss=cross_entropy, train=Noisy(), val=Noisy(), batch_size=8, sampler="balanced"
    )
    indices = made.draws(0, 2)
    state = torch.get_rng_state()
    first, again, other = (made.drawn(index)[0] for index in (indices[0], indices[0], indices[1]))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(first, again)
    assert not torch.equal(first, IMAGES[indices[0]])
    assert not torch.equal(first, other)
    in_memory = workload(augment=lambda x, generator: x + torch.randn(x.shape, generator=generator))
    losses = [in_memory.loss_and_grad(phis(held, 1), indices[:1])[0] for _ in range(2)]
    assert torch.equal(*losses)
    assert not torch.equal(losses[0], held.loss_and_grad(phis(held, 1), indices[:1])[0])


def test_an_iterable_stream_cannot_be_drawn_from() -> None:
    class Endless(IterableDataset[Tensor]):
        def __iter__(self) -> Iterator[Tensor]:
            return iter(())

    with pytest.raises(DataError, match="give a Dataset with a length and an index"):
        StreamedWorkload(workload().adapted, loss=cross_entropy, train=Endless(), val=Noisy())


class Two(nn.Module):
    """Takes two arguments, gives a mapping."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right, self.last = nn.Linear(3, 4), nn.Linear(2, 4), nn.Linear(4, 2)

    def forward(self, left: Tensor, right: Tensor) -> Mapping[str, Tensor]:
        hidden = self.left(left) + self.right(right)
        return {"logits": self.last(hidden), "hidden": hidden}


def test_inputs_and_outputs_may_be_nests() -> None:
    torch.manual_seed(0)
    inputs = {"left": torch.randn(12, 3), "right": torch.randn(12, 2)}
    targets = {"label": torch.arange(12) % 2, "weight": torch.rand(12)}
    adapted = attach(Two().eval(), LoRA(), where="last", probe={name: part[:3] for name, part in inputs.items()})

    def loss(outputs: Any, wanted: Any) -> Tensor:
        each = F.cross_entropy(outputs["logits"], wanted["label"], reduction="none")
        return (each * wanted["weight"]).mean()

    made = TensorWorkload(adapted, loss=loss, train=Examples(inputs=inputs, targets=targets), val=(inputs, targets))
    points = phis(made, 3)
    outputs = made.predict(points)
    assert tuple(outputs["logits"].shape) == (3, 12, 2)
    losses, grads = made.loss_and_grad(points, torch.arange(12).expand(3, 12))
    for i in range(3):
        point = points[i].clone().requires_grad_()
        value = loss(adapted.tail(point, adapted.head(inputs)), targets)
        torch.testing.assert_close(losses[i], value.detach())
        torch.testing.assert_close(grads[i], torch.autograd.grad(value, point)[0], rtol=1e-4, atol=1e-6)
    right = Metric(
        lambda got, wanted: (got["logits"].argmax(1) == wanted["label"]).float().mean(),
        name="right",
        higher_is_better=True,
    )
    problem = Problem(made, metric=right, budget=Budget(calls=9))
    assert problem.workload.kind == "other"
    expected = (outputs["logits"].argmax(2) == targets["label"]).double().mean(dim=1)
    assert torch.allclose(problem.observe(points), expected, atol=1e-6)
    assert problem.resampled_gains(points[0], points[1], resamples=3, seed=0).shape == (3,)


class Detector(nn.Module):
    """As torchvision's: losses in training mode, a list of records of different lengths in eval mode."""

    def __init__(self) -> None:
        super().__init__()
        self.score, self.norm = nn.Linear(4, 1), nn.BatchNorm1d(4)

    def forward(self, images: Tensor, targets: Any = None) -> Any:
        score = self.score(self.norm(images))[:, 0]
        if self.training:
            return {"loss": F.binary_cross_entropy_with_logits(score, targets), "other": 0.0 * score.sum()}
        return [{"boxes": image[None].repeat(int(s > 0) + 1, 1)} for image, s in zip(images, score, strict=True)]


def test_a_detector_with_losses_in_training_mode() -> None:
    torch.manual_seed(0)
    x, y = torch.randn(20, 4), (torch.arange(20) % 2).float()
    model = Detector().eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    adapted = attach(model, LoRA(), where="score", probe=x[:3])
    loss = TrainingLoss(lambda m, inputs, targets: sum(m(inputs, targets).values()))
    made = TensorWorkload(adapted, loss=loss, train=(x, y), val=(x, y), batch_size=20, outputs="boxes")
    points = phis(made, 2)
    outputs = made.predict(points)
    assert isinstance(outputs, list)
    assert [len(member(outputs, i)) for i in range(2)] == [20, 20]
    found = Metric(
        lambda got, wanted: sum(len(one["boxes"]) - 1 == int(t) for one, t in zip(got, wanted, strict=True)) / len(got),
        name="found",
        higher_is_better=True,
    )
    problem = Problem(made, metric=found, budget=Budget(calls=20))
    assert problem.observe(points).shape == (2,)
    assert problem.resampled_gains(points[0], points[1], resamples=2, seed=0).shape == (2,)
    losses, grads = made.loss_and_grad(points, torch.arange(20).expand(2, 20))
    with torch.no_grad():
        adapted.phi.copy_(points[0])
        scores = adapted.model.score(adapted.model.norm(x))[:, 0]
    torch.testing.assert_close(losses[0], F.binary_cross_entropy_with_logits(scores, y))
    assert bool((grads != 0).any())
    assert not model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_losses_of_records_and_how_far_phi_moves_their_confidences() -> None:
    torch.manual_seed(0)
    x, y = torch.randn(20, 4), [{"truth": torch.ones(1 + i % 2) * (i % 2)} for i in range(20)]

    class Sure(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.score = nn.Linear(4, 1)

        def forward(self, images: Tensor) -> Any:
            each = enumerate(self.score(images)[:, 0])
            return [{"boxes": torch.rand(1 + i % 2, 4), "scores": score.repeat(1 + i % 2)} for i, score in each]

    def loss(got: Any, wanted: Any) -> Tensor:
        sure, there = (torch.cat([one[k] for one in part]) for k, part in (("scores", got), ("truth", wanted)))
        return F.binary_cross_entropy_with_logits(sure, there)

    adapted = attach(Sure().eval(), LoRA(), where="score", probe=x)
    made = TensorWorkload(adapted, loss=loss, train=(x, y), val=(x, y), batch_size=20, outputs="boxes")
    points, indices = phis(made, 2), torch.arange(20).expand(2, 20)
    losses, grads = made.loss_and_grad(points, indices)
    for i in range(2):
        point = points[i].clone().requires_grad_()
        value = loss(adapted.tail(point, x), y)
        torch.testing.assert_close(losses[i], value.detach())
        torch.testing.assert_close(grads[i], torch.autograd.grad(value, point)[0])
    slopes = torch.func.jacrev(lambda point: torch.cat([one["scores"] for one in adapted.tail(point, x)]))(made.start)
    torch.testing.assert_close(made.sensitivity, slopes.square().mean(dim=0), rtol=0.5, atol=1e-3)


def test_autocast_works_with_populations() -> None:
    plain, half = workload(), workload(autocast=torch.bfloat16)
    points, indices = phis(plain, 4), torch.stack([plain.draws(seed, 1)[0] for seed in range(4)])
    torch.testing.assert_close(half.predict(points).float(), plain.predict(points), rtol=0.1, atol=0.1)
    losses, grads = half.loss_and_grad(points, indices)
    torch.testing.assert_close(losses.float(), plain.loss_and_grad(points, indices)[0], rtol=0.1, atol=0.1)
    assert bool(grads.isfinite().all())


def test_messages() -> None:
    with pytest.raises(ConfigError, match=r"a Problem needs a Workload, got a Conv; make one with TensorWorkload"):
        Problem(Conv(), metric=get_metric("accuracy"), budget=Budget())  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="groups must be one integer for each of 40 rows"):
        Examples(inputs=IMAGES, targets=LABELS, groups=torch.zeros(3))
    with pytest.raises(ConfigError, match="every coordinate of phi_scale must be positive"):
        workload(phi_scale=torch.zeros(12))


def test_rows_of_every_nest_can_be_taken() -> None:
    index = torch.tensor([2, 0])
    nest = {"a": torch.arange(3), "b": (torch.arange(3), [5, 6, 7])}
    taken = take(nest, index)
    assert taken["a"].tolist() == [2, 0]
    assert taken["b"][1] == [7, 5]


def test_packed_sequences_inside_of_a_model() -> None:
    class Packed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.recurrent, self.last = nn.GRU(4, 8, batch_first=True), nn.Linear(8, 1)

        def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
            packed = pack_padded_sequence(x, lengths.cpu(), batch_first=True, enforce_sorted=False)
            found, _ = pad_packed_sequence(self.recurrent(packed)[0], batch_first=True)
            return self.last(found.sum(dim=1))

    x, lengths = torch.randn(60, 5, 4, generator=source()), torch.randint(1, 6, (60,), generator=source())
    rows = Examples(inputs=(x, lengths), targets=(x[:, 0, 0] > 0).float())
    adapted = attach(Packed().eval(), OutputShift(), probe=(x[:8], lengths[:8]))
    made = TensorWorkload(adapted, loss=get_loss("cross_entropy"), train=rows, val=rows)
    phis = torch.tensor([[0.0] * adapted.spec.dim, [0.5] * adapted.spec.dim])
    with torch.no_grad():
        assert torch.allclose(made.predict(phis)[0], adapted.model(x, lengths), atol=1e-6)
    losses, slopes = made.loss_and_grad(phis, torch.arange(20).expand(2, -1))
    assert losses.shape == (2,) and bool(slopes.isfinite().all())
