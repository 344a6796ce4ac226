"""Networks that losses are tried on: linear, MLP, LeNet-5, All-CNN-C, a small ResNet. Their values are drawn anew."""

from __future__ import annotations

import math
from collections.abc import Callable

from torch import nn

from metricopt._errors import ConfigError
from metricopt._perceptron import perceptron
from metricopt._registry import Registry
from metricopt.tasks.images import CifarResNet


def linear(inputs: tuple[int, ...], outputs: int) -> nn.Sequential:
    """One layer on the flat input."""
    return nn.Sequential(nn.Flatten(), nn.Linear(math.prod(inputs), outputs))


def mlp(inputs: tuple[int, ...], outputs: int, *, hidden: tuple[int, ...] = (64,)) -> nn.Sequential:
    """ReLU layers of these widths.

    Differs from the paper: it has two of 1,000, which take an hour where this takes minutes, on two cores.
    """
    return nn.Sequential(nn.Flatten(), *perceptron((math.prod(inputs), *hidden, outputs), activation=nn.ReLU))


def lenet5(inputs: tuple[int, ...], outputs: int) -> nn.Sequential:
    """LeNet-5 with ReLU and max-pooling (LeCun et al. 1998), for images of 28 x 28 or 32 x 32.

    >>> import torch
    >>> lenet5((1, 28, 28), 10)(torch.zeros(2, 1, 28, 28)).shape
    torch.Size([2, 10])
    """
    channels, size = _image(inputs, "lenet5", (28, 32))
    return nn.Sequential(
        nn.Conv2d(channels, 6, 5, padding=2 if size == 28 else 0),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(400, 120),
        nn.ReLU(),
        nn.Linear(120, 84),
        nn.ReLU(),
        nn.Linear(84, outputs),
    )


def all_cnn_c(inputs: tuple[int, ...], outputs: int, *, width: int = 96) -> nn.Sequential:
    """All-CNN-C (Springenberg et al. 2015, table 1) without dropout: nine convolutions, a mean over positions.

    >>> import torch
    >>> all_cnn_c((3, 32, 32), 10, width=8)(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 10])
    """
    channels, _ = _image(inputs, "all_cnn_c", (28, 32))

    def block(inside: int, out: int, size: int, stride: int = 1, padding: int = 1) -> list[nn.Module]:
        return [nn.Conv2d(inside, out, size, stride=stride, padding=padding), nn.ReLU()]

    wide = 2 * width
    return nn.Sequential(
        *block(channels, width, 3),
        *block(width, width, 3),
        *block(width, width, 3, stride=2),
        *block(width, wide, 3),
        *block(wide, wide, 3),
        *block(wide, wide, 3, stride=2),
        *block(wide, wide, 3, padding=0),
        *block(wide, wide, 1, padding=0),
        *block(wide, outputs, 1, padding=0)[:1],
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
    )


def resnet(inputs: tuple[int, ...], outputs: int, *, depth: int = 8) -> nn.Module:
    """The ResNet of He et al. for CIFAR-10 of this depth, 6 n + 2."""
    if inputs != (3, 32, 32) or outputs != 10:
        raise ConfigError(f"resnet takes images of (3, 32, 32) and 10 classes, got {inputs} and {outputs}")
    return CifarResNet(depth)


#: Name -> network for inputs of a shape, without the rows, and so many outputs.
BASE_MODELS: Registry[Callable[[tuple[int, ...], int], nn.Module]] = Registry("base model")
BASE_MODELS.add("linear", linear)
BASE_MODELS.add("mlp", mlp)
BASE_MODELS.add("lenet5", lenet5)
BASE_MODELS.add("all_cnn_c", all_cnn_c)
BASE_MODELS.add("resnet", resnet)


def _image(inputs: tuple[int, ...], name: str, sizes: tuple[int, ...]) -> tuple[int, int]:
    if len(inputs) != 3 or inputs[1] != inputs[2] or inputs[1] not in sizes:
        raise ConfigError(
            f"{name} takes square images of {' or '.join(map(str, sizes))} pixels, got inputs of {inputs}"
        )
    return inputs[0], inputs[1]
