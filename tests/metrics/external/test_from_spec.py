"""A metric in one word: what each word becomes, and one line for every word that cannot be one."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from metricopt._errors import ConfigError
from metricopt.metrics import metric_from_spec
from metricopt.metrics.external import Command, Endpoint

SCORES, TARGETS = torch.tensor([2.0, -1.0, 3.0, -2.0]), torch.tensor([1, 0, 0, 0])

SOURCE = """
from __future__ import annotations
from dataclasses import dataclass
import numpy as np
import neighbour
from metricopt.metrics import get_metric
from sklearn.metrics import make_scorer, fbeta_score
from torchmetrics.classification import BinaryF1Score

@dataclass
class Settings:
    scale: float = neighbour.SCALE

def share_wrong(scores, targets):
    assert type(scores) is np.ndarray and type(targets) is np.ndarray
    return Settings().scale * ((scores > 0.5) != targets).mean()

ours = get_metric("mcr")
f2 = make_scorer(fbeta_score, beta=2)
LEVEL = 3
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    (tmp_path / "rate.py").write_text(SOURCE)
    (tmp_path / "neighbour.py").write_text("SCALE = 1.0")
    package = tmp_path / "rating_package_of_a_test"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "inner.py").write_text(
        "def half(scores, targets):\n    return 0.5 * (type(scores).__name__ == 'ndarray')\n"
    )
    monkeypatch.chdir(tmp_path)
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if not name.startswith(("sklearn", "scipy", "torchmetrics")):
            del sys.modules[name]


@pytest.mark.parametrize(
    ("text", "given", "name", "higher"),
    [
        ("f1", {}, "f1", True),
        (" mcr ", {"higher_is_better": False}, "mcr", False),
        ("roc_auc", {}, "auroc", True),
        ("neg_brier_score", {}, "neg_brier_score", False),
        ("recall_at_k(k=3)", {}, "recall_at_k(k=3)", True),
        ("f_beta( beta = 0.5 )", {}, "f_beta(beta=0.5)", True),
        ("f1()", {}, "f1", True),
        ("rate.py:share_wrong", {"higher_is_better": False, "reads": "probabilities"}, "share_wrong", False),
        ("./rate.py:ours", {}, "mcr", False),
        ("rate.py:f2", {}, "fbeta_score", True),
        ("rate.py:BinaryF1Score", {}, "BinaryF1Score", True),
        ("rating_package_of_a_test.inner:half", {"higher_is_better": True}, "half", True),
        ("sklearn.metrics:hamming_loss", {"higher_is_better": False}, "hamming_loss", False),
    ],
)
def test_what_a_word_becomes(folder: Path, text: str, given: dict[str, Any], name: str, higher: bool) -> None:
    before = list(sys.path)
    metric = metric_from_spec(text, **given)
    assert (metric.name, metric.higher_is_better) == (name, higher)
    assert 0.0 < metric(SCORES, TARGETS) <= 1.0
    assert sys.path == before
    assert not (folder / "__pycache__" / "rate.cpython-311.pyc").exists()


def test_bounds_and_reads_reach_the_metric(folder: Path) -> None:
    given: dict[str, Any] = {"higher_is_better": True, "bounds": (-1.0, 2.0), "reads": "labels"}
    for text in ("rate.py:share_wrong", f"cmd:{sys.executable}", "http://localhost/rate"):
        metric = metric_from_spec(text, **given)
        assert (metric.bounds, metric.reads) == ((-1.0, 2.0), "labels")
    assert metric_from_spec("neg_log_loss", bounds=(0, 9)).bounds == (0.0, 9.0)


def test_a_short_name() -> None:
    metric = metric_from_spec("mae", bounds=(0, 4))
    assert (metric.name, metric.higher_is_better, metric(SCORES, TARGETS)) == ("mae", False, 1.75)


def test_a_command(folder: Path) -> None:
    (folder / "my rate.py").write_text("import sys\nprint(0.5 if sys.argv[1] == 'a $HOME' else 'no')")
    text = f"cmd:{sys.executable} -I -S 'my rate.py' 'a $HOME' {{file}}"
    metric = metric_from_spec(text, higher_is_better=True)
    assert isinstance(metric.fn, Command)
    assert metric.fn.command == (sys.executable, "-I", "-S", "my rate.py", "a $HOME", "{file}")
    assert metric(SCORES, TARGETS) == 0.5
    assert len(metric.name) <= 40


def test_a_url() -> None:
    metric = metric_from_spec("https://example.org:81/rate/?key=hidden", higher_is_better=False)
    assert isinstance(metric.fn, Endpoint) and metric.fn.url == "https://example.org:81/rate/?key=hidden"
    assert metric.name == "example.org:81/rate"


def test_a_file_is_read_anew(folder: Path) -> None:
    for value in ("0.1", "0.2"):  # of one length, in one second: a cached file would not notice
        (folder / "again.py").write_text(f"def rate(scores, targets): return {value}")
        assert metric_from_spec("again.py:rate", higher_is_better=True)(SCORES, TARGETS) == float(value)


def test_home_and_absolute_paths(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(folder))
    for text in ("~/rate.py:share_wrong", f"{folder}/rate.py:share_wrong"):
        assert metric_from_spec(text, higher_is_better=False).name == "share_wrong"


@pytest.mark.parametrize("text", ["rate.py:share_wrong", "cmd:python3 x.py", "http://localhost/a", "math:dist"])
def test_a_direction_is_never_guessed(folder: Path, text: str) -> None:
    with pytest.raises(ConfigError, match="does not state its direction; pass --maximize or --minimize$"):
        metric_from_spec(text)


@pytest.mark.parametrize(
    ("text", "given", "message"),
    [
        ("mcr", {"higher_is_better": True}, "'mcr' states --minimize, but --maximize was passed"),
        ("", {}, "the name of the metric is empty; `metricopt metrics` lists"),
        ("average_precison", {}, "did you mean 'average_precision'"),
        ("f_beat(beta=2)", {}, "no metric named 'f_beat' that takes options; did you mean 'f_beta'"),
        ("f_beta(2)", {}, r"must look like name=number, got '2'; try recall_at_k\(k=5\)"),
        ("f_beta(beta=two)", {}, "must look like name=number, got 'beta=two'"),
        ("f_beta(alpha=2)", {}, r"got unknown \['alpha'\]"),
        ("recall_at_k", {}, r"missing \['k'\]"),
        ("neg_log_loss", {}, "no finite range; pass --bounds LOW HIGH"),
        ("raet.py:share_wrong", {}, "no file 'raet.py'.*did you mean 'rate.py'"),
        ("zzz.py:share_wrong", {}, "no file 'zzz.py'.*correct the path"),
        ("none/rate.py:share_wrong", {}, "there is no folder 'none'"),
        ("./:share_wrong", {}, "'./' is not a file"),
        ("rate.py", {}, "names a file but no function in it; write rate.py:function"),
        ("rate.py:", {}, "is not a metric; write path/to/file.py:function"),
        (":f", {}, "is not a metric; write path/to/file.py:function"),
        ("f1:a b", {}, "is not a metric"),
        ("rate.py:share_wrogn", {}, "rate.py has no 'share_wrogn'; did you mean 'share_wrong'"),
        ("neighbour.py:rate", {}, "neighbour.py has no 'rate'; it has: no function"),
        ("rate.py:LEVEL", {}, "'LEVEL' in rate.py is a int and cannot be called"),
        ("no_such_package_here:f", {}, "no module named 'no_such_package_here' can be imported|no module"),
        ("rating_package_of_a_test.outer:f", {}, "no module 'rating_package_of_a_test.outer' can be imported"),
        ("math:dits", {}, "math has no 'dits'; did you mean 'dist'"),
        ("cmd:", {}, "'cmd:' names no program"),
        ("cmd:rate 'a", {}, "cannot be split into words: No closing quotation"),
        ("cmd:no-such-program-here x", {}, "no program 'no-such-program-here' that can be run"),
        ("cmd:python3", {"reads": "model"}, "cannot read the model"),
        ("cmd:python3 --data:{file}", {}, "'--data:{file}' of .* would stay as it is: it stands for the path"),
        ("cmd:python3 {file} 'a {file}'", {}, "in 'a {file}' of .*write {file} or --data={file}"),
        ("maee", {}, "did you mean 'mae'"),
        ("http://localhost/", {"reads": "model"}, "cannot read the model"),
        ("ftp://example.org/a", {}, "must begin with http:// or https://"),
        ("http://", {}, "must begin with http:// or https:// and a host"),
    ],
)
def test_a_word_that_cannot_be_a_metric_is_one_line(
    folder: Path, text: str, given: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        metric_from_spec(text, **given)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("x = 1\ny = (\n", r"bad.py:2: SyntaxError: '\(' was never closed; correct it"),
        ("x = 1\n\ny = 1 / 0\n", "bad.py:3: ZeroDivisionError: division by zero; correct it"),
        ("import numpy\n\ndef f():\n    numpy.zeros(-1)\nf()\n", "bad.py:4: ValueError: negative dimensions"),
        ("import no_such_package_here\n", "bad.py:1: ModuleNotFoundError: No module named 'no_such_package_here'"),
        ("raise ValueError('two\\nlines')\n", "bad.py:1: ValueError: two lines"),
        (
            "import sys\nsys.exit('usage: bad')\n",
            "bad.py:2: SystemExit: usage: bad; it is imported, not run as a script",
        ),
        ("from metricopt.metrics import get_metric\nget_metric('g1')\n", "bad.py:2: ConfigError: no metric named 'g1'"),
        ("x = '\\xff'.encode('latin-1')\nz = '\udcff'", "bad.py.*SyntaxError"),
    ],
)
@pytest.mark.parametrize("text", ["bad.py:f", "bad:f"])
def test_an_error_in_the_file_is_one_line_with_its_place(folder: Path, text: str, source: str, message: str) -> None:
    (folder / "bad.py").write_bytes(source.encode(errors="surrogateescape"))
    before = set(sys.modules)
    with pytest.raises(ConfigError, match=rf"^bad(.py)? cannot be imported: .*{message}") as caught:
        metric_from_spec(text, higher_is_better=True)
    assert "\n" not in str(caught.value)
    assert not any(name.startswith("_metricopt_file_") for name in set(sys.modules) - before)
    assert str(folder) not in sys.path


def test_ctrl_c_while_a_file_is_imported_goes_on_upwards(folder: Path) -> None:
    (folder / "bad.py").write_text("raise KeyboardInterrupt")
    for text in ("bad.py:f", "bad:f"):
        with pytest.raises(KeyboardInterrupt):
            metric_from_spec(text, higher_is_better=True)


def test_a_function_cannot_write_into_the_targets(folder: Path) -> None:
    (folder / "rude.py").write_text("def rate(scores, targets):\n    return float(targets.flags.writeable)")
    assert metric_from_spec("rude.py:rate", higher_is_better=True)(SCORES, np.array([1, 0, 0, 1])) == 0.0
