"""A saved value function: its settings are checked field by field before anything is built from them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from metricopt._errors import CheckpointError
from metricopt.runtime import write_tensors
from metricopt.value import ValueFunction


@pytest.mark.parametrize(
    ("field", "wrong", "message"),
    [
        ("dim", "3", "dim must be a whole number, got '3'"),
        ("dim", 0, "dim must be a whole number of at least 1"),
        ("dim", 4, "should be"),
        ("hidden", [], "hidden must name at least one width"),
        ("hidden", [8, 8], "should be"),
        ("hidden", [8], "lacks the tensors|has the unknown"),
        ("hidden", ["8"], r"hidden\[0\] must be a whole number"),
        ("norm", "instance", "norm must be one of batch, layer, none"),
        ("norm", "none", "has the unknown tensors"),
        ("members", 2, "should be"),
        ("dtype", "float16", "dtype must be one of"),
        ("dtype", "float64", "torch.float64, got"),
        ("extra", 1, "unknown names .'extra'"),
        ("fingerprint", None, "fingerprint must be a string"),
    ],
)
def test_settings_of_a_value_function_are_checked_field_by_field(
    tmp_path: Path, field: str, wrong: object, message: str
) -> None:
    value = ValueFunction(3, hidden=(8, 4), generator=torch.Generator().manual_seed(0))
    settings = {**value.settings(), field: wrong}
    write_tensors(tmp_path / "v", value.state_dict(), kind="value function", version=1, settings=settings)
    with pytest.raises(CheckpointError, match=message):
        ValueFunction.load(tmp_path / "v")
