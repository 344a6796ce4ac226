"""What every registered loss promises, whichever it is: the cards say all that differs."""

from __future__ import annotations

from copy import deepcopy
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.func import grad, vmap

import loss_case
from how_many import everything
from loss_case import CLASSES, ROWS, example
from metricopt._errors import ConfigError
from metricopt._metric_names import AIMS, canonical
from metricopt._random import generator
from metricopt.losses import LOSSES, get_loss
from metricopt.metrics import METRICS

CASES = [(name, kind) for name, entry in LOSSES.items() for kind in entry.card.targets]
every_case = pytest.mark.parametrize(("name", "kind"), CASES)
every_loss = pytest.mark.parametrize("name", LOSSES)
few = settings(max_examples=10 if everything() else 3)  # of each of some hundred cases


def some(**conditions: object) -> pytest.MarkDecorator:
    """The cases whose card has these fields."""
    chosen = [c for c in CASES if all(getattr(LOSSES[c[0]].card, k) == v for k, v in conditions.items())]
    return pytest.mark.parametrize(("name", "kind"), chosen)


def make(name: str) -> loss_case.Loss:
    """The loss as a function of its arguments: what owns a state only reads it in eval mode."""
    return loss_case.make(name, training=False)


@every_loss
def test_the_card_names_real_things(name):
    entry = LOSSES[name]
    card = entry.card
    assert card.name == name and card.title and card.paper and card.aims_at
    assert set(card.aims_at) <= set(AIMS)
    assert set(card.needs) == {key for key, p in entry.options.items() if p.default is p.empty}
    assert card.stateful == isinstance(loss_case.make(name), torch.nn.Module)


def test_metrics_and_losses_speak_of_the_same_metrics():
    assert {canonical(name) for name in METRICS} == set(METRICS) <= set(AIMS)
    assert {alias: canonical(alias) for alias in METRICS.aliases} == METRICS.aliases


@every_case
@few
@given(seed=st.integers(0, 10**6))
def test_a_scalar_that_does_not_depend_on_the_order_of_examples(name, kind, seed):
    loss, (scores, targets) = make(name), example(name, kind, seed)
    value = loss(scores, targets)
    assert value.shape == () and value.dtype == scores.dtype
    order = torch.randperm(ROWS, generator=generator(seed, "order"))
    torch.testing.assert_close(loss(scores[order], targets[order]), value)
    if kind == "ranking":  # rows of lists: neither the order of the lists nor that within them matters
        lists = torch.stack([example(name, kind, seed + i)[0] for i in range(3)])
        truth = torch.stack([example(name, kind, seed + i)[1] for i in range(3)])
        value = loss(lists, truth)
        torch.testing.assert_close(loss(lists.flip(0), truth.flip(0)), value)
        torch.testing.assert_close(loss(lists[:, order], truth[:, order]), value)


@some(gradient="exact")
def test_gradients_are_right(name, kind):
    loss = make(name)
    for seed in (1, 2):
        scores, targets = example(name, kind, seed)
        assert torch.autograd.gradcheck(lambda s, t=targets: loss(s, t), scores.requires_grad_())


@every_case
def test_functional_gradients_equal_those_of_autograd(name, kind):
    loss, size = make(name), 0.0
    for seed in range(3, 7):
        scores, targets = example(name, kind, seed)
        functional = grad(loss)(scores, targets)
        loss(scores.requires_grad_(), targets).backward()
        torch.testing.assert_close(functional, scores.grad)
        size += float(scores.grad.abs().sum())
    assert size > 0  # one batch may have none: a loss of ranks where they are right


@some(ordered=True)
def test_lower_means_better(name, kind):
    loss, (scores, targets) = make(name), example(name, kind, 4)
    if LOSSES[name].card.reads == "scores":
        right = loss_case.right_scores(kind, targets, scores)
        assert loss(right, targets) < loss(scores, targets) < loss(-right, targets)
    near = scores / 4  # a loss may look at scores near a threshold only
    assert loss(near - 0.01 * grad(loss)(near, targets), targets) < loss(near, targets)


@pytest.mark.parametrize(("name", "kind"), [case for case in CASES if LOSSES[case[0]].card.monotone_for(case[1])])
@few
@given(seed=st.integers(0, 10**6))
def test_a_higher_score_for_what_is_right_never_costs(name, kind, seed):
    loss, (scores, targets) = make(name), example(name, kind, seed)
    entries = loss_case.right_entries(kind, targets)
    step = torch.zeros_like(scores).reshape(-1)
    step[entries[seed % len(entries)]] = 1.0
    values = [loss(scores + by * step.reshape(scores.shape), targets).item() for by in (0.0, 0.1, 1.0, 5.0)]
    assert all(later <= earlier + 1e-9 for earlier, later in pairwise(values))


@every_case
@few
@given(seed=st.integers(0, 10**6), size=st.sampled_from([0.1, 1.0, 30.0]))
def test_values_stay_in_their_bounds(name, kind, seed, size):
    bounds = LOSSES[name].card.bounds or (-torch.inf, torch.inf)
    scores, targets = example(name, kind, seed)
    assert bounds[0] - 1e-9 <= make(name)(size * scores, targets).item() <= bounds[1] + 1e-9


@some(vmap=True)
def test_a_population_equals_a_loop_forward_and_backward(name, kind):
    loss = make(name)
    targets = example(name, kind, 5)[1]
    population = torch.stack([example(name, kind, seed)[0] for seed in range(4)])
    for function in (loss, grad(loss)):
        together = vmap(function, in_dims=(0, None))(population, targets)
        alone = torch.stack([function(scores, targets) for scores in population])
        torch.testing.assert_close(together, alone)
    each = torch.stack([example(name, kind, seed)[1] for seed in range(4)])
    torch.testing.assert_close(
        vmap(loss)(population, each), torch.stack([loss(s, t) for s, t in zip(population, each, strict=True)])
    )
    # The other way round, as the search does it: one backward pass through the sum of a population.
    population.requires_grad_()
    vmap(loss)(population, each).sum().backward()
    torch.testing.assert_close(
        population.grad, torch.stack([grad(loss)(s, t) for s, t in zip(population.detach(), each, strict=True)])
    )


@every_case
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_every_legal_batch_has_a_finite_value_and_gradient(name, kind, dtype):
    for scores, targets in loss_case.legal_batches(name, kind):
        scores = scores.to(dtype).requires_grad_()
        value = make(name)(scores, targets)
        value.backward()
        assert torch.isfinite(value), (scores, targets)
        assert torch.isfinite(scores.grad).all(), (scores, targets, scores.grad)
        assert value.dtype == torch.float32 and scores.grad.dtype == dtype


@every_case
@pytest.mark.parametrize("half", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(name, kind, half):
    loss, (scores, targets) = make(name), example(name, kind, 6, dtype=torch.float32)
    expected = loss(scores.to(half).float(), targets)
    torch.testing.assert_close(loss(scores.to(half), targets), expected, rtol=0, atol=0)
    with torch.autocast("cpu", dtype=half):
        torch.testing.assert_close(loss(scores.to(half), targets), expected, rtol=0, atol=0)
        inside = loss(scores, targets)
    torch.testing.assert_close(inside, loss(scores, targets), rtol=0, atol=0)


@every_case
def test_float32_is_close_to_float64(name, kind):
    loss, (scores, targets) = make(name), example(name, kind, 7)
    # 1e-4: a few hundred roundings of 1e-7, some of them divided by small counts.
    torch.testing.assert_close(loss(scores.float(), targets).double(), loss(scores, targets), rtol=1e-4, atol=1e-4)


@every_case
def test_target_dtypes_and_columns_do_not_matter(name, kind):
    loss, (scores, targets) = make(name), example(name, kind, 8)
    value = loss(scores, targets)
    dtypes = [torch.float32, torch.float64, torch.uint8, torch.int32]
    for dtype in [*dtypes, torch.bool] if kind in ("binary", "multilabel") else dtypes:
        torch.testing.assert_close(loss(scores, targets.to(dtype)), value)
    if kind == "binary" and LOSSES[name].card.reads == "scores":
        torch.testing.assert_close(loss(scores[:, None], targets), value)
        torch.testing.assert_close(loss(scores[:, None], targets[:, None]), value)


@every_loss
def test_shapes_that_fit_no_kind_are_refused(name):
    with pytest.raises(ConfigError, match="do not go with targets of shape"):
        make(name)(torch.zeros(4, 3), torch.zeros(5))


@every_loss
def test_an_unknown_option_is_refused_with_the_known_ones(name):
    with pytest.raises(ConfigError, match=f"loss '{name}' takes the options"):
        get_loss(name, **{**LOSSES[name].card.needs, "wieghts": 1})


@some(stateful=True)
def test_a_state_is_whole_in_its_state_dict(name, kind):
    batches = [example(name, kind, seed, dtype=torch.float32) for seed in range(4)]
    trained = loss_case.make(name)
    optimizer = torch.optim.SGD([*trained.parameters(), torch.zeros(1, requires_grad=True)], lr=0.01)
    for scores, targets in batches[:3]:
        optimizer.zero_grad()
        trained(scores.requires_grad_(), targets).backward()
        optimizer.step()
    fresh = loss_case.make(name)
    fresh.load_state_dict(deepcopy(trained.state_dict()))
    values = [loss(*batches[3]) for loss in (trained, fresh)]
    torch.testing.assert_close(*values, rtol=0, atol=0)
    assert {k for k in trained.state_dict()} == {k for k in fresh.state_dict()}


@some(stateful=True)
def test_a_state_does_not_change_in_eval_mode(name, kind):
    loss = make(name)
    before = deepcopy(loss.state_dict())
    loss(*example(name, kind, 9, dtype=torch.float32))
    for key, value in loss.state_dict().items():
        torch.testing.assert_close(value, before[key], rtol=0, atol=0)


def test_an_unknown_name_gets_a_suggestion():
    with pytest.raises(ConfigError, match="no loss named 'cross_entropie'; did you mean 'cross_entropy'"):
        get_loss("cross_entropie")


assert CLASSES == 3  # the cards' `needs` are written for it
