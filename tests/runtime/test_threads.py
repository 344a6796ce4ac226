"""One thread inside, the old number afterwards, also after an error."""

from __future__ import annotations

import pytest
import torch

from metricopt.runtime import one_thread


def test_the_number_of_threads_comes_back_also_after_an_error() -> None:
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        with pytest.raises(RuntimeError, match="inside"), one_thread():
            assert torch.get_num_threads() == 1
            raise RuntimeError("inside")
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
