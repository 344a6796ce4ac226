"""One process-wide setting for every test: one thread, reproducible numbers, nothing of the user's touched."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, settings

settings.register_profile(
    "metricopt",
    derandomize=True,
    deadline=None,
    max_examples=30,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def pytest_configure(config: pytest.Config) -> None:
    """Runs before any module is collected, so doctests and child processes see it too."""
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
