"""A class for each pixel or token: read as rows are, whatever the layout, without padding."""

from __future__ import annotations

import pytest
import torch
from sklearn.metrics import f1_score, jaccard_score
from torch import Tensor, nn

import metricopt
from metricopt._errors import ConfigError
from metricopt._random import generator
from metricopt._scores import by_position, class_axis
from metricopt.job.adaptation import adapt
from metricopt.profiles import PROFILES, BinaryProfile, MulticlassProfile, PositionsProfile
from metricopt.workload.kinds import output_kind

ROWS, CLASSES, SIDE = 12, 3, 5


def source(name: str) -> torch.Generator:
    return generator("positions", name)


SCORES = torch.randn(2, ROWS, CLASSES, SIDE, SIDE, generator=source("scores"), dtype=torch.float64)
TARGETS = torch.randint(0, CLASSES, (ROWS, SIDE, SIDE), generator=source("targets"))
PADDED = torch.where(torch.rand(TARGETS.shape, generator=source("padding")) < 0.3, -100, TARGETS)


def profile_of(outputs: Tensor, targets: Tensor) -> PositionsProfile:
    empty = PROFILES["positions"](outputs.shape[-1], ())
    assert empty.fits(outputs[0], targets)
    made = empty.for_data(outputs[0], targets)
    assert isinstance(made, PositionsProfile)
    return made


def read(outputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
    profile = profile_of(outputs, targets)
    found = profile(profile.of_outputs(outputs, targets), profile.of_targets(targets))
    return {column.name: found[:, place] for place, column in enumerate(profile.columns)}


@pytest.mark.parametrize("targets", [TARGETS, PADDED], ids=["whole", "padded"])
@pytest.mark.parametrize("last", [False, True], ids=["images", "texts"])
def test_figures_are_those_of_all_positions_as_rows(targets: Tensor, last: bool) -> None:
    outputs = SCORES.flatten(3).movedim(2, -1) if last else SCORES
    told = targets.flatten(1) if last else targets
    found = read(outputs, told)
    flat = torch.stack([by_position(one, targets)[0] for one in SCORES])
    truth = by_position(SCORES[0], targets)[1]
    inner = MulticlassProfile(classes=CLASSES)
    for place, column in enumerate(inner.columns):
        assert torch.allclose(found[column.name], inner(flat, truth)[:, place]), column.name
    for one, said in enumerate(flat.argmax(dim=2)):
        assert float(found["macro F1"][one]) == pytest.approx(f1_score(truth, said, average="macro"))
        assert float(found["mean IoU"][one]) == pytest.approx(jaccard_score(truth, said, average="macro"))
        assert [float(found[f"IoU of class {k}"][one]) for k in range(CLASSES)] == pytest.approx(
            jaccard_score(truth, said, average=None)
        )


def test_one_score_a_position_has_the_figures_of_two_classes() -> None:
    outputs, targets = SCORES[:, :, :1], (TARGETS > 0).long()
    found = read(outputs, targets)
    inner = BinaryProfile()
    wanted = inner(outputs.flatten(1), targets.flatten())
    assert torch.allclose(torch.stack(list(found.values()), dim=1), wanted)


def test_of_large_rows_the_same_few_positions_are_read() -> None:
    targets = torch.randint(0, CLASSES, (40, 64, 64), generator=source("large"))
    outputs = torch.randn(1, 40, CLASSES, 64, 64, generator=source("large scores"))
    profile = profile_of(outputs, targets)
    read_outputs, read_targets = profile.of_outputs(outputs, targets), profile.of_targets(targets)
    assert read_targets.shape == (40, profile.most) and 40 * read_targets.shape[1] <= 1 << 13
    assert read_outputs.shape == (1, *read_targets.shape, CLASSES)
    labels = nn.functional.one_hot(targets, CLASSES).movedim(-1, 1).float()[None]
    assert torch.equal(profile.of_outputs(labels, targets)[0].argmax(dim=-1), read_targets)
    assert torch.equal(
        profile_of(outputs[:, :, :, :8, :8], targets[:, :8, :8]).of_targets(targets[:, :8, :8])[0],
        targets[0, :8, :8].flatten(),
    )


def test_slopes_reach_every_position() -> None:
    outputs = SCORES[:1].clone().requires_grad_()
    profile = profile_of(outputs.detach(), PADDED)
    found = profile(profile.of_outputs(outputs, PADDED), profile.of_targets(PADDED))
    (slope,) = torch.autograd.grad(found[:, [one.name for one in profile.columns].index("mean IoU")].sum(), outputs)
    moved = slope[0].abs().sum(dim=1) > 0
    assert bool(slope.isfinite().all()) and torch.equal(moved, PADDED >= 0)


def test_layouts() -> None:
    assert class_axis(torch.zeros(4, 3, 5, 5), torch.zeros(4, 5, 5, dtype=torch.long)) == 1
    assert class_axis(torch.zeros(4, 7, 3), torch.zeros(4, 7, dtype=torch.long)) == -1
    assert class_axis(torch.zeros(4, 7, 3), torch.zeros(4, 6, dtype=torch.long)) is None
    assert class_axis(torch.zeros(4, 7, 3), torch.zeros(4, 7)) is None  # real numbers
    assert output_kind(torch.zeros(4, 3, 5, 5), TARGETS[:4]) == "positions"


def test_metrics_and_losses_of_the_library_take_them() -> None:
    scores, targets = SCORES[0].float(), PADDED
    flat, truth = by_position(scores, targets)
    for name in ("f1", "accuracy", "jaccard", "g_mean"):
        assert metricopt.get_metric(name)(scores, targets) == metricopt.get_metric(name)(flat, truth)
    own = nn.functional.cross_entropy(scores, targets)  # its index to ignore is -100
    assert torch.allclose(metricopt.get_loss("cross_entropy")(scores, targets), own)
    assert torch.allclose(
        metricopt.get_loss("soft_f_beta")(scores, targets), metricopt.get_loss("soft_f_beta")(flat, truth)
    )
    labels = metricopt.metrics.Metric(
        lambda said, told: f1_score(told, said, average="macro"), name="f1", higher_is_better=True, reads="labels"
    )
    assert labels(scores, targets) == pytest.approx(metricopt.get_metric("f1")(scores, targets))
    with pytest.raises(ConfigError, match="do not go with targets"):
        metricopt.get_loss("cross_entropy")(scores, targets[:, 0])


def test_two_scores_a_row_are_told_what_to_become() -> None:
    with pytest.raises(ConfigError, match="one score a row, that of class 1 less that of class 0, or choose another"):
        metricopt.get_metric("precision")(torch.zeros(4, 2), torch.tensor([0, 1, 1, 0]))


def segmented(rows: int, name: str) -> tuple[Tensor, Tensor]:
    """Noisy images with a common dark square and a rare bright one."""
    images, masks = 0.7 * torch.randn(rows, 1, 12, 12, generator=source(name)), torch.zeros(rows, 12, 12).long()
    places = torch.randint(0, 8, (rows, 2, 2), generator=source(f"places {name}"))
    for row, (first, second) in enumerate(places.tolist()):
        for label, (x, y), size in ((1, first, 4), (2, second, 2)):
            images[row, 0, y : y + size, x : x + size] += (0.9, -1.2)[label - 1]
            masks[row, y : y + size, x : x + size] = label
    return images, masks


def test_a_search_gains_and_the_report_shows_the_classes() -> None:
    train, val, test = segmented(80, "train"), segmented(200, "val"), segmented(200, "test")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 3, 1)
        )
        optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
        for _ in range(60):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(train[0]), train[1]).backward()
            optimizer.step()
    outcome = metricopt.optimize(model, metric="jaccard", train=train, val=val, budget=62, quiet=True)
    overlap = metricopt.get_metric("jaccard")
    assert outcome.accepted
    assert overlap(outcome.model(test[0]), test[1]) > overlap(model(test[0]), test[1]) + 0.02
    assert outcome.value is not None and "mean IoU" in outcome.value.columns
    loss = outcome.learned_loss()
    with torch.no_grad():
        worse, better = (float(loss(one(test[0]), test[1])) for one in (model, outcome.model))
    assert better < worse
    assert outcome.report_data.confusion is not None and len(outcome.report_data.confusion.labels) == 3
    with pytest.raises(ConfigError, match="here there is one for each position"):
        metricopt.optimize(model, metric="jaccard", train=train, val=val, budget=62, quiet=True, method="threshold")
    adapted = adapt(model.eval(), "auto", dim=16, probe=train[0][:8], kind="positions")
    assert any(slot.role == "shift" and slot.shape == (3,) for slot in adapted.spec.slots)
