"""What is read whenever it is needed: the same split, checks and verdicts as in memory, whoever made the loader."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    Dataset,
    IterableDataset,
    Subset,
    SubsetRandomSampler,
    TensorDataset,
    WeightedRandomSampler,
)

from job_case import QUICK, Case
from metricopt import Outcome, learn_value, optimize, optimize_front
from metricopt._errors import ConfigError, DataError
from metricopt.job.examples import gather
from metricopt.job.preparation import Settings, prepare
from metricopt.job.sanity_checks import trained_on
from metricopt.methods import MetricOpt
from metricopt.metrics import get_metric
from metricopt.workload import Examples, Stream, StreamedWorkload
from metricopt.workload.stream import known_targets


def streamed(case: Case, metric: Any = "f1", **changes: Any) -> Outcome:
    given = {"train": TensorDataset(*case.train), "val": TensorDataset(*case.val), "method": "threshold", "budget": 150}
    return optimize(case.model, metric=metric, stream=True, quiet=True, **(given | changes))


def prepared(case: Case, train: Any, val: Any, **settings: Any) -> Any:
    wanted = Settings(stream=True, **settings)
    return prepare(case.model, metric=get_metric("f1"), train=train, val=val, acceptance=0.4, settings=wanted)


def test_a_stream_ends_like_memory(case: Case) -> None:
    held, read = case.optimized(method="threshold"), streamed(case)
    assert read.accepted
    assert (read.before, read.after, read.interval) == (held.before, held.after, held.interval)
    assert torch.equal(read.phi, held.phi)
    with pytest.raises(DataError, match="stream=True reads a Dataset or a DataLoader"):
        case.optimized(stream=True)


def test_a_search_on_a_stream_is_the_search_in_memory(case: Case) -> None:
    held, read = (case.optimized(method=MetricOpt(config=QUICK)), streamed(case, method=MetricOpt(config=QUICK)))
    torch.testing.assert_close(read.phi, held.phi, rtol=1e-3, atol=1e-5)
    assert read.after == pytest.approx(held.after, abs=1e-3)


class Counting(TensorDataset):
    """Counts how often a row is read."""

    reads = 0

    def __getitem__(self, index: int) -> Any:
        self.reads += 1
        return super().__getitem__(index)


def test_what_fits_into_memory_is_read_once(case: Case) -> None:
    val = Counting(*case.val)
    outcome = streamed(case, val=val, method="random_search")
    assert outcome.calls == 150
    # All rows for their targets, 360 for features, 240 twice for the acceptance test, some to look at.
    assert 600 + 360 + 2 * 240 <= val.reads <= 600 + 360 + 2 * 240 + 300


def test_equal_rows_of_a_stream_stay_on_one_side(case: Case) -> None:
    x, y = (torch.cat([part, part]) for part in case.val)
    made = prepared(case, TensorDataset(*case.train), DataLoader(TensorDataset(x, y), batch_size=50, shuffle=True))
    assert isinstance(made.search, Stream) and isinstance(made.holdout, Stream)
    assert len(made.search) + len(made.holdout) == 2 * len(case.val[0])
    assert not torch.isin(made.search.hashes, made.holdout.hashes).any()
    assert torch.equal(made.search.hashes, made.search.gathered().hashes)


def test_groups_of_a_stream_are_drawn_together(case: Case) -> None:
    groups = torch.arange(600) // 6
    made = prepared(case, TensorDataset(*case.train), TensorDataset(*case.val), groups=groups)
    assert not set(made.holdout.groups.tolist()) & set(made.workload.groups.tolist())
    assert streamed(case, groups=groups).accepted
    assert streamed(case, acceptance=case.val, val=TensorDataset(case.val[0] + 0.01, case.val[1])).accepted
    with pytest.raises(ConfigError, match="one integer for each of the 600 rows"):
        streamed(case, groups=groups[:5])


def test_rows_that_decide_are_not_those_that_were_searched(case: Case) -> None:
    val = TensorDataset(*case.val)
    with pytest.raises(ConfigError, match="100 % of the examples in acceptance= are also in val"):
        streamed(case, acceptance=val)
    data = {"train": TensorDataset(*case.train), "val": val}
    learned = learn_value(case.model, metric="f1", calls=20, stream=True, **data)
    outcome = streamed(case, value=learned, method="auto", val=TensorDataset(case.val[0] + 0.01, case.val[1]))
    assert outcome.interval is not None
    with pytest.raises(ConfigError, match="was learned on 100 % of the examples of the acceptance test"):
        prior = replace(learned, rows=Stream(val).hashes)
        streamed(case, value=prior, method="auto", acceptance=val, val=TensorDataset(case.val[0] + 0.01, case.val[1]))


def test_rows_of_a_stream_that_the_model_was_trained_on_are_doubted(case: Case) -> None:
    x, y = (torch.cat(parts) for parts in zip(case.train, case.val, strict=True))
    with pytest.warns(UserWarning, match="about 100 % of the rows of val are also in train"):
        streamed(case, train=TensorDataset(x, y))
    some = len(case.train[0]) + len(case.val[0]) // 2
    streamed(case, train=TensorDataset(x[:some], y[:some]))  # half of them


def test_of_a_long_stream_some_rows_are_read_to_know_them_again(case: Case) -> None:
    (x, y), copies = case.val, range(6)
    train = Counting(torch.cat([x + i for i in copies]), torch.cat([y for _ in copies]))
    told = trained_on(Stream(train), Examples(inputs=x, targets=y), "val")
    assert told is not None and re.match(r"about (9\d|100) % of the rows of val are also in train", told)
    assert trained_on(Stream(train), Examples(inputs=x - 1, targets=y), "val") is None
    assert train.reads == 2 * 2048 < 2 * len(train)


class Scans(Dataset[Any]):
    """Rows that are no tensors before they are collated."""

    def __init__(self, x: Tensor, y: Tensor) -> None:
        self.x, self.y = x, y

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, index: int) -> Any:
        return Scan(self.x[index].numpy()), int(self.y[index])


class Scan:
    def __init__(self, pixels: Any) -> None:
        self.pixels = pixels

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return self.pixels


def test_a_run_on_scans_that_a_collate_fn_turns_into_tensors_goes_on(case: Case, tmp_path: Path) -> None:
    def collate(rows: list[Any]) -> tuple[Tensor, Tensor]:
        return torch.stack([torch.as_tensor(one.pixels) for one, _ in rows]), torch.tensor([y for _, y in rows]).float()

    def once() -> Outcome:
        train, val = (DataLoader(Scans(*part), batch_size=50, collate_fn=collate) for part in (case.train, case.val))
        return streamed(case, train=train, val=val, run=tmp_path / "run")

    first = once()
    assert first.accepted and torch.equal(once().phi, first.phi)


def test_a_row_without_finite_scores_is_told_by_its_number(case: Case) -> None:
    x, y = case.val[0].clone(), case.val[1]
    x[77, 0] = torch.nan
    with pytest.raises(DataError, match=r"first one at row 77 .* the inputs of 1 of them hold NaN"):
        streamed(case, val=TensorDataset(x, y))
    x, y = case.val[0], case.val[1] * 2 - 1
    with pytest.raises(ConfigError, match="the targets of val are -1 and 1, but classes are 0 and 1"):
        streamed(case, val=TensorDataset(x, y), loss="cross_entropy")


def test_a_front_reads_streams(case: Case) -> None:
    front = optimize_front(
        case.model,
        metrics=["precision", "recall"],
        train=TensorDataset(*case.train),
        val=TensorDataset(*case.val),
        points=2,
        budget=330,
        stream=True,
        quiet=True,
    )
    assert front.calls <= 330 and all(one.gains for one in front.models)


# --- loaders of all kinds ---------------------------------------------------------------------------------------------


def test_a_loader_whose_sampler_picks_rows_gives_these_alone(case: Case) -> None:
    x, y = (torch.cat(parts) for parts in zip(case.train, case.val, strict=True))
    whole, count = TensorDataset(x, y), len(case.train[0])
    mine, theirs = range(count), range(count, len(x))
    train = DataLoader(whole, sampler=SubsetRandomSampler(mine), batch_size=32)
    val = DataLoader(whole, sampler=SubsetRandomSampler(theirs), batch_size=32)
    made = prepared(case, train, val)
    assert made.workload.train_size == count
    found = torch.cat([made.search.hashes, made.holdout.hashes])
    assert set(found.tolist()) == set(Examples(inputs=case.val[0], targets=case.val[1]).hashes.tolist())
    assert set(Stream(val).hashes.tolist()) == set(gather(val, "val").hashes.tolist())
    batches = DataLoader(whole, batch_sampler=BatchSampler(theirs, 32, drop_last=False))
    assert len(Stream(batches)) == len(case.val[0])
    weighted = DataLoader(whole, sampler=WeightedRandomSampler(torch.ones(len(x)).tolist(), 50), batch_size=9)
    assert len(Stream(weighted)) == 50 and torch.equal(Stream(weighted).hashes, Stream(weighted).hashes)


class Images(Dataset[tuple[Tensor, Tensor]]):
    """Knows its targets, but changes them on the way, as torchvision's do."""

    def __init__(self, x: Tensor, y: Tensor) -> None:
        self.x, self.targets = x, (1 - y).tolist()
        self.target_transform = lambda target: 1 - target

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return self.x[index], torch.tensor(self.target_transform(self.targets[index]))


def test_targets_are_those_that_rows_come_with(case: Case) -> None:
    held = case.optimized(method="threshold", sampler="balanced")
    read = streamed(case, train=Images(*case.train), val=Images(*case.val), sampler="balanced")
    assert (read.before, read.after) == (held.before, held.after)


def test_targets_that_are_no_numbers_are_left_alone() -> None:
    images = Images(torch.zeros(3, 2), torch.zeros(3))
    assert known_targets(images) is None  # it changes them on the way
    images.target_transform = None  # type: ignore[assignment]
    assert known_targets(Subset(images, [2, 0])).tolist() == [1.0, 1.0]  # type: ignore[union-attr]
    images.targets = [{"boxes": torch.zeros(2, 4)}] * 3
    assert known_targets(images) is None


def test_workers_and_precision_change_nothing(case: Case) -> None:
    plain = streamed(case)
    loader = DataLoader(
        TensorDataset(case.val[0].double(), case.val[1].bool()), batch_size=100, num_workers=1, drop_last=True
    )
    train = TensorDataset(case.train[0].double(), case.train[1].bool())
    assert Stream(loader)._loader.num_workers == 1 and len(Stream(loader)) == 600
    assert streamed(case, train=train, val=loader).after == pytest.approx(plain.after, abs=1e-6)


def test_a_metric_is_told_what_stands_beside_the_targets_of_a_stream(case: Case) -> None:
    x, y = case.val
    seen: list[int] = []

    def worst_side(scores: Tensor, targets: Tensor, side: Tensor) -> float:
        assert torch.equal(side.bool(), targets > 0.5)  # row by row, through the split and every resample
        seen.append(len(side))
        return float(((scores.reshape(-1) > 0) == (targets > 0.5)).double().mean())

    outcome = streamed(case, worst_side, val=TensorDataset(x, y, y), higher_is_better=True, bounds=(0, 1))
    assert outcome.calls == len(seen) and max(seen) <= 360


def test_a_stream_of_mappings_with_labels_is_read() -> None:
    class Rows(Dataset[dict[str, Tensor]]):
        def __init__(self, first: float) -> None:
            self.first = first

        def __len__(self) -> int:
            return 60

        def __getitem__(self, index: int) -> dict[str, Tensor]:
            return {"x": torch.tensor([self.first + index]), "labels": torch.tensor(float(index > 30))}

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(1, 1)

        def forward(self, x: Tensor) -> Any:
            return self.layer(x)

    data = {"train": Rows(-30.5), "val": Rows(-30.0)}
    outcome = optimize(Model(), metric="f1", **data, stream=True, quiet=True, method="threshold", budget=100)
    assert outcome.calls <= 100


class Two(nn.Module):
    """Takes two inputs; its threshold is wrong by much."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = nn.Linear(3, 1), nn.Linear(2, 1)
        with torch.no_grad():
            for layer in (self.left, self.right):
                layer.weight.copy_(torch.eye(1, layer.in_features))
                layer.bias.fill_(0.7)

    def forward(self, left: Tensor, right: Tensor) -> Any:
        return self.left(left) + self.right(right)


class Pairs(Dataset[Any]):
    """Rows of two inputs, as torch's own collation makes lists of."""

    def __init__(self, count: int) -> None:
        source = torch.Generator().manual_seed(count)
        self.left, self.right = torch.randn(count, 3, generator=source), torch.randn(count, 2, generator=source)

    def __len__(self) -> int:
        return len(self.left)

    def __getitem__(self, index: int) -> Any:
        left, right = self.left[index], self.right[index]
        return (left, right), (left[0] + right[0] > 1).float()


def test_a_dataset_of_several_inputs_is_read_in_memory_and_as_a_stream() -> None:
    held, read = (
        optimize(Two(), metric="f1", train=Pairs(200), val=Pairs(500), budget=90, stream=stream, quiet=True)
        for stream in (False, True)
    )
    assert held.accepted and held.after > 0.9 > held.before
    assert (read.before, read.after) == pytest.approx((held.before, held.after), abs=1e-3)


class Crowd(nn.Module):
    """Detects in a list of images of any size: as many records as it finds, each as sure as its mean is bright."""

    def __init__(self) -> None:
        super().__init__()
        self.sure = nn.Linear(1, 1)
        with torch.no_grad():
            self.sure.weight.fill_(4.0)
            self.sure.bias.fill_(-2.0)

    def forward(self, images: list[Tensor]) -> Any:
        means = torch.cat([image.mean(dim=1, keepdim=True) for image in images])
        sure = self.sure(means)[:, 0].sigmoid().split([len(image) for image in images])
        return [{"boxes": torch.zeros(len(one), 4), "scores": one} for one in sure]


class Pictures(Dataset[Any]):
    def __init__(self, count: int) -> None:
        source = torch.Generator().manual_seed(count)
        self.images = [torch.randn(1 + i % 3, 5, generator=source) for i in range(count)]

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Any:
        image = self.images[index]
        return image, {"truth": (image.mean(dim=1) > 0).float()}


def as_lists(batch: Any) -> Any:
    return [image for image, _ in batch], [target for _, target in batch]


@pytest.mark.parametrize("stream", [False, True])
def test_detections_in_lists_of_images_are_tuned_by_a_loss_of_records(stream: bool) -> None:
    def right(records: Any, truth: Any) -> float:
        sure, there = (torch.cat([one[name] for one in part]) for name, part in (("scores", records), ("truth", truth)))
        return float(((sure > 0.5) == (there > 0)).double().mean())

    def loss(records: Any, truth: Any) -> Tensor:
        sure, there = (torch.cat([one[name] for one in part]) for name, part in (("scores", records), ("truth", truth)))
        return nn.functional.binary_cross_entropy(sure, there)

    train, val = (DataLoader(Pictures(count), batch_size=30, collate_fn=as_lists) for count in (60, 300))
    outcome = optimize(
        Crowd(),
        metric=right,
        higher_is_better=True,
        bounds=(0, 1),
        train=train,
        val=val,
        outputs="boxes",
        loss=loss,
        method="loss_finetune",
        budget=80,
        stream=stream,
        quiet=True,
    )
    assert outcome.accepted and outcome.after > outcome.before + 0.1


class Counted(IterableDataset[tuple[Tensor, Tensor]]):
    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        return iter([(torch.full((2,), float(number)), torch.tensor(number % 2)) for number in range(10)])


@pytest.mark.parametrize("data", [Counted(), DataLoader(Counted(), batch_size=4)])
def test_rows_that_only_come_in_turn_are_held_in_memory(data: Any) -> None:
    found = gather(data, "train")
    assert found.inputs[:, 0].tolist() == list(range(10)) and found.targets.tolist() == [0, 1] * 5


def test_a_list_of_rows_is_told_where_to_go() -> None:
    rows = [(torch.zeros(2), 0)] * 5
    with pytest.raises(DataError, match="got 5 things; a list of rows goes in a DataLoader"):
        gather(rows, "train")
    assert len(gather(DataLoader(rows, batch_size=2), "train")) == 5


class Endless(IterableDataset[Tensor]):
    def __iter__(self) -> Iterator[Tensor]:
        return iter(())


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (Endless(), "give a Dataset with a length and an index"),
        (DataLoader(TensorDataset(torch.zeros(4, 2), torch.zeros(4)), batch_size=None), "give one with a batch size"),
        (TensorDataset(torch.zeros(0, 2), torch.zeros(0)), "val is empty"),
        (TensorDataset(torch.zeros(4, 2)), "each batch of val must be a pair"),
    ],
)
def test_what_cannot_be_read_by_row_is_told(data: Any, told: str) -> None:
    with pytest.raises(DataError, match=told):
        _ = Stream(data).targets


def test_another_stream_is_another_run(case: Case, tmp_path: Any) -> None:
    first = streamed(case, run=tmp_path)
    assert streamed(case, run=tmp_path).after == first.after
    x, y = case.val[0].clone(), case.val[1]
    x[-1] += 1.0  # its length and its first rows are the same
    with pytest.raises(ConfigError, match="val"):
        streamed(case, run=tmp_path, val=TensorDataset(x, y))


def test_a_stream_needs_a_train_that_goes_by_row(case: Case) -> None:
    with pytest.raises(DataError, match="train is read by row"):
        StreamedWorkload(prepared(case, TensorDataset(*case.train), TensorDataset(*case.val)).workload.adapted,
                         loss=nn.functional.mse_loss, train=Endless(), val=TensorDataset(*case.val))  # fmt: skip
