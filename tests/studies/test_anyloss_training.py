"""Networks that are trained in lock-step are what each would be alone."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from metricopt._errors import ConfigError, MetricOptError
from studies.anyloss.data import imbalanced
from studies.anyloss.folds import Folds, make_folds
from studies.anyloss.losses import LOSSES
from studies.anyloss.measures import MEASURES
from studies.anyloss.networks import NETWORKS, Perceptron
from studies.anyloss.train import Training, batches, population_loss, train

HOW = Training(rates=(0.01, 0.1), steps=40, check_every=10)


@pytest.fixture(scope="module")
def folds() -> Folds:
    return make_folds(imbalanced(0.2, rows=300, features=5), folds=3, seed=0)


def as_module(network: Perceptron, weights: Tensor, features: int) -> nn.Module:
    """One column of a population as layers of torch."""
    if network.hidden == 0:
        layers = [nn.Linear(features, 1)]
    else:
        layers = [nn.Linear(features, network.hidden), nn.Linear(network.hidden, 1)]
    rest = weights
    with torch.no_grad():
        for layer in layers:
            into, out = layer.in_features, layer.out_features
            layer.weight.copy_(rest[: into * out].view(into, out).T)
            layer.bias.copy_(rest[into * out : into * out + out])
            rest = rest[into * out + out :]
    return nn.Sequential(*[part for layer in layers for part in (layer, nn.ReLU())][:-1])


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("loss", ["bce_weighted", "anyloss_g_mean", "score_oriented_f1"])
def test_a_network_of_a_population_is_what_it_would_be_alone(folds: Folds, network: str, loss: str) -> None:
    shape, function = NETWORKS[network], LOSSES[loss].loss
    trained = train(shape, function, folds, HOW, seed=3)
    for k in range(3):
        best, kept = float("inf"), (0, 0, torch.empty(0))
        for position, rate in enumerate(HOW.rates):
            start = shape.start(5, folds=3, rates=2, seed=3)[k, :, position]
            alone = as_module(shape, start, 5)
            adam = torch.optim.Adam(alone.parameters(), lr=rate)
            share = folds.y[folds.train[k]].mean()
            for step, batch in enumerate(batches(folds.train, HOW, seed=3), start=1):
                adam.zero_grad()
                function(alone(folds.x[k, batch[k]])[:, 0], folds.y[batch[k]], share).backward()
                adam.step()
                if step % HOW.check_every == 0:
                    with torch.no_grad():
                        value = float(function(alone(folds.x[k, folds.val[k]])[:, 0], folds.y[folds.val[k]], share))
                        if value < best:
                            best, kept = value, (position, step, alone(folds.x[k])[:, 0].clone())
        assert (int(trained.rates[k]), int(trained.kept[k])) == kept[:2]
        scores = shape.scores(trained.weights, folds.x)[k, :, 0]
        # float32, forty steps: the sums are taken in another order.
        assert torch.allclose(scores, kept[2], atol=2e-4, rtol=2e-4)


def test_folds_and_losses_begin_with_the_weights_that_the_seed_gives() -> None:
    start = NETWORKS["mlp"].start(5, folds=3, rates=2, seed=0)
    assert torch.equal(start, NETWORKS["mlp"].start(5, folds=3, rates=2, seed=0))
    assert torch.equal(start[:, :, 0], start[:, :, 1])
    assert not torch.equal(start[0], start[1])
    assert not torch.equal(start, NETWORKS["mlp"].start(5, folds=3, rates=2, seed=1))


def test_an_epoch_shows_every_row_once(folds: Folds) -> None:
    how = replace(HOW, batch_share=0.25, least_batch=1, steps=9, check_every=1)
    size = how.batch(folds.train.shape[1])
    seen = list(batches(folds.train, how, seed=0))
    assert len(seen) == 9
    epoch = torch.cat(seen[: folds.train.shape[1] // size], dim=1)
    for k in range(3):
        assert len(set(epoch[k].tolist())) == epoch.shape[1]
        assert set(epoch[k].tolist()) <= set(folds.train[k].tolist())


def test_training_ends_when_no_network_gets_better(folds: Folds) -> None:
    how = replace(HOW, rates=(0.1,), steps=400)
    patient = train(NETWORKS["slp"], LOSSES["bce"].loss, folds, replace(how, patience=400), seed=0)
    hasty = train(NETWORKS["slp"], LOSSES["bce"].loss, folds, replace(how, patience=2), seed=0)
    assert hasty.steps < patient.steps == 400
    assert bool((hasty.kept <= patient.kept).all())


def test_a_loss_without_a_finite_value_raises(folds: Folds) -> None:
    with pytest.raises(MetricOptError, match="no look of a fold gave a finite validation loss"):
        train(NETWORKS["slp"], lambda s, y, share: s.sum() * float("nan"), folds, HOW, seed=0)


@pytest.mark.parametrize("loss", LOSSES)
def test_mapping_a_loss_over_a_population_is_a_loop(loss: str) -> None:
    source = torch.Generator().manual_seed(0)
    scores = torch.randn(3, 20, 2, generator=source)
    labels = (torch.rand(3, 20, generator=source) < 0.3).float()
    shares = torch.tensor([0.2, 0.3, 0.4])
    found = population_loss(LOSSES[loss].loss, scores, labels, shares)
    looped = [[LOSSES[loss].loss(scores[k, :, i], labels[k], shares[k]) for i in range(2)] for k in range(3)]
    assert torch.allclose(found, torch.tensor(looped), atol=1e-6)


def test_there_is_an_anyloss_and_a_score_oriented_loss_for_every_metric() -> None:
    aims = {entry.aim for entry in LOSSES.values()}
    assert aims == {None, *MEASURES}
    assert all(f"{family}_{metric}" in LOSSES for family in ("anyloss", "score_oriented") for metric in MEASURES)


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"rates": ()}, "one or more learning rates"),
        ({"rates": (0.0,)}, "rates must be a positive finite number"),
        ({"steps": 5}, "steps must reach check_every, 10; got 5"),
        ({"batch_share": 0.0}, r"batch_share must lie in \(0, 1\]"),
    ],
)
def test_a_training_that_cannot_work_is_refused(settings: dict[str, object], complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        replace(HOW, **settings)  # type: ignore[arg-type]
