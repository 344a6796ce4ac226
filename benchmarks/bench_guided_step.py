"""A guided step (P = 3, k = 3) beside a plain loss step: the plug-in line is all that differs.

Both sides draw a mini-batch, run forward and backward to phi, and let SGD step. They share the model.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from figure import Figure, alternate, main
from metricopt.adapters import AdaptedModel, Film, attach
from metricopt.losses import cross_entropy
from metricopt.search import Guide, GuidedES
from metricopt.tasks import adapter_set, mlp
from metricopt.value import ValueFunction

ROWS, FEATURES = 34_189, 123  # the training split of A9A
#: Steps timed together: the clock and a passing load then weigh little, and the figure is that of a longer run.
STEPS = 5


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def finetuning(
    adapted: AdaptedModel, draw: Callable[[], tuple[Tensor, Tensor]], *, guided: bool, steps: int
) -> Callable[[], None]:
    """`steps` steps of finetuning phi on the loss, or the same with the guide between backward and step."""
    phi = adapted.phi
    optimizer = torch.optim.SGD([phi], lr=1e-3)
    guide = None
    if guided:
        value = ValueFunction(len(phi), generator=generator()).eval()
        guide = Guide(GuidedES(value=value.frozen(), pairs=3, k=3), generator=generator())

    def run() -> None:
        for _ in range(steps):
            inputs, targets = draw()
            optimizer.zero_grad()
            cross_entropy(adapted(inputs), targets).backward()  # type: ignore[no-untyped-call]
            if guide is not None:
                guide.steer(phi)
            optimizer.step()

    return run


def tabular_sides() -> list[Callable[[], None]]:
    """Guided and plain: MLP 123-100-30-10-1, d = 16, batch 512."""
    features = (torch.rand(ROWS, FEATURES, generator=generator()) < 0.11).float()
    targets = (torch.rand(ROWS, generator=generator()) < 0.24).float()
    net = mlp(FEATURES, generator=generator()).eval()

    def draw() -> tuple[Tensor, Tensor]:
        indices = torch.randint(ROWS, (512,))
        return features[indices], targets[indices]

    adapted = attach(net, adapter_set("shifted", dim=16), probe=features[:2])
    return [finetuning(adapted, draw, guided=guided, steps=STEPS) for guided in (True, False)]


def image_sides() -> list[Callable[[], None]]:
    """Guided and plain: three convolutions, 94k weights, Film with d = 128, batch 128 of 32 x 32 images."""
    blocks: list[nn.Module] = []
    for inputs, outputs in ((3, 32), (32, 64), (64, 128)):
        blocks += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU(), nn.MaxPool2d(2)]
    net = nn.Sequential(*blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(128, 10)).eval()
    net = net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    images = torch.randn(512, 3, 32, 32, generator=generator())
    labels = torch.randint(10, (512,), generator=generator())

    def draw() -> tuple[Tensor, Tensor]:
        indices = torch.randint(512, (128,))
        return images[indices].contiguous(memory_format=torch.channels_last), labels[indices]

    adapted = attach(net, Film(), where=nn.Conv2d, dim=128, probe=images[:2])
    return [finetuning(adapted, draw, guided=guided, steps=1) for guided in (True, False)]


def measure() -> list[Figure]:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    tabular = alternate(*tabular_sides(), repeats=200, warmup=20)
    images = alternate(*image_sides(), repeats=120, warmup=3)
    return [
        Figure("guided step / loss step, tabular MLP, d = 16, batch 512", tabular, "x", bound=1.20),
        Figure("guided step / loss step, 3-conv net, d = 128, batch 128", images, "x", bound=1.05),
    ]


if __name__ == "__main__":
    raise SystemExit(main(measure))
