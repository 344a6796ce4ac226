"""What a metric does beside returning a number stays with it: where it works, and what it draws."""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np
import torch

_lock = threading.Lock()
_inside = 0
#: Global random states: of whoever calls metrics, and of the metrics.
_outside: Any = None
_own: Any = None


@contextmanager
def contained() -> Iterator[None]:
    """A call of a metric: afterwards the working folder and the global random states are what they were.

    Metrics have global random states of their own, which go on from call to call, so that one that draws examples does
    not draw the same ones each time. Of calls side by side in threads the first and the last one switch.

    >>> before = torch.random.get_rng_state()
    >>> with contained():
    ...     os.chdir("/")
    ...     _ = torch.manual_seed(3)
    >>> bool(torch.equal(torch.random.get_rng_state(), before)), os.getcwd() != "/"
    (True, True)
    """
    folder = _folder()
    _enter()
    try:
        yield
    finally:
        _leave()
        if folder is not None and _folder() != folder:
            with suppress(OSError):  # it may be gone
                os.chdir(folder)


def _enter() -> None:
    global _inside, _outside
    with _lock:
        _inside += 1
        if _inside == 1:
            _outside = _states()
            if _own is not None:
                _restore(_own)


def _leave() -> None:
    global _inside, _own
    with _lock:
        _inside -= 1
        if _inside == 0:
            _own = _states()
            _restore(_outside)


def _states() -> tuple[Any, Any, Any]:
    return random.getstate(), np.random.get_state(), torch.random.get_rng_state()


def _restore(states: tuple[Any, Any, Any]) -> None:
    random.setstate(states[0])
    np.random.set_state(states[1])
    torch.random.set_rng_state(states[2])


def _folder() -> str | None:
    try:
        return os.getcwd()
    except OSError:
        return None
