"""Slow twins in NumPy: the value of a formula, and its derivative by a complex step, exact to rounding.

`f(x + ih)` of an analytic f has the imaginary part `h f'(x)` with h as small as 1e-30: no difference is taken, so
nothing cancels. A twin that is to be differentiated computes with complex numbers, and branches and sorts by `.real`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Twin = Callable[[NDArray[np.complex128], NDArray[np.int64]], complex]

STEP = 1e-30


def gradient(twin: Twin, scores: NDArray[np.float64], targets: NDArray[np.int64]) -> NDArray[np.float64]:
    """The derivative of `twin` by each score."""
    slope = np.zeros_like(scores)
    for index in np.ndindex(scores.shape):
        shifted = scores.astype(complex)
        shifted[index] += 1j * STEP
        slope[index] = complex(twin(shifted, targets)).imag / STEP
    return slope


def assert_equals_twin(
    loss: Callable[[Tensor, Tensor], Tensor], twin: Twin, scores: Tensor, targets: Tensor, atol: float = 1e-8
) -> None:
    """Value and gradient of `loss` in float64 are those of its twin."""
    scores = scores.detach().double().requires_grad_()
    value = loss(scores, targets)
    (slope,) = torch.autograd.grad(value, scores)
    arrays = scores.detach().numpy(), targets.numpy()
    expected = complex(twin(arrays[0].astype(complex), arrays[1]))
    assert abs(value.item() - expected.real) < atol, (value.item(), expected.real)
    np.testing.assert_allclose(slope.numpy(), gradient(twin, *arrays), rtol=1e-8, atol=atol)


def sigmoid(x: complex) -> complex:
    """`1 / (1 + e^-x)` without overflow."""
    return complex(1 / (1 + np.exp(-x))) if x.real >= 0 else complex(np.exp(x) / (1 + np.exp(x)))


def softmax(row: NDArray[np.complex128]) -> NDArray[np.complex128]:
    shifted = np.exp(row - max(row.real))
    return shifted / shifted.sum()


def softplus(x: complex) -> complex:
    """`log(1 + e^x)` without overflow."""
    return x + complex(np.log(1 + np.exp(-x))) if x.real > 0 else complex(np.log(1 + np.exp(x)))


def magnitude(x: complex) -> complex:
    """`|x|` of a real number that carries a step: branches by the real part."""
    return x if x.real >= 0 else -x
