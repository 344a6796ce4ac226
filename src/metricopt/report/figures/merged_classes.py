"""A confusion of many classes as one of few: what changed least is put together."""

from __future__ import annotations

from ..report_data import Confusion

#: The most classes that a picture shows one by one.
MOST_CLASSES = 16

Matrix = tuple[tuple[int, ...], ...]


def merged_classes(confusion: Confusion, most: int = MOST_CLASSES) -> Confusion:
    """The classes whose right answers changed most, in their own order, and all others as one.

    >>> confusion = Confusion(("a", "b", "c"), ((5, 0, 0), (0, 5, 0), (1, 0, 4)), ((2, 3, 0), (0, 5, 0), (1, 0, 4)))
    >>> merged_classes(confusion, 2)
    Confusion(labels=('a', '2 others'), before=((5, 0), (1, 9)), after=((2, 3), (1, 9)))
    """
    labels = confusion.labels
    if len(labels) <= most:
        return confusion
    changed = sorted(range(len(labels)), key=lambda at: -abs(confusion.after[at][at] - confusion.before[at][at]))
    kept = sorted(changed[: most - 1])
    groups = [[at] for at in kept] + [[at for at in range(len(labels)) if at not in kept]]
    return Confusion(
        (*(labels[at] for at in kept), _unused(f"{len(labels) - len(kept)} others", labels)),
        _summed(confusion.before, groups),
        _summed(confusion.after, groups),
    )


def right_of_truth(matrix: Matrix) -> list[tuple[int, int]]:
    """For each class (right answers, examples of the class): recall as a fraction.

    >>> right_of_truth(((8, 2), (1, 3)))
    [(8, 10), (3, 4)]
    """
    return [(row[at], sum(row)) for at, row in enumerate(matrix)]


def right_of_predicted(matrix: Matrix) -> list[tuple[int, int]]:
    """For each class (right answers, times that it was predicted): precision as a fraction.

    >>> right_of_predicted(((8, 2), (1, 3)))
    [(8, 9), (3, 5)]
    """
    return right_of_truth(tuple(zip(*matrix, strict=True)))


def _summed(matrix: Matrix, groups: list[list[int]]) -> Matrix:
    return tuple(
        tuple(sum(matrix[row][column] for row in rows for column in columns) for columns in groups) for rows in groups
    )


def _unused(name: str, taken: tuple[str, ...]) -> str:
    while name in taken:
        name += " "
    return name
