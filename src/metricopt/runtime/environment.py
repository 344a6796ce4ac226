"""What a result was measured with: versions and kind of machine, but nothing that names the machine or its user."""

from __future__ import annotations

import functools
import os
import platform
import subprocess
import tomllib
from importlib import metadata
from pathlib import Path
from typing import Any

#: The packages whose version can change a number.
PACKAGES = ("numpy", "scipy", "scikit-learn", "torchmetrics", "safetensors", "cma", "botorch", "gpytorch")


def describe_environment() -> dict[str, Any]:
    """Python, packages, processor, cores, threads, accelerator and commit: one JSON value for a row of results.

    Absent packages are left out. `commit` is None unless the package runs from a git checkout of its own
    project; "+changes" behind it says that tracked files differ from that commit.

    >>> environment = describe_environment()
    >>> environment["cores"] >= 1
    True
    """
    import torch

    from .. import __version__

    return {
        "metricopt": __version__,
        "commit": _commit(),
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "packages": {name: version for name in PACKAGES if (version := _version(name)) is not None},
        "system": f"{platform.system()} {platform.machine()}",
        "cpu": _cpu_model(),
        "cores": _cores(),
        "threads": torch.get_num_threads(),
        "accelerator": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
    }


@functools.cache
def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


@functools.cache
def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    for line in lines:
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _cores() -> int:
    """The cores that this process may use, which can be fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@functools.cache
def _commit() -> str | None:
    # A copy in site-packages may lie inside the checkout of another project, whose commit would be a lie.
    root = project_root(Path(__file__).resolve().parent)
    return None if root is None else _commit_of(root)


def _commit_of(root: Path) -> str | None:
    head = _git(root, "rev-parse", "HEAD")
    if not head:
        return None
    return head + ("+changes" if _git(root, "status", "--porcelain", "--untracked-files=no") else "")


def project_root(start: Path) -> Path | None:
    """The nearest folder above `start` that holds a git checkout, if its pyproject.toml is this package's."""
    for folder in (start, *start.parents):
        if not (folder / ".git").exists():
            continue
        try:
            with (folder / "pyproject.toml").open("rb") as file:
                name = tomllib.load(file).get("project", {}).get("name")
        except (OSError, tomllib.TOMLDecodeError):
            return None
        return folder if name == "metricopt" else None
    return None


def _git(root: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *arguments],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
