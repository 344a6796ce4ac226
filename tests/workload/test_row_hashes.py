"""What identifies a row: all of it, whatever it is made of, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from metricopt.workload.row_hashes import row_hashes

DARK = torch.zeros(3, 40, 40)
SPOT = DARK.index_put((torch.tensor(0), torch.tensor(20), torch.tensor(20)), torch.tensor(1.0))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param([DARK], [SPOT], id="list of images whose text is the same"),
        pytest.param([{"image": DARK, "id": "a"}], [{"image": SPOT, "id": "a"}], id="records"),
        pytest.param({"x": torch.zeros(1, 2), "text": ["a"]}, {"x": torch.zeros(1, 2), "text": ["b"]}, id="mapping"),
        pytest.param((torch.zeros(1, 2), [DARK]), (torch.zeros(1, 2), [SPOT]), id="pair"),
        pytest.param([[1, 2]], [[1, 3]], id="numbers"),
        pytest.param([torch.tensor([1e-6])], [torch.tensor([2e-6])], id="small numbers"),
    ],
)
def test_different_rows_differ(one: Any, other: Any) -> None:
    labels = torch.zeros(1)
    assert row_hashes(one, labels) == row_hashes(one, labels) != row_hashes(other, labels)
    assert row_hashes(torch.zeros(1, 2), one) == row_hashes(torch.zeros(1, 2), one)
    assert row_hashes(torch.zeros(1, 2), one) != row_hashes(torch.zeros(1, 2), other)


def test_the_same_row_in_another_precision_is_the_same() -> None:
    boxes = [{"boxes": torch.tensor([[0.5, 1.0, 2.0, 3.0]]), "labels": torch.tensor([2])}]
    double = [{"boxes": boxes[0]["boxes"].double(), "labels": boxes[0]["labels"].int()}]
    images = torch.randn(1, 3, 4, 4)
    assert row_hashes(images, boxes) == row_hashes(images.double(), double)
    assert row_hashes(list(images), boxes) == row_hashes(list(images.double()), double)


def test_rows_are_hashed_one_by_one() -> None:
    records = [{"boxes": torch.full((count, 4), 1.0)} for count in (2, 0, 2, 3)]
    found = row_hashes(torch.zeros(4, 5), records)
    assert found.tolist() == [int(row_hashes(torch.zeros(1, 5), [one])) for one in records]
    assert found[0] == found[2] and len(set(found.tolist())) == 3
