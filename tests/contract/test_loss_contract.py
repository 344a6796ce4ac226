"""What every registered loss promises, whichever it is: the cards say all that differs."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.func import grad, vmap

from metricopt._errors import ConfigError
from metricopt._random import generator
from metricopt.losses import LOSSES, get_loss
from metricopt.metrics import METRICS

CASES = [(name, kind) for name, entry in LOSSES.items() for kind in entry.card.targets]
every_case = pytest.mark.parametrize(("name", "kind"), CASES)
every_loss = pytest.mark.parametrize("name", LOSSES)

ROWS, CLASSES = 9, 3


def example(kind: str, seed: int, dtype: torch.dtype = torch.float64) -> tuple[torch.Tensor, torch.Tensor]:
    random = generator(seed, "loss contract", kind)
    shape = (ROWS,) if kind == "binary" else (ROWS, CLASSES)
    scores = 2 * torch.randn(shape, generator=random, dtype=dtype)
    if kind == "multiclass":
        return scores, torch.randint(CLASSES, (ROWS,), generator=random)
    return scores, torch.randint(2, shape, generator=random)


@every_loss
def test_the_card_names_real_things(name):
    card = LOSSES[name].card
    assert card.name == name and card.title and card.paper
    assert set(card.aims_at) <= set(METRICS)
    assert card.stateful == isinstance(get_loss(name), torch.nn.Module)


@every_case
@given(seed=st.integers(0, 10**6))
def test_a_scalar_that_does_not_depend_on_the_order_of_examples(name, kind, seed):
    loss, (scores, targets) = get_loss(name), example(kind, seed)
    value = loss(scores, targets)
    assert value.shape == () and value.dtype == scores.dtype
    order = torch.randperm(ROWS, generator=generator(seed, "order"))
    torch.testing.assert_close(loss(scores[order], targets[order]), value)


@every_case
def test_gradients_are_right(name, kind):
    scores, targets = example(kind, 1)
    assert torch.autograd.gradcheck(lambda s: get_loss(name)(s, targets), scores.requires_grad_())


@every_case
def test_lower_means_better(name, kind):
    loss, (scores, targets) = get_loss(name), example(kind, 2)
    truth = torch.nn.functional.one_hot(targets, CLASSES) if kind == "multiclass" else targets
    right = truth * 20.0 - 10.0
    assert loss(right, targets) < loss(scores, targets) < loss(-right, targets)
    downhill = scores - 0.01 * grad(loss)(scores, targets)
    assert loss(downhill, targets) < loss(scores, targets)


@every_case
def test_a_population_equals_a_loop_forward_and_backward(name, kind):
    loss = get_loss(name)
    targets = example(kind, 3)[1]
    population = torch.stack([example(kind, seed)[0] for seed in range(4)])
    for function in (loss, grad(loss)):
        together = vmap(function, in_dims=(0, None))(population, targets)
        alone = torch.stack([function(scores, targets) for scores in population])
        torch.testing.assert_close(together, alone)
    each = torch.stack([example(kind, seed)[1] for seed in range(4)])
    torch.testing.assert_close(
        vmap(loss)(population, each), torch.stack([loss(s, t) for s, t in zip(population, each, strict=True)])
    )


@every_case
@pytest.mark.parametrize("rows", [1, 5])
@pytest.mark.parametrize("size", [0.0, 1.0, 200.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_one_class_and_extreme_batches_are_finite(name, kind, rows, size, dtype):
    shape = (rows,) if kind == "binary" else (rows, CLASSES)
    for truth in (0, 1):
        targets = torch.full(shape if kind == "multilabel" else (rows,), truth)
        for sign in (-1, 1):
            scores = torch.full(shape, sign * size, dtype=dtype)
            if kind == "multiclass":
                scores = scores * torch.arange(CLASSES)
            scores = scores.requires_grad_()
            value = get_loss(name)(scores, targets)
            value.backward()
            assert torch.isfinite(value) and torch.isfinite(scores.grad).all()
            assert value.dtype == dtype


@every_case
def test_target_dtypes_and_columns_do_not_matter(name, kind):
    loss, (scores, targets) = get_loss(name), example(kind, 4)
    value = loss(scores, targets)
    for dtype in (torch.float32, torch.float64, torch.uint8):
        torch.testing.assert_close(loss(scores, targets.to(dtype)), value)
    if kind == "binary":
        torch.testing.assert_close(loss(scores[:, None], targets), value)
        torch.testing.assert_close(loss(scores[:, None], targets[:, None]), value)


@every_loss
def test_shapes_that_fit_no_kind_are_refused(name):
    with pytest.raises(ConfigError, match="do not go with targets of shape"):
        get_loss(name)(torch.zeros(4, 3), torch.zeros(5))


def test_an_unknown_name_gets_a_suggestion():
    with pytest.raises(ConfigError, match="no loss named 'cross_entropie'; did you mean 'cross_entropy'"):
        get_loss("cross_entropie")
