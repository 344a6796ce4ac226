"""One process-wide setting for every test: one thread, reproducible numbers, nothing of the user's touched."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, settings

from tally import Tally


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--all", action="store_true", help="the exhaustive forms as well, in full: `make test-all`")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Of tests that are marked `exhaustive` every tenth case runs, and of each function at least one.

    What is marked `full` runs with `--all` alone. Nothing is dropped: `make test-all` runs everything.
    """
    if config.getoption("--all"):
        return
    seen: dict[str, int] = {}
    kept, left = [], []
    for item in items:
        out = item.get_closest_marker("full") is not None
        if item.get_closest_marker("exhaustive") is not None:
            function = item.nodeid.partition("[")[0]
            out = seen.get(function, 0) % 10 != 0
            seen[function] = seen.get(function, 0) + 1
        (left if out else kept).append(item)
    if left:
        config.hook.pytest_deselected(items=left)
        items[:] = kept


def pytest_configure(config: pytest.Config) -> None:
    """Runs before any module is collected, so doctests and child processes see it too."""
    config.addinivalue_line("markers", "exhaustive: many cases of one kind; a tenth of them without --all")
    config.addinivalue_line("markers", "full: runs with --all alone")
    config.addinivalue_line("markers", "gpu: needs a GPU; `make test-gpu` runs these")
    os.environ["METRICOPT_TEST_ALL"] = str(int(config.getoption("--all")))
    settings.register_profile(
        "metricopt",
        derandomize=True,
        deadline=None,
        max_examples=30 if config.getoption("--all") else 10,
        database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    settings.load_profile("metricopt")
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True, warn_only=False)
    home = tempfile.TemporaryDirectory(prefix="metricopt-tests-")
    config.add_cleanup(home.cleanup)
    for name in ("HOME", "XDG_CACHE_HOME", "METRICOPT_CACHE"):
        path = Path(home.name) / name.lower()
        path.mkdir()
        os.environ[name] = str(path)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    # A terminal's width and colours must not decide what a printed table looks like.
    os.environ.update(COLUMNS="120", NO_COLOR="1", TERM="dumb")


@pytest.fixture(scope="session")
def tally() -> Tally:
    return Tally()
