"""Published image sets and networks, read in the layouts of their publishers."""

from __future__ import annotations

import gzip
import itertools
import os
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .._errors import DataError
from .disk_cache import cache_root
from .files import DATA_VARIABLE

#: Mean and standard deviation of the channels that the published networks were trained with.
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def cifar10() -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Training and test images `(N, 3, 32, 32)` uint8 with their labels `(N,)`, from the "binary version".

    Raises:
        DataError: the six files are neither in the data folder nor in the cache.
    """
    folder = found_below(
        "cifar-10-batches-bin", "unpack cifar-10-binary.tar.gz of https://www.cs.toronto.edu/~kriz there"
    )
    parts = []
    for name in (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"):
        raw = np.fromfile(folder / f"{name}.bin", dtype=np.uint8).reshape(-1, 3073)
        parts.append((torch.from_numpy(raw[:, 1:].reshape(-1, 3, 32, 32)), torch.from_numpy(raw[:, 0].astype(int))))
    train, test = parts[:5], parts[5]
    return (torch.cat([x for x, _ in train]), torch.cat([y for _, y in train])), test


def mnist() -> tuple[Tensor, Tensor]:
    """The 60,000 training images `(N, 1, 28, 28)` uint8 and their labels `(N,)`."""
    folder = found_below("mnist/MNIST/raw", "put the four files of MNIST there")
    with gzip.open(folder / "train-images-idx3-ubyte.gz") as file:
        images = np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 1, 28, 28).copy()
    with gzip.open(folder / "train-labels-idx1-ubyte.gz") as file:
        labels = np.frombuffer(file.read(), np.uint8, offset=8).astype(int)
    return torch.from_numpy(images), torch.from_numpy(labels)


def normalised(images: Tensor) -> Tensor:
    """uint8 images as the published networks take them."""
    mean, deviation = (torch.tensor(channel)[None, :, None, None] for channel in (MEAN, DEVIATION))
    return (images.float() / 255 - mean) / deviation


class _Block(nn.Module):
    """Two 3 x 3 convolutions beside a shortcut without parameters (He et al. 2016, option A)."""

    def __init__(self, width: int, out: int) -> None:
        super().__init__()
        self.stride, self.extra = (2, (out - width) // 2) if out != width else (1, 0)
        self.conv1 = nn.Conv2d(width, out, 3, stride=self.stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(out)
        self.conv2 = nn.Conv2d(out, out, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(out)

    def forward(self, x: Tensor) -> Tensor:
        inner = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        if self.extra:
            x = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.extra, self.extra))
        return F.relu(inner + x)


class CifarResNet(nn.Module):
    """ResNet-20, -32, -44 or -56 for CIFAR-10.

    >>> CifarResNet(20)(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 10])
    """

    def __init__(self, depth: int) -> None:
        super().__init__()
        blocks = (depth - 2) // 6
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        widths = (16, 16, 32, 64)
        self.layer1, self.layer2, self.layer3 = (
            nn.Sequential(*(_Block(a, b) for a, b in itertools.pairwise([before] + [width] * blocks)))
            for before, width in itertools.pairwise(widths)
        )
        self.linear = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.linear(
            self.layer3(self.layer2(self.layer1(F.relu(self.bn1(self.conv1(x)))))).mean(dim=(2, 3))
        )
        return found


def published_resnet(depth: int) -> CifarResNet:
    """The trained ResNet of this depth, in evaluation mode.

    Raises:
        DataError: its weights are not in the data folder.
    """
    from safetensors.torch import load_file

    file = f"resnet{depth}.safetensors"
    folder = found_below("models/cifar10_resnet", f"put {file} there")
    model = CifarResNet(depth)
    missing, unexpected = model.load_state_dict(load_file(folder / file), strict=False)
    if unexpected or any(not name.endswith("num_batches_tracked") for name in missing):
        raise DataError(f"{folder / file} holds no ResNet-{depth}: missing {missing}, unexpected {unexpected}")
    return model.eval()


def found_below(below: str, what_to_do: str) -> Path:
    """The folder of published data below the data folder or the cache.

    Raises:
        DataError: it is in neither; the message says what to do.
    """
    data = os.environ.get(DATA_VARIABLE)
    places = [root / below for root in ([Path(data).expanduser()] if data else []) + [cache_root()]]
    for place in places:
        if place.is_dir():
            return place
    raise DataError(
        f"{below} is in none of {', '.join(str(place) for place in places)}: {what_to_do}, "
        f"or set {DATA_VARIABLE} to the folder that holds it"
    )
