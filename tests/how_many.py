"""How many cases of a loop run: all of them in `make test-all`, else a tenth."""

from __future__ import annotations

import os


def everything() -> bool:
    """Whether `--all` was given."""
    return os.environ.get("METRICOPT_TEST_ALL") == "1"


def cases(count: int) -> range:
    """`range(count)` with `--all`, else the first tenth of it, at least one."""
    return range(count if everything() else max(count // 10, 1))
