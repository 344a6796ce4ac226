"""Formulas as text, LaTeX and JSON, and back. Reading executes nothing: names are looked up, numbers are checked."""

from __future__ import annotations

import ast
import math
from typing import Any

from .._errors import ConfigError
from .._shown import shown
from .formula import MOST_HEIGHT, MOST_NODES, F, Formula, Y, checked
from .operators import OPERATORS

_MOST_CHARACTERS = 20_000
_INFIX = {"add": (1, ast.Add), "sub": (1, ast.Sub), "mul": (2, ast.Mult)}
_OF_AST = {kind: name for name, (_, kind) in _INFIX.items()}


def to_text(formula: Formula) -> str:
    """One line that `parse` reads back to an equal formula.

    >>> to_text(Formula.of("mul", Y, Formula.of("log", F)))
    'y * log(f(x))'
    """
    return _written(formula)[0]


def parse(text: str) -> Formula:
    """The formula that a line of text holds: y, f(x), numbers, + - *, and operators by name.

    Raises:
        ConfigError: anything else, or a tree too large.

    >>> str(parse("aq(y - f(x), 1) * -0.5"))
    'aq(y - f(x), 1) * -0.5'
    >>> parse("__import__('os').system('ls')")
    Traceback (most recent call last):
    ...
    metricopt._errors.ConfigError: a formula cannot hold "__import__('os').system('ls')"; it is
    made of y, f(x), numbers, + - * and: aq, min, max, ...
    """
    if not isinstance(text, str) or len(text) > _MOST_CHARACTERS:
        raise ConfigError(f"a formula must be text of at most {_MOST_CHARACTERS:,} characters, got {shown(text)}")
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        raise ConfigError(
            f"cannot read the formula {shown(text)}: {getattr(error, 'msg', None) or 'it is no formula'}. "
            "Write it like abs(log(f(x) * y))"
        ) from None
    return checked(_of_ast(tree, 0))


def to_latex(formula: Formula) -> str:
    r"""For a paper.

    >>> to_latex(parse("square(y - f(x))"))
    '\\left(y - f(x)\\right)^2'
    """
    if formula.name in ("y", "f"):
        return {"y": "y", "f": "f(x)"}[formula.name]
    if formula.name == "number":
        return _number(formula.value)
    operator = OPERATORS[formula.name]
    parts = []
    for at, child in enumerate(formula.children):
        written = to_latex(child)
        tight = _binding(formula) + (at if formula.name in _INFIX else 0)
        parts.append(rf"\left({written}\right)" if formula.name in _INFIX and _binding(child) < tight else written)
    return operator.latex.format(*parts)


def to_plain(formula: Formula) -> Any:
    """Nested lists and numbers for JSON.

    >>> to_plain(parse("y * log(f(x))"))
    ['mul', 'y', ['log', 'f']]
    """
    if formula.name == "number":
        return formula.value
    return [formula.name, *map(to_plain, formula.children)] if formula.children else formula.name


def from_plain(value: object) -> Formula:
    """What `to_plain` wrote; raises ConfigError for anything else.

    >>> str(from_plain(["mul", "y", 2]))
    'y * 2'
    """
    left = [MOST_NODES]

    def read(value: object, depth: int) -> Formula:
        left[0] -= 1
        if left[0] < 0 or depth > MOST_HEIGHT:
            raise ConfigError(
                f"a formula may have {MOST_NODES} nodes and a height of {MOST_HEIGHT}; this one has more: simplify it"
            )
        if isinstance(value, int | float) and not isinstance(value, bool):
            return Formula.number(_finite(value))
        if value == "y":
            return Y
        if value == "f":
            return F
        if isinstance(value, list) and value and isinstance(value[0], str):
            if value[0] not in OPERATORS:
                raise ConfigError(f"no operator named {shown(value[0])}; there are: {', '.join(OPERATORS)}")
            return Formula.of(value[0], *(read(child, depth + 1) for child in value[1:]))
        raise ConfigError(
            f"a node of a formula must be 'y', 'f', a number, or a list of an operator and its arguments; got "
            f"{shown(value)}"
        )

    return read(value, 0)


# --- inside --------------------------------------------------------------------------------------------------------


def _written(formula: Formula) -> tuple[str, int]:
    """The text, and how tightly its outermost part binds."""
    if formula.name == "y":
        return "y", 9
    if formula.name == "f":
        return "f(x)", 9
    if formula.name == "number":
        return _number(formula.value), 9
    parts = [_written(child) for child in formula.children]
    if formula.name not in _INFIX:
        return f"{formula.name}({', '.join(text for text, _ in parts)})", 9
    # Operators of one kind bind from the left, so the right side needs its brackets: the tree comes back as it was.
    binds = _INFIX[formula.name][0]
    (left, left_binds), (right, right_binds) = parts
    left = left if left_binds >= binds else f"({left})"
    right = right if right_binds > binds else f"({right})"
    return f"{left} {OPERATORS[formula.name].symbol} {right}", binds


def _binding(formula: Formula) -> int:
    return _INFIX[formula.name][0] if formula.name in _INFIX else 9


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) and abs(value) < 1e6 else repr(value)


def _of_ast(node: ast.expr, depth: int) -> Formula:
    if depth > MOST_HEIGHT:
        raise ConfigError(f"a formula may have a height of {MOST_HEIGHT}; this one has more: simplify it")
    if isinstance(node, ast.Constant):
        return Formula.number(_finite(node.value))
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        inside = _of_ast(node.operand, depth + 1)
        return (
            Formula.number(-inside.value) if inside.name == "number" else Formula.of("mul", Formula.number(-1), inside)
        )
    if isinstance(node, ast.Name) and node.id in ("y", "f"):
        return {"y": Y, "f": F}[node.id]
    if isinstance(node, ast.BinOp) and type(node.op) in _OF_AST:
        return Formula.of(_OF_AST[type(node.op)], *(_of_ast(side, depth + 1) for side in (node.left, node.right)))
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not node.keywords:
        return _of_call(node, node.func.id, depth)
    raise _unreadable(node)


def _of_call(node: ast.Call, name: str, depth: int) -> Formula:
    if name == "f" and [getattr(argument, "id", None) for argument in node.args] == ["x"]:
        return F
    if name not in OPERATORS:
        raise _unreadable(node)
    return Formula.of(name, *(_of_ast(argument, depth + 1) for argument in node.args))


def _finite(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ConfigError(f"a formula cannot hold {shown(value)}; write a number")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    return number


def _unreadable(node: ast.expr) -> ConfigError:
    functions = ", ".join(name for name in OPERATORS if name not in _INFIX)
    return ConfigError(
        f"a formula cannot hold {shown(ast.unparse(node))}; it is made of y, f(x), numbers, + - * and: {functions}"
    )
