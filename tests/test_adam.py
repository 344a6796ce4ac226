"""Adam without torch.optim: bit for bit the same."""

from __future__ import annotations

import pytest
import torch

from metricopt._adam import Adam, AdamW


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


def test_it_is_that_of_torch_for_many_tensors_at_a_rate_that_falls() -> None:
    source = torch.Generator().manual_seed(0)
    start = [torch.randn(4, 7, generator=source), torch.randn(7, generator=source)]
    theirs, ours = ([point.clone().requires_grad_(True) for point in start] for _ in range(2))
    stepper = torch.optim.AdamW(theirs, lr=0.07, weight_decay=0.01, fused=True)
    adam = AdamW(ours, 0.07, decay=0.01)
    for _ in range(30):
        slopes = [torch.randn(point.shape, generator=source) for point in start]
        for point, slope in zip(theirs, slopes, strict=True):
            point.grad = slope.clone()
        stepper.step()
        adam.step(slopes)
        assert all(torch.equal(mine, other) for mine, other in zip(ours, theirs, strict=True))
        adam.rate *= 0.9
        stepper.param_groups[0]["lr"] *= 0.9
