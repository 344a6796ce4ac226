"""Digests of tensors, of models, and of anything made of tensors."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn


def digest(values: Iterable[Any]) -> str:
    """Sixteen hex digits over shapes, dtypes and values of tensors, in any nest.

    >>> digest([torch.zeros(2)]) == digest([torch.zeros(2)]) != digest([torch.zeros(3)])
    True
    """
    total = hashlib.blake2b(digest_size=8)
    for value in values:
        _into(total, value)
    return total.hexdigest()


def digest_of_model(model: nn.Module) -> str:
    """Over the names and values of its state."""
    state = model.state_dict()
    values = digest(value for value in state.values() if isinstance(value, Tensor))
    return hashlib.blake2b((values + "\x1f".join(state)).encode(), digest_size=8).hexdigest()


def _into(total: Any, value: Any) -> None:
    if isinstance(value, dict):
        for name in value:
            total.update(repr(name).encode())
            _into(total, value[name])
    elif isinstance(value, list | tuple):
        total.update(f"{len(value)}[".encode())
        for part in value:
            _into(total, part)
    elif isinstance(value, str | None | bool | int | float):
        total.update(repr(value).encode())
    else:
        array = value if isinstance(value, Tensor) else np.asarray(value)  # of images of PIL the pixels
        if not isinstance(array, Tensor) and array.dtype.kind not in "biufc":
            total.update(_pickled(value))
            return
        flat = torch.as_tensor(array).detach().cpu().contiguous()
        total.update(f"{tuple(flat.shape)}{flat.dtype}".encode())
        total.update(flat.reshape(-1).view(torch.uint8).numpy().data)


def _pickled(value: Any) -> bytes:
    """What is no array: an object of the user's own. Its text may hold an address, which differs in every process."""
    try:
        return pickle.dumps(value, protocol=4)
    except (pickle.PicklingError, AttributeError, TypeError, RuntimeError):
        return type(value).__qualname__.encode()
