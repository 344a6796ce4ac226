"""The layers of ARCHITECTURE.md, enforced by reading every import, also those inside functions."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
SOURCE = REPOSITORY / "src" / "metricopt"

MAX_LINES = 450

#: Layer of each top-level part of the package: the table of ARCHITECTURE.md.
LAYERS = {
    **dict.fromkeys(
        (
            *("_errors", "_vmap_or_loop", "_types", "_checks", "_registry", "_random", "_phi", "_scores", "_extras"),
            "_digest",
            "_adam",
            "_metric_names",
            "_parts",
            "_perceptron",
            "_shown",
            "_typed",
        ),
        0,
    ),
    **dict.fromkeys(("adapters", "metrics", "losses", "runtime"), 1),
    "profiles": 2,
    **dict.fromkeys(("workload", "asking", "memory"), 3),
    "problem": 4,
    **dict.fromkeys(("value", "search", "evolution"), 5),
    **dict.fromkeys(("methods", "report", "tasks"), 7),
    "job": 8,
    **dict.fromkeys(("bench", "apps"), 9),
    "integrations": 10,
    "cli": 11,
    "__main__": 12,
}

#: The words of the language may use each other; everywhere else siblings are strangers.
BASE_LAYER = 0

#: Packages that an installation may lack, and the only parts that may name them.
OPTIONAL = {
    "botorch": {"methods"},
    "gpytorch": {"methods"},
    "cma": {"methods", "evolution"},
    "pooch": {"tasks"},
    "torchmetrics": {"metrics"},
    "playwright": set[str](),
    "plotly": set[str](),
    **{name: {"integrations"} for name in ("accelerate", "lightning", "mlflow", "tensorboard", "transformers")},
}

#: Slow to import: allowed inside functions only.
SLOW = {"sklearn", "torchmetrics", "scipy", "rich", "pandas", "jinja2", "sympy"}


def violations(root: Path) -> list[str]:
    """Every breach of the rules in the package at `root`, one line each."""
    found = []
    trees = {path.relative_to(root): ast.parse(path.read_text()) for path in sorted(root.rglob("*.py"))}
    eager = _imported_at_once(trees)
    for where, tree in trees.items():
        lines = len((root / where).read_text().splitlines())
        if lines > MAX_LINES:
            found.append(f"{where}: {lines} lines, at most {MAX_LINES}; split it by what it holds")
        deferred = _deferred_lines(tree)
        for line, module in _imports(tree, where):
            late = line in deferred or _dotted(where) not in eager
            late = late or _is_its_integration(where, module)
            problem = _inside(where, module) if module.split(".")[0] == "metricopt" else _outside(where, module, late)
            if problem:
                found.append(f"{where}:{line}: {problem}")
    return found


def _is_its_integration(where: Path, module: str) -> bool:
    """integrations/sklearn may import sklearn at once: who imports it wants its classes, which derive from
    sklearn's."""
    return where.parts[0] == "integrations" and where.with_suffix("").parts[1:2] == (module.split(".")[0],)


def _imported_at_once(trees: Mapping[Path, ast.Module]) -> set[str]:
    """Our modules that run when another one is imported, and all packages: the rest wait inside a function."""
    eager = {_dotted(where) for where in trees if where.name == "__init__.py" or len(where.parts) == 1}
    for where, tree in trees.items():
        deferred = _deferred_lines(tree)
        for line, module in _imports(tree, where):
            if line not in deferred:
                eager.update((module, module.rpartition(".")[0]))  # a module, or a name in one
    return eager


def _dotted(where: Path) -> str:
    return ".".join(["metricopt", *where.with_suffix("").parts]).removesuffix(".__init__")


def _imports(tree: ast.Module, where: Path) -> Iterator[tuple[int, str]]:
    """Line and absolute dotted name of everything that is imported; `from x import y` also as x.y, a module perhaps."""
    package = ["metricopt", *where.parent.parts]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *filter(None, [node.module])])
            ours = module.split(".")[0] == "metricopt"
            for name in [f"{module}.{alias.name}" for alias in node.names] if ours else [module]:
                yield node.lineno, name
        elif isinstance(node, ast.Call) and _is_import_call(node):
            yield node.lineno, _dynamic_name(node)


def _is_import_call(node: ast.Call) -> bool:
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    first = node.args[0] if node.args else None
    return name in ("import_module", "__import__", "require") and isinstance(first, ast.Constant)


def _dynamic_name(node: ast.Call) -> str:
    first = node.args[0]
    assert isinstance(first, ast.Constant)
    return str(first.value)


def _deferred_lines(tree: ast.Module) -> set[int]:
    """Lines that do not run when the module is imported: function bodies and `if TYPE_CHECKING`."""
    lines: set[int] = set()
    for node in ast.walk(tree):
        typing_only = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) or typing_only:
            body = node.body if isinstance(node.body, list) else [node.body]
            for statement in body:
                lines.update(range(statement.lineno, (statement.end_lineno or statement.lineno) + 1))
    return lines


def _part(where: Path) -> str:
    return where.parts[0] if len(where.parts) > 1 else where.stem


def _inside(where: Path, module: str) -> str:
    """What is wrong with an import of our own module, or nothing."""
    importer, parts = _part(where), module.split(".")
    if importer == "__init__":
        return ""  # the public face names every layer, lazily
    if len(parts) == 1:
        return "imports the public face; import the part that holds the name"
    imported = parts[1]
    if imported == "__version__" or imported == importer:
        return ""
    for part in (importer, imported):
        if part not in LAYERS:
            return f"{part!r} has no layer; give it one in ARCHITECTURE.md and in this test"
    if LAYERS[imported] > LAYERS[importer]:
        return f"{importer} (L{LAYERS[importer]}) imports up: {module} (L{LAYERS[imported]})"
    if LAYERS[imported] == LAYERS[importer] != BASE_LAYER:
        return f"{importer} knows its sibling {module} (both L{LAYERS[importer]})"
    return ""


def _outside(where: Path, module: str, deferred: bool) -> str:
    """What is wrong with an import of somebody else's package, or nothing."""
    top, importer = module.split(".")[0], _part(where)
    if top in OPTIONAL and importer not in OPTIONAL[top]:
        return f"{importer} names the optional package {top}; only {sorted(OPTIONAL[top])} may"
    if (top in OPTIONAL or top in SLOW) and not deferred:
        return f"{top} is imported when the module is; import it in the function that uses it"
    return ""


def test_the_package_keeps_its_layers() -> None:
    assert len(list(SOURCE.rglob("*.py"))) > 30
    assert violations(SOURCE) == []


def test_the_table_names_every_part() -> None:
    parts = {_part(path.relative_to(SOURCE)) for path in SOURCE.rglob("*.py")}
    assert parts - {"__init__"} <= set(LAYERS)


def test_the_table_is_the_one_of_the_architecture_page() -> None:
    text = (REPOSITORY / "ARCHITECTURE.md").read_text()
    rows = [line for line in text.splitlines() if line.startswith("| L")]
    for row in rows:
        layer, _, where = (cell.strip() for cell in row.strip("|").split("|"))
        for name in where.replace("`", " ").replace(",", " ").split():
            part = name.rstrip("/").removesuffix(".py")
            assert LAYERS.get(part) == int(layer[1:]), f"{part} is on {layer} in ARCHITECTURE.md"
    assert len(rows) >= 10


@pytest.mark.parametrize(
    ("path", "text", "complaint"),
    [
        ("losses/a.py", "from ..value import fit", "losses (L1) imports up: metricopt.value.fit (L5)"),
        ("losses/a.py", "def f():\n    from ..problem import Problem", "losses/a.py:2: losses (L1) imports up"),
        ("losses/a.py", "def f():\n    import metricopt.bench.table", "imports up: metricopt.bench.table (L9)"),
        (
            "losses/a.py",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from ..cli import main",
            "losses (L1) imports up: metricopt.cli.main (L11)",
        ),
        ("losses/deep/a.py", "from ...search import guide", "losses (L1) imports up: metricopt.search.guide (L5)"),
        ("losses/a.py", "from .. import value", "losses (L1) imports up: metricopt.value (L5)"),
        ("losses/a.py", "from metricopt import cli", "losses (L1) imports up: metricopt.cli (L11)"),
        ("losses/a.py", "import metricopt", "imports the public face"),
        ("value/a.py", "from ..search.guided import Guide", "value knows its sibling metricopt.search.guided"),
        ("losses/a.py", "import importlib\nimportlib.import_module('metricopt.cli')", "losses/a.py:2: losses (L1)"),
        ("_phi.py", "from .losses import LOSSES", "_phi (L0) imports up: metricopt.losses.LOSSES (L1)"),
        ("novelty/a.py", "from .._errors import ConfigError", "'novelty' has no layer"),
        ("methods/__init__.py", "import botorch.acquisition", "botorch is imported when the module is"),
        ("methods/__init__.py", "class A:\n    import cma", "cma is imported when the module is"),
        ("losses/a.py", "def f():\n    import cma", "losses names the optional package cma"),
        ("losses/a.py", "def f():\n    require('pooch', extra='bench', purpose='x')", "optional package pooch"),
        ("metrics/__init__.py", "from sklearn import metrics", "sklearn is imported when the module is"),
        ("integrations/__init__.py", "import sklearn", "sklearn is imported when the module is"),
        ("integrations/other/__init__.py", "import sklearn", "sklearn is imported when the module is"),
        (
            "_phi.py",
            "try:\n    import sympy\nexcept ImportError:\n    pass",
            "_phi.py:2: sympy",
        ),
        ("losses/a.py", "x = 1\n" * 451, "451 lines, at most 450"),
    ],
)
def test_a_breach_is_found(tmp_path: Path, path: str, text: str, complaint: str) -> None:
    file = tmp_path / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    found = violations(tmp_path)
    assert len(found) == 1
    assert complaint in found[0]


@pytest.mark.parametrize("statement", ["from .a import A", "from . import a", "from metricopt.methods.a import A"])
def test_a_module_may_import_a_slow_package_while_only_functions_import_it(tmp_path: Path, statement: str) -> None:
    folder = tmp_path / "methods"
    folder.mkdir()
    (folder / "a.py").write_text("import cma\n\nclass A: ...")
    (folder / "__init__.py").write_text(f"def make():\n    {statement}")
    assert violations(tmp_path) == []
    (folder / "__init__.py").write_text(statement)
    assert violations(tmp_path) == [
        "methods/a.py:1: cma is imported when the module is; import it in the function that uses it"
    ]


def test_what_is_allowed_passes(tmp_path: Path) -> None:
    files = {
        "__init__.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from .cli import main",
        "_phi.py": "from ._errors import ConfigError",
        "losses/a.py": "import torch\nfrom ..losses.card import Card\nfrom .._errors import ConfigError",
        "metrics/a.py": "def f():\n    from sklearn import metrics",
        "methods/a.py": "def f():\n    require('cma', extra='cma', purpose='x')\n    import botorch",
        "value/a.py": "from typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n    import scipy\nfrom ..problem import Problem",
        "integrations/sklearn/__init__.py": "from sklearn.base import BaseEstimator",
        "cli/a.py": "from .. import __version__\nfrom ..bench import table\nfrom metricopt.runtime import store",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert violations(tmp_path) == []
