"""The case that every test of the job starts from."""

from __future__ import annotations

import pytest

from job_case import Case, threshold_case


@pytest.fixture
def case() -> Case:
    return threshold_case()
