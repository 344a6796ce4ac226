"""Slices: parts of the rows that a profile looks into, named by the user or found as clusters of the features."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor

from .._digest import digest
from .._errors import ConfigError, MetricOptError
from .._random import derive_seed

#: With more slices their columns drown all others.
MOST_SLICES = 64
#: A cluster needs so many rows, or its figures are chance.
_ROWS_EACH = 10


@final
@dataclass(frozen=True, kw_only=True)
class Slices:
    """Which slices a row belongs to, told from the model's inputs alone.

    Args:
        names: of the slices, for the reader: "women", "shop 7".
        of: inputs of N rows to `(N,)` numbers of their slices (booleans where there are two), or to `(N, S)`
            booleans where a row may be in several.

    >>> slices = Slices(names=["men", "women"], of=lambda x: x[:, 0] > 0)
    >>> slices(torch.tensor([[1.0], [-1.0]]))
    tensor([[0., 1.],
            [1., 0.]])
    """

    names: Sequence[str]
    of: Callable[[Any], Any]

    def __post_init__(self) -> None:
        if isinstance(self.names, str) or not self.names or len(set(self.names)) < len(self.names):
            raise ConfigError(f"slices need different names, one each, got {self.names!r}")
        if not callable(self.of):
            raise ConfigError(f"slices need a function of the inputs: Slices(names=..., of=function), got {self.of!r}")

    def __call__(self, inputs: Any) -> Tensor:
        """`(N, S)`, 1 where a row belongs to a slice, on the CPU.

        Raises: ConfigError where the function fails, or gives no slices.
        """
        try:
            found = torch.as_tensor(self.of(inputs)).detach().cpu()
        except MetricOptError:
            raise
        except Exception as error:
            raise ConfigError(
                f"the function of slices raised {type(error).__name__}: {error}; it is handed the model's inputs of "
                "some rows"
            ) from error
        count = len(self.names)
        if found.dim() == 2 and found.shape[1] == count:
            return found.float()
        numbers = found.long()
        if found.dim() != 1 or bool((numbers != found).any() | (numbers < 0).any() | (numbers >= count).any()):
            raise ConfigError(
                f"the function of slices must give each row the number of its slice, 0 to {count - 1}, or {count} "
                f"booleans; got {found.dtype} of shape {tuple(found.shape)}"
                + (f" from {found.min()} to {found.max()}" if found.numel() else "")
            )
        return torch.nn.functional.one_hot(numbers, count).float()


def clusters(features_of: Callable[[Any], Any], features: Iterable[Any], count: int) -> Slices:
    """`count` clusters of `features` by k-means: slices that nobody has named.

    Args:
        features_of: inputs to features, rows first; maps of features are averaged over their places.
        features: of the rows that the clusters are found in, block by block.
        count: of clusters.

    Raises:
        ConfigError: the features are no tensor, or too few rows.
    """
    from sklearn.cluster import KMeans

    points = torch.cat([_points(block) for block in features])
    if len(points) < _ROWS_EACH * count:
        raise ConfigError(f"{count} clusters need at least {_ROWS_EACH * count} rows, got {len(points)}")
    middle, spread = points.mean(dim=0), points.std(dim=0)
    spread = torch.where(spread > 0, spread, 1.0)
    seed = derive_seed("clusters") % 2**32
    fitted = KMeans(count, n_init=3, random_state=seed).fit(((points - middle) / spread).numpy())
    centres = torch.from_numpy(fitted.cluster_centers_)
    # The same name means the same cluster: what was learned with one set of clusters is no use to another.
    mark = digest([middle, spread, centres])[:4]

    def nearest(rows: Any) -> Tensor:
        return torch.cdist((_points(features_of(rows)) - middle) / spread, centres).argmin(dim=1)

    return Slices(names=[f"cluster {number} ({mark})" for number in range(count)], of=nearest)


def _points(features: Any) -> Tensor:
    if not isinstance(features, Tensor) or features.dim() < 2:
        raise ConfigError(
            "features must be a tensor of numbers for each row to find clusters in; name the slices yourself: "
            "slices=Slices(names=..., of=function of the inputs)"
        )
    kept = features.detach().cpu().double()
    return kept if kept.dim() == 2 else kept.flatten(2).mean(dim=2)
