"""On a GPU everything gives what it gives on a CPU: `make test-gpu`."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import metricopt
from job_case import threshold_case
from metricopt.adapters import Film, OutputShift, attach
from metricopt.losses import cross_entropy
from metricopt.workload import TensorWorkload


class SmallConv(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.last = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.relu(self.second(torch.relu(self.first(x)))).mean(dim=(2, 3)))  # type: ignore[no-any-return]


pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here"),
]


@pytest.mark.parametrize("memory", [1 << 30, 1 << 14])
@pytest.mark.parametrize("autocast", [None, torch.bfloat16])
def test_a_workload_on_a_gpu(memory: int, autocast: torch.dtype | None) -> None:
    torch.manual_seed(0)
    model, images, labels = SmallConv().eval(), torch.randn(40, 3, 8, 8), torch.arange(40) % 3
    found = []
    for device in ("cpu", "cuda"):
        moved = model.to(device)
        adapted = attach(moved, [Film(), OutputShift()], where={"film": "second"}, probe=images[:4].to(device))
        data = (images.to(device), labels.to(device))
        made = TensorWorkload(
            adapted, loss=cross_entropy, train=data, val=data, batch_size=8, memory=memory, autocast=autocast
        )
        phis = 0.1 * torch.randn(5, made.dim, generator=torch.Generator().manual_seed(1))
        indices = torch.stack([made.draws(seed, 1)[0] for seed in range(5)])
        losses, grads = made.loss_and_grad(phis, indices)
        found.append(
            [made.predict(phis).float().cpu(), losses.float().cpu(), grads.float().cpu(), made.phi_scale.cpu()]
        )
        adapted.detach()
    tolerance = 1e-3 if autocast is None else 0.1
    for cpu, cuda in zip(*found, strict=True):
        torch.testing.assert_close(cuda, cpu, rtol=tolerance, atol=tolerance)


def test_the_one_call_job_on_a_gpu() -> None:
    case = threshold_case()
    results = [case.optimized(device=device, method="threshold") for device in ("cpu", "cuda")]
    assert results[1].accepted
    assert results[1].after == pytest.approx(results[0].after, abs=0.02)
    assert next(results[1].model.parameters()).device.type == "cpu"  # where the model was


def test_losses_are_bred_on_a_gpu() -> None:
    torch.manual_seed(0)
    x = torch.randn(300, 3)
    data = {"train": (x[:150], (x[:150, 0] > 0.5).float()), "val": (x[150:], (x[150:, 0] > 0.5).float())}
    found = [
        metricopt.evolve(nn.Linear(3, 1), metric="f1", preset="smoke", device=device, quiet=True, **data)
        for device in ("cpu", "cuda")
    ]
    assert abs(found[0].before - found[1].before) < 0.1
    assert next(found[1].model.parameters()).device.type == "cpu"  # where it was given
