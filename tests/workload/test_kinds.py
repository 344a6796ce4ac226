"""What outputs are: beyond doubt, declared, or asked about."""

from __future__ import annotations

import pytest
import torch

from metricopt._errors import ConfigError
from metricopt.workload.kinds import OUTPUT_KINDS, check_labels, is_minus_one, output_kind

N = 6
BINARY = torch.tensor([0.0, 1, 1, 0, 1, 0])
CLASSES = torch.tensor([0, 1, 2, 0, 1, 2])


@pytest.mark.parametrize(
    ("outputs", "targets", "kind"),
    [
        (torch.zeros(N, 1), BINARY, "binary"),
        (torch.zeros(N), BINARY, "binary"),
        (torch.zeros(N), 3 * BINARY, "values"),
        (torch.zeros(N, 1), torch.rand(N), "values"),
        (torch.zeros(N, 3), CLASSES, "multiclass"),
        (torch.zeros(N, 4), CLASSES, "multiclass"),  # one class is missing by chance
        (torch.zeros(N, 3), torch.ones(N, 3), "multilabel"),
        (torch.zeros(N, 3), torch.rand(N, 3), "values"),
        (torch.zeros(N, 5, 7), torch.zeros(N, 7, dtype=torch.long), "positions"),
        (torch.zeros(N, 7, 5), torch.zeros(N, 7, dtype=torch.long), "positions"),
        ([{"boxes": torch.zeros(2, 4)}] * N, [{}] * N, "other"),
        ({"logits": torch.zeros(N, 3)}, CLASSES, "other"),
    ],
)
def test_what_is_beyond_doubt(outputs: object, targets: object, kind: str) -> None:
    assert output_kind(outputs, targets) == kind


def test_embeddings_and_few_labels_are_asked_about() -> None:
    few = torch.arange(20)
    with pytest.raises(ConfigError, match=r"64 numbers, but only 20 .* say outputs=\"embeddings\" or outputs=\"multi"):
        output_kind(torch.zeros(20, 64), few)
    assert output_kind(torch.zeros(20, 64), few, declared="embeddings") == "embeddings"
    assert output_kind(torch.zeros(20, 64), few, declared="multiclass") == "multiclass"
    # The highest class occurs somewhere: then there are as many scores as classes.
    assert output_kind(torch.zeros(20, 64), few, labels=torch.tensor([0, 63])) == "multiclass"


@pytest.mark.parametrize("kind", OUTPUT_KINDS)
def test_what_is_declared_must_fit(kind: str) -> None:
    fits = {"boxes", "other"}
    if kind in fits:
        assert output_kind([1], [1], declared=kind) == kind
        return
    with pytest.raises(ConfigError, match=f"outputs='{kind}' does not go with outputs of a list"):
        output_kind([1], [1], declared=kind)


def test_an_unknown_kind_names_the_others() -> None:
    with pytest.raises(ConfigError, match="outputs must be one of binary, multiclass"):
        output_kind(torch.zeros(3), torch.zeros(3), declared="boxen")


def test_labels_from_one_and_out_of_range_are_told_with_the_mend() -> None:
    scores = torch.zeros(3, 3)
    with pytest.raises(
        ConfigError, match=r"labels of val run from 1 to 3, but scores are counted from 0: give targets - 1"
    ):
        check_labels("multiclass", torch.tensor([1, 2, 3]), scores, "val")
    with pytest.raises(ConfigError, match="run from 0 to 5, but the model has 3 scores"):
        check_labels("multiclass", torch.tensor([0, 5]), scores, "val")
    with pytest.raises(ConfigError, match=r"hold NaN, the first one in row 1"):
        check_labels("values", torch.tensor([0.0, torch.nan]), scores, "train")
    check_labels("multiclass", torch.tensor([0, 2]), scores, "val")


def test_minus_one_and_one() -> None:
    assert is_minus_one(torch.tensor([-1.0, 1.0]))
    assert not is_minus_one(torch.tensor([1.0, 1.0]))
    assert not is_minus_one(torch.tensor([-1.0, 0.0]))
