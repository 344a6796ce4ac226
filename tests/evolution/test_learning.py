"""Training side by side, and tuning constants through training: against loops, NumPy and finite differences."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import nn

from evolution_case import class_task, linear_task, mean_squared_error
from metricopt._errors import ConfigError
from metricopt._random import generator
from metricopt.evolution import (
    BaseTask,
    FormulaLosses,
    Learners,
    PlainLosses,
    SymbolicLoss,
    folded,
    initial,
    parse,
    taught,
    tuned,
    weight_slopes,
)
from metricopt.evolution.filters import can_train, slope_key, slopes_of
from metricopt.evolution.local_search import first_weights
from metricopt.evolution.rivals import NeuralLosses, neural_loss, taylor
from metricopt.losses import cross_entropy

FORMULAS = [
    "square(y - f(x))",
    "abs(log(f(x) * y))",
    "-1 * (y * log(f(x)))",
    "tanh(f(x) - y) * max(f(x), y)",
    "aq(square(y - f(x)), min(y, f(x)))",
    "sqrt(abs(y - f(x))) + square(f(x) - y)",
]


def test_formulas_evaluated_together_are_what_each_is_alone():
    source = generator("together")
    formulas = [parse(text) for text in FORMULAS]
    scores = torch.randn(len(formulas), 20, 4, generator=source, dtype=torch.float64).requires_grad_()
    targets = torch.randint(4, (20,), generator=source)
    together = FormulaLosses(formulas, "multiclass")(scores, targets)
    alone = torch.stack([SymbolicLoss(f, "multiclass")(s, targets) for f, s in zip(formulas, scores, strict=True)])
    torch.testing.assert_close(together, alone)
    torch.testing.assert_close(*(torch.autograd.grad(values.sum(), scores)[0] for values in (together, alone)))


@pytest.mark.parametrize("outputs", ["multiclass", "values"])
def test_everything_is_computed_where_the_rows_are(outputs: str) -> None:
    """On the meta device, which refuses to mix with the CPU as a GPU does, and needs none."""
    task = class_task() if outputs == "multiclass" else linear_task()
    assert task.outputs == outputs
    far = {name: getattr(task, name).to("meta") for name in ("x", "y", "val_x", "val_y")}
    task = BaseTask(**{**task.__dict__, **far, "net": copy.deepcopy(task.net).to("meta"), "momentum": 0.9})
    formulas = [parse(text) for text in ("square(y - f(x)) * (1 + y)", "abs(y - 2.5 * f(x))")]
    losses = FormulaLosses(formulas, outputs)
    weights = first_weights(formulas).to("meta").requires_grad_()
    slopes = weight_slopes(task, losses, weights, seed=0, unroll=2)
    assert slopes.device.type == "meta" and slopes.shape == weights.shape
    assert tuned(task, formulas, steps=1, seed=0).device.type == "meta"
    assert neural_loss(task, steps=1, seed=0).weights.device.type == "meta"
    learners = taught(task, losses, steps=2, seed=0)
    assert {value.device.type for value in learners.parameters.values()} == {"meta"}
    assert learners.predict(task.val_x).device.type == "meta"
    assert initial(task.net, source=generator("x")).popitem()[1].device.type == "meta"


def test_networks_side_by_side_learn_what_each_learns_alone():
    task = class_task()
    task = BaseTask(**{**task.__dict__, "momentum": 0.9, "decay": 5e-4, "rate": 0.05})
    formulas = [parse(text) for text in FORMULAS]
    together = taught(task, FormulaLosses(formulas, "multiclass"), steps=30, seed=3)
    for member, formula in enumerate(formulas):
        net = copy.deepcopy(task.net)
        net.load_state_dict(initial(net, source=generator("learners", 3)))
        optimizer = torch.optim.SGD(net.parameters(), 0.05, momentum=0.9, nesterov=True, weight_decay=5e-4)
        batches, loss = generator("batches", 3), SymbolicLoss(formula, "multiclass")
        for _ in range(30):
            rows = torch.randint(len(task.x), (32,), generator=batches)
            optimizer.zero_grad()
            loss(net(task.x[rows]), task.y[rows]).backward()
            optimizer.step()
        for name, value in net.state_dict().items():
            torch.testing.assert_close(together.state(member)[name], value, atol=1e-5, rtol=1e-5)


def test_a_network_does_not_depend_on_its_company():
    task = class_task()
    formulas = [parse(text) for text in FORMULAS]
    together = taught(task, FormulaLosses(formulas, "multiclass"), steps=20, seed=0)
    for members in ([4], [5, 0], [3, 2, 1]):
        some = taught(task, FormulaLosses([formulas[m] for m in members], "multiclass"), steps=20, seed=0)
        for place, member in enumerate(members):
            for name, value in some.state(place).items():
                assert torch.equal(value, together.state(member)[name])


def test_batch_norm_keeps_its_figures_and_a_network_that_vmap_cannot_map_runs_in_turn():
    task = class_task()
    net = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 3))
    with_norm = BaseTask(**{**task.__dict__, "net": net})
    learners = taught(with_norm, PlainLosses([cross_entropy] * 2, "multiclass"), steps=5, seed=0)
    state = learners.state(1)
    assert not torch.equal(state["1.running_mean"], torch.zeros(6)) and int(state["1.num_batches_tracked"]) == 5
    fresh = copy.deepcopy(net)
    fresh.load_state_dict(state)
    torch.testing.assert_close(fresh.eval()(task.val_x), learners.predict(task.val_x)[1])

    class Looks(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Linear(4, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            found = self.inner(x)
            return found if float(found.detach().sum()) < 1e9 else 2 * found

    looks = BaseTask(**{**task.__dict__, "net": Looks()})
    assert taught(looks, PlainLosses([cross_entropy] * 2, "multiclass"), steps=3, seed=0).predict(task.val_x).shape == (
        2,
        150,
        3,
    )


def test_the_slope_through_two_steps_equals_one_by_hand():
    task = linear_task()
    formula = parse("square(y - f(x))")
    weights = torch.tensor([1.3, 0.9, 0.7], requires_grad=True)
    losses = FormulaLosses([formula], "values")
    found = weight_slopes(task, losses, weights, seed=5, unroll=2)

    def outcome(w: np.ndarray) -> float:
        """mean (w0 (w1 y - w2 f))^2, two steps of gradient descent, then the squared error: all by hand."""
        source = generator("local search", 5, 0)
        start = initial(task.net, source=source)
        weight, bias = start["weight"].double().numpy()[0], float(start["bias"][0])
        for _ in range(2):
            rows = torch.randint(len(task.x), (16,), generator=source)
            x, y = task.x[rows].double().numpy(), task.y[rows].double().numpy()
            slope = 2 * w[0] ** 2 * (w[1] * y - w[2] * (x @ weight + bias)) * -w[2] / len(y)
            weight, bias = weight - task.rate * slope @ x, bias - task.rate * slope.sum()
        rows = torch.randint(len(task.val_x), (16,), generator=source)
        x, y = task.val_x[rows].double().numpy(), task.val_y[rows].double().numpy()
        return float(np.mean((x @ weight + bias - y) ** 2))

    at = weights.detach().double().numpy()
    for place in range(3):
        step = np.zeros(3)
        step[place] = 1e-5
        assert float(found[place]) == pytest.approx((outcome(at + step) - outcome(at - step)) / 2e-5, rel=1e-3)


def test_slopes_of_many_formulas_are_those_of_each_and_first_order_is_exact_for_one_step():
    task = class_task()
    formulas = [parse(text) for text in FORMULAS]
    weights = first_weights(formulas).requires_grad_()
    losses = FormulaLosses(formulas, "multiclass")
    together = weight_slopes(task, losses, weights, seed=1, unroll=2).split(losses.sizes)
    for formula, part, of in zip(formulas, together, weights.detach().split(losses.sizes), strict=True):
        alone = weight_slopes(
            task, FormulaLosses([formula], "multiclass"), of.clone().requires_grad_(), seed=1, unroll=2
        )
        torch.testing.assert_close(part, alone)
    one, quick = (weight_slopes(task, losses, weights, seed=1, first_order=way) for way in (False, True))
    torch.testing.assert_close(one, quick)
    two, quick = (weight_slopes(task, losses, weights, seed=1, unroll=3, first_order=way) for way in (False, True))
    assert not torch.allclose(two, quick) and torch.cosine_similarity(two, quick, dim=0) > 0.8


def test_tuning_lowers_what_a_step_leads_to():
    task = linear_task(rate=0.05)
    formula = parse("square(y - f(x))")
    weights = tuned(task, [formula], steps=60, seed=0, rate=0.02)
    plain, better = (
        taught(task, FormulaLosses([formula], "values", of), steps=10, seed=9) for of in (torch.ones(3), weights)
    )
    errors = [task.error(learners.predict(task.val_x)[0]) for learners in (plain, better)]
    assert errors[1] < errors[0]


def test_weights_are_written_into_the_formula():
    formula = parse("abs(log(f(x) * y)) + 1")
    weights = [0.5, 2.0, -1.0, 3.0, 0.25, 4.0]
    losses = FormulaLosses([formula], "values", torch.tensor(weights))
    y, f = torch.tensor([[0.3], [1.4]]), torch.tensor([[[0.9], [-0.2]]])
    torch.testing.assert_close(losses.elementwise(y, f)[0], folded(formula, weights)(y, f[0]))
    with pytest.raises(ConfigError, match="5 nodes has 4 weights|6 weights"):
        folded(formula, [1.0])


def test_the_rejection_protocol_knows_losses_from_what_is_none():
    good = ["square(y - f(x))", "abs(y - f(x))", "-1 * (y * log(f(x)))", "abs(log(f(x) * y))"]
    bad = ["-1 * square(y - f(x))", "y * log(f(x))", "f(x) * y", "sign(y - f(x))"]
    assert can_train([parse(t) for t in good], "multiclass", steps=50) == [True] * 4
    assert can_train([parse(t) for t in bad], "multiclass", steps=50) == [False] * 4
    assert can_train([parse(t) for t in (good[0], bad[0])], "values", steps=50) == [True, False]
    assert can_train([parse(t) for t in (good[0], bad[0])], "binary", steps=50) == [True, False]


def test_equal_slopes_have_one_key_and_a_loss_differs_from_its_negative():
    formulas = ["square(y - f(x))", "square(f(x) - y) + y", "-1 * square(y - f(x))", "y + 1 * y", "sign(f(x) - y)"]
    keys = [slope_key(slopes) for slopes in slopes_of([parse(text) for text in formulas], "multiclass")]
    assert keys[0] == keys[1] != keys[2] and keys[3] is None and keys[4] is None


def test_rivals_are_losses_too():
    assert str(taylor([0, 0, 0, 2, 0, 0, 0, 0])) == "-1 * square(f(x))"
    numbers = [0.5, -0.25, 1.5, 0.3, -0.7, 2.0, 0.4, -0.9]
    y, f = torch.tensor([0.0, 1.0]), torch.tensor([0.3, 0.8])
    u, v = f + 0.25, y - 0.5
    by_hand = -(1.5 * u + 0.15 * u**2 - 0.7 / 6 * u**3 + 2.0 * v * u + 0.2 * v * u**2 - 0.45 * v**2 * u)
    torch.testing.assert_close(taylor(numbers)(y, f), by_hand)
    task = class_task()
    losses = neural_loss(task, steps=30, seed=0, rate=1e-2)
    before = NeuralLosses(task.outputs, NeuralLosses.initial(0))
    errors = [task.error(taught(task, one, steps=60, seed=1).predict(task.val_x)[0]) for one in (before, losses)]
    assert errors[1] < errors[0]


def test_a_task_that_cannot_work_is_refused():
    task = linear_task()
    for change, told in [
        ({"y": task.y[:3]}, "60 inputs and 3 targets"),
        ({"outputs": "boxes"}, "outputs must be one of"),
        ({"rate": 0.0}, "rate must be"),
    ]:
        with pytest.raises(ConfigError, match=told):
            BaseTask(**{**task.__dict__, **change})


def test_initial_values_are_those_of_torch_in_distribution():
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Linear(50, 20))
    drawn = initial(net, source=generator("initial"))
    assert float(drawn["0.weight"].abs().max()) <= 27**-0.5 and float(drawn["2.weight"].std()) == pytest.approx(
        (3 * 50) ** -0.5, rel=0.1
    )
    assert float(drawn["2.bias"].abs().max()) <= 50**-0.5
    assert torch.equal(drawn["1.weight"], torch.ones(8)) and torch.equal(drawn["1.bias"], torch.zeros(8))
    assert Learners(net, 2, source=generator("x")).parameters["0.weight"].shape == (2, 8, 3, 3, 3)


def test_the_squared_error_of_the_task_is_what_it_says():
    assert float(mean_squared_error(torch.tensor([[1.0]]), torch.tensor([3.0]))) == 4.0
