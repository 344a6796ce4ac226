"""Profiles: what the value function reads of outputs and targets, one file a kind of output."""

from __future__ import annotations

from collections.abc import Callable

from .._registry import Registry
from .binary import BinaryProfile
from .boxes import BoxesProfile
from .embeddings import EmbeddingsProfile
from .lists import ListsProfile
from .multiclass import MulticlassProfile
from .multilabel import MultilabelProfile
from .positions import PositionsProfile
from .profile import Column, Profile
from .slices import MOST_SLICES, Slices, clusters
from .unlabelled import UnlabelledProfile
from .values import ValuesProfile
from .with_columns import WithColumns

#: What makes the profile of a kind of output: `(numbers a row, names of slices) -> Profile`. A kind that is not here
#: has none.
PROFILES: Registry[Callable[[int, tuple[str, ...]], Profile]] = Registry("profile")
PROFILES.add("binary", lambda width, slices: BinaryProfile(slices=slices))
PROFILES.add("multiclass", lambda width, slices: MulticlassProfile(classes=width, slices=slices))
PROFILES.add("multilabel", lambda width, slices: MultilabelProfile(labels=width, slices=slices))
PROFILES.add("values", lambda width, slices: ValuesProfile(slices=slices))
PROFILES.add("positions", lambda width, slices: PositionsProfile(classes=width, slices=slices))
PROFILES.add("lists", lambda width, slices: ListsProfile(slices=slices))
PROFILES.add("embeddings", lambda width, slices: EmbeddingsProfile())
PROFILES.add("boxes", lambda width, slices: BoxesProfile())

__all__ = [
    "MOST_SLICES",
    "PROFILES",
    "BinaryProfile",
    "BoxesProfile",
    "Column",
    "EmbeddingsProfile",
    "ListsProfile",
    "MulticlassProfile",
    "MultilabelProfile",
    "PositionsProfile",
    "Profile",
    "Slices",
    "UnlabelledProfile",
    "ValuesProfile",
    "WithColumns",
    "clusters",
]
