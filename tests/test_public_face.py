"""The public face: few names, all of them real, and cheap to import."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

import metricopt


@pytest.mark.parametrize("name", metricopt.__all__)
def test_every_name_resolves_and_keeps_its_own_name(name: str) -> None:
    value = getattr(metricopt, name)
    assert value.__name__ == name
    assert value.__module__.startswith("metricopt")
    assert value.__doc__


def test_the_face_is_small_and_sorted() -> None:
    assert len(set(metricopt.__all__)) == len(metricopt.__all__)


def test_what_is_lazy_is_what_is_typed_is_what_is_listed() -> None:
    """The three lists cannot drift apart: the lazy table, the imports for type checkers, and `__all__`."""
    tree = ast.parse(Path(metricopt.__file__).read_text())
    blocks = [node for node in tree.body if isinstance(node, ast.If)]
    typed = {
        alias.asname or alias.name: f".{node.module}"
        for block in blocks
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert typed == metricopt._FACE
    assert set(metricopt.__all__) == set(metricopt._FACE)


def test_dir_lists_the_face_before_anything_is_used() -> None:
    assert set(metricopt.__all__) <= set(dir(metricopt))
    assert "__version__" in dir(metricopt)


def test_an_unknown_name_is_an_attribute_error_with_the_names_there_are() -> None:
    with pytest.raises(AttributeError, match=r"no attribute 'atach'.*attach"):
        metricopt.atach  # noqa: B018 - reading the attribute is the test
    assert not hasattr(metricopt, "atach")


def test_the_version_is_the_one_of_the_package() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+(\.dev\d+|a\d+|b\d+|rc\d+)?", metricopt.__version__)
    assert metadata.version("metricopt") == metricopt.__version__


def _modules_after(code: str) -> set[str]:
    code += "; import sys; print(*sorted(name.partition('.')[0] for name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_importing_the_package_loads_nothing_slow() -> None:
    slow = {"sklearn", "torchmetrics", "scipy", "rich", "pandas", "typer", "cma", "botorch", "pooch", "torch"}
    loaded = _modules_after("import metricopt")
    assert "metricopt" in loaded
    assert not loaded & slow


def test_using_every_public_name_loads_no_optional_and_no_slow_package() -> None:
    # The estimators derive from classes of scikit-learn; whoever names them wants it.
    names = [name for name, module in metricopt._FACE.items() if module != ".integrations.sklearn"]
    loaded = _modules_after(f"import metricopt; [getattr(metricopt, name) for name in {names}]")
    assert "torch" in loaded
    assert not loaded & {"sklearn", "torchmetrics", "scipy", "rich", "pandas", "cma", "botorch", "pooch"}


def test_the_commands_are_there_without_torch() -> None:
    """Help, completion and most mistakes: nobody waits two seconds for these."""
    assert not _modules_after("import metricopt.cli.app") & {"torch", "numpy", "pandas", "rich"}


def test_tuning_toward_a_metric_of_the_library_imports_nothing_slow() -> None:
    """Its import takes longer than many a search."""
    script = """
import sys, torch, metricopt
x = torch.randn(300, 3, generator=torch.Generator().manual_seed(0))
y, net = (x[:, 0] > 0.6).float(), torch.nn.Linear(3, 1)
rows = {"train": (x[:100], y[:100]), "val": (x[100:], y[100:])}
metricopt.optimize(net, metric="f1", **rows, budget=70, method="threshold", quiet=True)
sys.exit(bool({"sklearn", "torchmetrics", "scipy.stats", "transformers"} & set(sys.modules)))
"""
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
