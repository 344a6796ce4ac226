"""Formulas: what is written is read back, what is no formula is refused, and each operator has the right slope."""

from __future__ import annotations

import json
import random

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from how_many import cases
from metricopt._errors import CheckpointError, ConfigError, MetricOptError
from metricopt._random import generator
from metricopt.evolution import (
    OPERATORS,
    EvolutionSettings,
    Formula,
    Operator,
    SymbolicLoss,
    add_operator,
    canonical,
    parse,
    simplified,
    to_latex,
)
from metricopt.evolution.canonical import same_slopes
from metricopt.evolution.genetic import Breeder, elite
from metricopt.evolution.text import from_plain, to_plain

SETTINGS = EvolutionSettings()


def breeder(seed: int) -> Breeder:
    return Breeder(SETTINGS, generator("tests of formulas", seed))


@pytest.mark.parametrize("name", OPERATORS)
def test_each_operator_has_the_slope_of_finite_differences(name):
    operator = OPERATORS[name]
    for first, second in [(0.7, -0.4), (-1.3, 0.9), (2.1, 1.7), (0.2, 0.3)]:
        at = [torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in (first, second)[: operator.arity]]
        slopes = torch.autograd.grad(operator.apply(*at), at)
        for place, slope in enumerate(slopes):
            step = torch.zeros(operator.arity, dtype=torch.float64)
            step[place] = 1e-6
            up, down = (
                operator.apply(*(one.detach() + sign * part for one, part in zip(at, step, strict=True)))
                for sign in (1, -1)
            )
            assert float(slope) == pytest.approx(float(up - down) / 2e-6, abs=1e-6)


@pytest.mark.parametrize("name", OPERATORS)
def test_each_operator_is_finite_wherever_its_arguments_are(name):
    values = torch.tensor([0.0, 1.0, -1.0, 1e-9, 1e6, -1e6], dtype=torch.float64)
    a, b = torch.meshgrid(values, values, indexing="ij")
    a, b = a.clone().requires_grad_(), b.clone().requires_grad_()
    found = OPERATORS[name].apply(*(a, b)[: OPERATORS[name].arity])
    found.sum().backward()
    assert found.isfinite().all() and a.grad.isfinite().all()


def test_ten_thousand_trees_keep_every_promise():
    low, high = SETTINGS.first_heights
    for seed in cases(100):
        source = breeder(seed)
        trees = source.first(50)
        assert all(low <= tree.height <= high + 1 for tree in trees)  # a repair may add one
        errors = torch.rand(50, generator=generator("errors", seed)).tolist()
        trees += source.offspring(trees, errors, 50)
        for tree in trees:
            assert tree.is_loss and tree.height <= SETTINGS.most_height
            assert parse(str(tree)) == tree
            assert from_plain(json.loads(json.dumps(to_plain(tree)))) == tree
            form = canonical(tree)
            assert canonical(form) == form and form.size <= tree.size + 1
            assert same_slopes(form, tree), (str(form), str(tree))


@given(seed=st.integers(0, 10**6))
def test_crossover_and_mutation_keep_the_constraint_and_the_height(seed):
    source = Breeder(EvolutionSettings(most_height=4, first_heights=(2, 4)), generator("crossing", seed))
    one, other = source.first(2)
    for child in (*source.crossed(one, other), source.mutated(one)):
        assert child.is_loss
        assert child.height <= 4 or child in (one, other)  # a first tree that was repaired may be higher itself


def test_the_elite_is_the_best_and_never_one_that_failed():
    assert elite([0.3, float("inf"), 0.1, 0.2], 3) == [2, 3, 0]
    assert elite([float("inf")] * 3, 2) == []


def test_a_tournament_prefers_less_error_and_at_parsimony_two_less_size():
    trees = [parse("y - f(x)"), parse("square(y - f(x)) + abs(y)")]
    plain = Breeder(EvolutionSettings(tournament=4), generator("tournament"))
    assert sum(plain.chosen(trees, [0.9, 0.1]) for _ in range(200)) > 150
    small = Breeder(EvolutionSettings(tournament=1, parsimony=2.0), generator("small"))
    assert sum(small.chosen(trees, [0.9, 0.1]) for _ in range(200)) < 100


def test_simplification_keeps_the_slopes_and_shortens():
    for seed in cases(20):
        for tree in breeder(seed).first(10):
            short = simplified(tree)
            assert same_slopes(short, tree) and short.size <= tree.size
    assert str(simplified(parse("y * y + (y - f(x)) * (y - f(x)) - y * 2"))) == "square(y - f(x))"
    assert str(simplified(parse("abs(f(x) - y) + abs(f(x) - y)"))) in ("abs(f(x) - y) * 2", "2 * abs(f(x) - y)")


def test_where_a_formula_is_replaced_and_counted():
    tree = parse("square(y - f(x)) * 2")
    assert [node.name for node in tree.nodes()] == ["mul", "square", "sub", "y", "f", "number"]
    assert str(tree.replaced(2, parse("y + f(x)"))) == "square(y + f(x)) * 2"
    assert [tree.at(place).name for place in range(tree.size)] == [node.name for node in tree.nodes()]
    assert tree.digest == parse("square(y-f(x))*2").digest != parse("square(f(x) - y) * 2").digest


def test_latex_has_brackets_where_text_has_them():
    assert to_latex(parse("(y - (f(x) - 1)) * 2")) == r"\left(y - \left(f(x) - 1\right)\right) \cdot 2"
    assert to_latex(parse("log(aq(y, f(x)))")) == r"\log\left|\frac{y}{\sqrt{1 + \left(f(x)\right)^2}}\right|"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "cannot read the formula"),
        ("y +", "cannot read the formula"),
        ("y / f(x)", "a formula cannot hold"),
        ("y ** 2", "a formula cannot hold"),
        ("open('x')", "a formula cannot hold"),
        ("y.real", "a formula cannot hold"),
        ("[y for y in f]", "a formula cannot hold"),
        ("lambda: y", "a formula cannot hold"),
        ("square(y, f(x))", "takes 1 arguments, got 2"),
        ("f(y)", "a formula cannot hold"),
        ("1e999 * y", "must be finite"),
        ("1" + "0" * 400 + " * y", "must be finite"),
        ("True * y", "write a number"),
        ("'y'", "write a number"),
        ("-" * 200 + "y", "height of 60"),
        ("(" * 300 + "y" + ")" * 300, "cannot read the formula"),
        ("y + " * 600 + "y", "height of 60"),
        ("y" * 30_000, "at most 20,000 characters"),
    ],
)
def test_what_is_no_formula_is_refused_in_words(text, told):
    with pytest.raises(ConfigError, match=told.replace("(", r"\(")):
        parse(text)


def test_two_thousand_mutated_files_end_in_a_clear_error_or_a_loss(tmp_path):
    loss = SymbolicLoss("2 * abs(log(aq(y, f(x)) - 0.25)) + square(y - f(x))", "multiclass", metric="f1")
    path = tmp_path / "loss.json"
    loss.save(path)
    sound = path.read_bytes()
    assert len(sound) < 600 and SymbolicLoss.load(path) == loss
    plain = loss.to_plain() | {"formula": to_plain(loss.formula)}
    assert SymbolicLoss.from_plain(plain) == loss
    for seed in cases(2000):
        source = random.Random(seed)
        if seed % 2:  # bytes
            raw = bytearray(sound)
            for _ in range(source.randint(1, 8)):
                raw[source.randrange(len(raw))] = source.randrange(256)
            path.write_bytes(bytes(raw[: source.randrange(len(raw))] if source.random() < 0.3 else raw))
            with pytest.raises(CheckpointError):  # its digest
                if SymbolicLoss.load(path) == loss:
                    raise CheckpointError("nothing that counts was changed")
        else:  # a sound file of an unsound loss
            changed = _mutated(json.loads(json.dumps(plain)), source)
            try:
                found = SymbolicLoss.from_plain(changed)
            except MetricOptError as error:
                assert len(str(error)) < 1000
            else:
                assert found.formula.is_loss


def _mutated(value, source):
    strange = [None, True, "z", "exec", [], ["f"], {}, 1e400, -(10**400), [["y"]], ["mul", "y"], "__class__"]
    deep = "y"
    for _ in range(source.choice([3, 100])):
        deep = ["abs", deep]
    place, key = value, source.choice(list(value))
    while isinstance(place[key], list) and source.random() < 0.8:
        place, key = place[key], source.randrange(len(place[key]))
    place[key] = source.choice([*strange, deep])
    return value


def test_an_operator_of_ones_own_is_written_read_drawn_and_trained_with():
    cube = Operator(name="cube_of_test", title="a a a", arity=1, apply=lambda a: a**3, latex=r"\left({0}\right)^3")
    add_operator(cube)
    try:
        tree = parse("cube_of_test(y - f(x)) * y")
        assert parse(str(tree)) == tree and to_latex(tree) == r"\left(y - f(x)\right)^3 \cdot y"
        assert simplified(tree).is_loss  # SymPy does not know it and is not asked
        drawn = {name for seed in range(20) for tree in breeder(seed).first(25) for name in tree.names}
        assert "cube_of_test" in drawn
        scores = torch.zeros(4, requires_grad=True)
        SymbolicLoss(tree, "binary")(scores, torch.tensor([0, 1, 1, 0])).backward()
        assert scores.grad.abs().sum() > 0
        with pytest.raises(ConfigError, match="already a operator|already an operator|there is already"):
            add_operator(cube)
    finally:
        OPERATORS._items.pop("cube_of_test")


def test_an_operator_that_cannot_work_is_refused():
    with pytest.raises(ConfigError, match="one word other than"):
        Operator(name="f", title="", arity=1, apply=abs, latex="")
    with pytest.raises(ConfigError, match="1 or 2 arguments"):
        Operator(name="three", title="", arity=3, apply=abs, latex="")


def test_a_number_beyond_all_bounds_is_no_constant():
    for value in (float("nan"), float("inf"), 1e13):
        with pytest.raises(ConfigError, match="must be finite"):
            Formula.number(value)
