"""Pre-trained networks on disk, named by everything that they depend on."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from ..runtime import write_tensors
from .disk_cache import Settings, cache_path, read_entry

#: Part of every key: raise it when pre-training, the network or the split change what comes out.
PRETRAINING_VERSION = 1

_KIND = "pre-trained network"


def load_or_train(
    template: nn.Sequential, *, settings: Settings, train: Callable[[nn.Sequential], None], cache: bool = True
) -> nn.Sequential:
    """`template` with the trained weights of these settings, in evaluation mode.

    Args:
        template: a new network; its values are overwritten.
        settings: all that the trained weights depend on. They are the key, and are kept in the file.
        train: trains its argument in place. It is called only where the cache has no entry.
        cache: False neither reads nor writes the cache.

    Raises:
        CheckpointError: the file of these settings is damaged or does not fit `template`.
    """
    path = cache_path("pretrained", settings)
    if cache and path.is_file():
        state = template.state_dict()
        tensors, _ = read_entry(path, kind=_KIND, version=PRETRAINING_VERSION, template=state)
        template.load_state_dict(tensors)
    else:
        train(template)
        if cache:
            write_tensors(path, template.state_dict(), kind=_KIND, version=PRETRAINING_VERSION, settings=settings)
    return template.eval()
