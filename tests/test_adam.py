"""Adam without torch.optim: bit for bit the same."""

from __future__ import annotations

import pytest
import torch

from metricopt._adam import Adam


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_it_is_that_of_torch(dtype: torch.dtype) -> None:
    source = torch.Generator().manual_seed(0)
    start = torch.randn(4, 7, generator=source, dtype=dtype)
    theirs = start.clone().requires_grad_(True)
    stepper, mine, adam = torch.optim.Adam([theirs], 0.07), start.clone(), Adam(0.07)
    for _ in range(30):
        slope = torch.randn(4, 7, generator=source, dtype=dtype)
        theirs.grad = slope.clone()
        stepper.step()
        adam.step(mine, slope)
        assert torch.equal(mine, theirs.detach())
