"""One form for formulas that mean the same: cheap rules before training, SymPy for the formula that is shown."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from .formula import F, Formula, Y
from .operators import OPERATORS

_ZERO, _ONE, _MINUS_ONE = Formula.number(0), Formula.number(1), Formula.number(-1)
#: SymPy may think for minutes about what is larger.
_MOST_FOR_SYMPY = 40


def canonical(formula: Formula) -> Formula:
    """The same function in one form: constant parts are computed, arguments sorted, what does nothing left out.

    Trees with one canonical form are one candidate: only the form is trained, so that remembering its figure changes
    no result.

    >>> from .text import parse
    >>> str(canonical(parse("(f(x) * y + 0) * (1 * 1)"))), str(canonical(parse("y - y + f(x)")))
    ('f(x) * y', 'f(x)')
    """
    if not formula.children:
        return formula
    children = tuple(canonical(child) for child in formula.children)
    if all(child.name == "number" for child in children):
        computed = _computed(Formula(formula.name, children))
        if computed is not None:
            return computed
    operator = OPERATORS[formula.name]
    if operator.commutative:
        children = tuple(sorted(children, key=str))
    rule = _RULES.get(formula.name)
    return (rule(*children) if rule else None) or Formula(formula.name, children)


def _computed(formula: Formula) -> Formula | None:
    value = float(formula(torch.zeros((), dtype=torch.float64), torch.zeros((), dtype=torch.float64)))
    return Formula.number(value) if abs(value) < 1e9 else None


def _add(a: Formula, b: Formula) -> Formula | None:
    if _ZERO in (a, b):
        return b if a == _ZERO else a
    for one, other in ((a, b), (b, a)):
        if (taken := _negated(one)) is not None:
            return _ZERO if taken == other else Formula("sub", (other, taken))
    return None


def _sub(a: Formula, b: Formula) -> Formula | None:
    return _ZERO if a == b else a if b == _ZERO else None


def _negated(node: Formula) -> Formula | None:
    """What -1 is multiplied by in this node, or nothing."""
    if node.name != "mul" or _MINUS_ONE not in node.children:
        return None
    return node.children[1] if node.children[0] == _MINUS_ONE else node.children[0]


def _mul(a: Formula, b: Formula) -> Formula | None:
    if _ZERO in (a, b):
        return _ZERO
    if a == b:
        return Formula("square", (a,))
    return b if a == _ONE else a if b == _ONE else None


def _aq(a: Formula, b: Formula) -> Formula | None:
    return a if _ZERO in (a, b) else None


def _equal(a: Formula, b: Formula) -> Formula | None:
    return a if a == b else None


def _without_sign(name: str) -> Callable[[Formula], Formula | None]:
    """An operator that does not see the sign of its argument."""
    return lambda a: Formula(name, a.children) if a.name == "abs" else None


def _abs(a: Formula) -> Formula | None:
    return a if a.name in ("abs", "square", "sqrt") else None


def _sign(a: Formula) -> Formula | None:
    return a if a.name == "sign" else None


_RULES: dict[str, Callable[..., Formula | None]] = {
    "add": _add,
    "sub": _sub,
    "mul": _mul,
    "aq": _aq,
    "min": _equal,
    "max": _equal,
    "log": _without_sign("log"),
    "sqrt": _without_sign("sqrt"),
    "square": _without_sign("square"),
    "abs": _abs,
    "sign": _sign,
}


# --- for the reader ------------------------------------------------------------------------------------------------


def simplified(formula: Formula) -> Formula:
    """A shorter formula with the same slopes in f(x), by SymPy; the formula itself where none is found.

    Parts that do not depend on f(x) train nothing and are left out.

    >>> from .text import parse
    >>> str(simplified(parse("y * y + square(y - f(x)) + y * 3")))
    'square(y - f(x))'
    """
    plain = _without_constant_terms(canonical(formula))
    if plain.size > _MOST_FOR_SYMPY or any(
        OPERATORS[name].to_sympy is None for name in plain.names - {"y", "f", "number"}
    ):
        return plain if same_slopes(plain, formula) else formula
    found = [plain, formula, *_by_sympy(plain)]
    fit = [one for one in found if one.is_loss and same_slopes(one, formula)]
    return min(fit or [formula], key=lambda one: (one.size, len(str(one))))


def same_slopes(one: Formula, other: Formula, *, tolerance: float = 1e-4) -> bool:
    """Whether two formulas have the same derivative in f(x) on a grid of targets and predictions."""
    y = torch.tensor([0.0, 1.0, -0.7, 1.6], dtype=torch.float64)[:, None].expand(4, 41)
    f = torch.linspace(-2.013, 2.017, 41, dtype=torch.float64).expand(4, 41)
    slopes = []
    for formula in (one, other):
        at = f.clone().requires_grad_()
        value = formula(y, at)
        if not value.requires_grad:
            slopes.append(torch.zeros_like(f))
        else:
            slopes.append(torch.autograd.grad(value.sum(), at)[0])
    scale = slopes[1].abs().clamp_min(1.0)
    return bool(((slopes[0] - slopes[1]).abs() <= tolerance * scale).all())


def _without_constant_terms(formula: Formula) -> Formula:
    """A sum without the terms that f(x) does not occur in."""
    if formula.name in ("add", "sub"):
        left, right = formula.children
        if "f" not in right.names:
            return _without_constant_terms(left)
        if "f" not in left.names and formula.name == "add":
            return _without_constant_terms(right)
        return Formula(formula.name, (_without_constant_terms(left), _without_constant_terms(right)))
    return formula


def _by_sympy(formula: Formula) -> list[Formula]:
    import sympy

    y, f = sympy.symbols("y f", real=True)

    def to(node: Formula) -> Any:
        if node.name in ("y", "f"):
            return {"y": y, "f": f}[node.name]
        if node.name == "number":
            return sympy.Integer(int(node.value)) if node.value == int(node.value) else sympy.Float(node.value)
        operator = OPERATORS[node.name]
        assert operator.to_sympy is not None
        return operator.to_sympy(sympy, *map(to, node.children))

    expression = to(formula)
    found = []
    for form in (expression, sympy.factor_terms(expression), sympy.expand(expression)):
        try:
            found.append(canonical(_from_sympy(form)))
        except (ValueError, TypeError):  # something that formulas cannot say
            continue
    return found


def _from_sympy(expression: Any) -> Formula:
    import sympy

    if expression.is_number:
        return Formula.number(float(expression))
    if expression.is_Symbol:
        return {"y": Y, "f": F}[str(expression)]
    if expression.func is sympy.log and expression.args[0].func is sympy.Abs:
        return Formula.of("log", _from_sympy(expression.args[0].args[0]))
    if expression.is_Pow:
        return _power(*expression.args)
    if expression.func in (sympy.Add, sympy.Mul, sympy.Min, sympy.Max):
        return _folded(expression)
    name = {sympy.sign: "sign", sympy.Abs: "abs", sympy.tanh: "tanh", sympy.log: "log"}.get(expression.func)
    if name is None:
        raise ValueError(f"no operator for {expression}")
    return Formula.of(name, _from_sympy(expression.args[0]))


def _folded(expression: Any) -> Formula:
    """A sum, product, minimum or maximum of several terms as a chain; subtraction instead of adding a negative."""
    name = {"Add": "add", "Mul": "mul", "Min": "min", "Max": "max"}[expression.func.__name__]
    terms = sorted(expression.as_ordered_terms() if name == "add" else expression.args, key=str)
    if name == "add":
        terms.sort(key=lambda term: term.could_extract_minus_sign())
    whole = _from_sympy(terms[0])
    for term in terms[1:]:
        if name == "add" and term.could_extract_minus_sign():
            whole = Formula.of("sub", whole, _from_sympy(-term))
        else:
            whole = Formula.of(name, whole, _from_sympy(term))
    return whole


def _power(base: Any, exponent: Any) -> Formula:
    import sympy

    if exponent in (2, 3, 4):
        inside = _from_sympy(base)
        square = Formula.of("square", inside)
        return {2: square, 3: Formula.of("mul", square, inside), 4: Formula.of("square", square)}[int(exponent)]
    if exponent == sympy.Rational(1, 2) and base.func is sympy.Abs:
        return Formula.of("sqrt", _from_sympy(base.args[0]))
    if exponent == sympy.Rational(-1, 2) and base.is_Add and sympy.Integer(1) in base.args:
        rest = base - 1
        if rest.is_Pow and rest.args[1] == 2:
            return Formula.of("aq", _ONE, _from_sympy(rest.args[0]))
    raise ValueError(f"no operator for the power {exponent}")
