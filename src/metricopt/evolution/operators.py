"""What formulas are made of: operators by name, each with a card. A user's own one is added like these."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .._checks import at_least
from .._errors import ConfigError
from .._registry import Registry

#: What is nearer to zero than this counts as this under a logarithm or a root.
LEAST = 1e-7


@dataclass(frozen=True, kw_only=True)
class Operator:
    """One operator of formulas.

    Args:
        name: how it is written, `name(a, b)`.
        title: one line.
        arity: how many arguments it takes, 1 or 2.
        apply: tensors of one shape in, one of that shape out; differentiable, finite for finite arguments.
        latex: with `{0}` and `{1}` for the arguments.
        symbol: written between its two arguments, None where it is written as a function.
        commutative: whether its arguments may change places.
        to_sympy: SymPy module and SymPy arguments -> SymPy expression; None where there is none: then formulas with
            it are not simplified by SymPy.
        random: whether the search draws it; others are only read and written.

    >>> cube = Operator(name="cube", title="a a a", arity=1, apply=lambda a: a**3, latex="{0}^3")
    >>> float(cube.apply(torch.tensor(2.0)))
    8.0
    """

    name: str
    title: str
    arity: int
    apply: Callable[..., Tensor]
    latex: str
    symbol: str | None = None
    commutative: bool = False
    to_sympy: Callable[..., Any] | None = None
    random: bool = True

    def __post_init__(self) -> None:
        if not self.name.isidentifier() or self.name in ("y", "f", "x"):
            raise ConfigError(
                f"an operator's name must be one word other than y, f and x, got {self.name!r}; it stands in formulas"
            )
        at_least("arity", self.arity, 1)
        if self.arity > 2:
            raise ConfigError(f"operator {self.name!r} must take 1 or 2 arguments, got arity {self.arity}")


OPERATORS: Registry[Operator] = Registry("operator")


def add_operator(operator: Operator) -> Operator:
    """Let formulas and the search know an operator of one's own.

    Raises: ConfigError where there is one of that name.
    """
    return OPERATORS.add(operator.name, operator)


def _analytic_quotient(a: Tensor, b: Tensor) -> Tensor:
    return a * torch.rsqrt(1 + b * b)


def _away_from_zero(a: Tensor) -> Tensor:
    return a.abs().clamp_min(LEAST)


for _operator in (
    Operator(
        name="add",
        title="a + b",
        arity=2,
        apply=torch.add,
        latex="{0} + {1}",
        symbol="+",
        commutative=True,
        to_sympy=lambda s, a, b: a + b,
    ),
    Operator(
        name="sub",
        title="a - b",
        arity=2,
        apply=torch.sub,
        latex="{0} - {1}",
        symbol="-",
        to_sympy=lambda s, a, b: a - b,
    ),
    Operator(
        name="mul",
        title="a b",
        arity=2,
        apply=torch.mul,
        latex=r"{0} \cdot {1}",
        symbol="*",
        commutative=True,
        to_sympy=lambda s, a, b: a * b,
    ),
    Operator(
        name="aq",
        title="analytic quotient a / sqrt(1 + b^2): division without a pole",
        arity=2,
        apply=_analytic_quotient,
        latex=r"\frac{{{0}}}{{\sqrt{{1 + \left({1}\right)^2}}}}",
        to_sympy=lambda s, a, b: a / s.sqrt(1 + b**2),
    ),
    Operator(
        name="min",
        title="the smaller one",
        arity=2,
        apply=torch.minimum,
        latex=r"\min\left({0}, {1}\right)",
        commutative=True,
        to_sympy=lambda s, a, b: s.Min(a, b),
    ),
    Operator(
        name="max",
        title="the larger one",
        arity=2,
        apply=torch.maximum,
        latex=r"\max\left({0}, {1}\right)",
        commutative=True,
        to_sympy=lambda s, a, b: s.Max(a, b),
    ),
    Operator(
        name="sign",
        title="-1, 0 or 1",
        arity=1,
        apply=torch.sign,
        latex=r"\operatorname{{sign}}\left({0}\right)",
        to_sympy=lambda s, a: s.sign(a),
    ),
    Operator(
        name="square",
        title="a a",
        arity=1,
        apply=torch.square,
        latex=r"\left({0}\right)^2",
        to_sympy=lambda s, a: a**2,
    ),
    Operator(
        name="abs",
        title="without its sign",
        arity=1,
        apply=torch.abs,
        latex=r"\left|{0}\right|",
        to_sympy=lambda s, a: s.Abs(a),
    ),
    Operator(
        name="log",
        title="log max(|a|, 1e-7)",
        arity=1,
        apply=lambda a: _away_from_zero(a).log(),
        latex=r"\log\left|{0}\right|",
        to_sympy=lambda s, a: s.log(s.Abs(a)),
    ),
    Operator(
        name="sqrt",
        title="sqrt max(|a|, 1e-7)",
        arity=1,
        apply=lambda a: _away_from_zero(a).sqrt(),
        latex=r"\sqrt{{\left|{0}\right|}}",
        to_sympy=lambda s, a: s.sqrt(s.Abs(a)),
    ),
    Operator(
        name="tanh",
        title="hyperbolic tangent",
        arity=1,
        apply=torch.tanh,
        latex=r"\tanh\left({0}\right)",
        to_sympy=lambda s, a: s.tanh(a),
    ),
):
    add_operator(_operator)
