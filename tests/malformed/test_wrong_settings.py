"""Arguments that nobody should give: one line that says what is wrong, whatever they are."""

from __future__ import annotations

import pytest

from .conftest import Reader


@pytest.mark.exhaustive
@pytest.mark.parametrize("part", range(4))
def test_a_wrong_argument_is_refused_or_does_no_harm(reader: Reader, part: int) -> None:
    for seed in range(150 * part, 150 * (part + 1)):
        reader.judge(reader.ask(kind="settings", seed=seed), seed)
