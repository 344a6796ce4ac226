from __future__ import annotations

import getpass
import json
import platform
import subprocess
import sys
from pathlib import Path

import torch

from metricopt.runtime import environment
from metricopt.runtime.environment import describe_environment, project_root


def test_it_says_what_can_change_a_number() -> None:
    found = describe_environment()
    assert found["python"] == ".".join(map(str, sys.version_info[:3]))
    assert found["torch"] == torch.__version__
    assert found["threads"] == torch.get_num_threads()
    assert 1 <= found["cores"]
    assert found["cpu"]
    assert {"numpy", "scikit-learn", "torchmetrics"} <= set(found["packages"])
    assert "no-such-package" not in found["packages"]
    assert json.loads(json.dumps(found)) == found


def test_it_names_neither_machine_nor_user_nor_place() -> None:
    text = json.dumps(describe_environment())
    for secret in (platform.node(), str(Path.home()), str(Path.cwd()), "/"):
        assert secret not in text.replace("AMD64/", "")
    assert f'"{getpass.getuser()}"' not in text


def _checkout(folder: Path, name: str) -> Path:
    (folder / "src").mkdir(parents=True)
    (folder / "pyproject.toml").write_text(f'[project]\nname = "{name}"\n')
    run = ["git", "-C", str(folder), "-c", "user.name=a", "-c", "user.email=a@b.c"]
    subprocess.run([*run, "init", "-q"], check=True)
    subprocess.run([*run, "add", "."], check=True)
    subprocess.run([*run, "commit", "-q", "-m", "first"], check=True)
    return folder


def test_only_a_checkout_of_this_project_gives_a_commit(tmp_path: Path) -> None:
    ours = _checkout(tmp_path / "ours", "metricopt")
    other = _checkout(tmp_path / "other", "shop")
    assert project_root(ours / "src") == ours
    # A copy in the environment of another project: that project's commit says nothing about this package.
    assert project_root(other / "src") is None
    (other / "pyproject.toml").write_text("not [ toml")
    assert project_root(other / "src") is None
    (other / "pyproject.toml").unlink()
    assert project_root(other / "src") is None


def test_a_commit_says_whether_files_differ_from_it(tmp_path: Path) -> None:
    ours = _checkout(tmp_path / "ours", "metricopt")
    head = environment._commit_of(ours)
    assert head is not None
    assert len(head) == 40
    (ours / "untracked").write_text("")
    assert environment._commit_of(ours) == head
    (ours / "pyproject.toml").write_text('[project]\nname = "metricopt"\nversion = "2"\n')
    assert environment._commit_of(ours) == head + "+changes"
    assert environment._commit_of(tmp_path) is None
