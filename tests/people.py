"""A small table as people have them: numbers, text, dates, gaps, and a column that counts the rows."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

HEADER = ("", "age", "hours", "job", "since", "pay", "income")


def people(
    path: Path,
    *,
    rows: int = 600,
    separator: str = ",",
    encoding: str = "utf-8",
    labels: tuple[str, str] = ("low", "high"),
    change: Callable[[list[str]], list[str]] = lambda row: row,
) -> Path:
    """Write the table; `high` incomes are the rarer ones, and a network finds them with many mistakes."""
    source = random.Random(0)
    lines = [separator.join(HEADER)]
    for number in range(rows):
        age, hours = source.randint(18, 79), round(source.gauss(40, 8), 1)
        job = source.choice(["clerk", "nurse", "engineer", "driver"])
        score = 0.06 * (age - 48) + 0.1 * (hours - 40) + 2 * (job == "engineer") - 1.6 + source.gauss(0, 1.5)
        row = [
            str(number),
            str(age) if source.random() > 0.05 else "",
            str(hours),
            job if source.random() > 0.03 else "?",
        ]
        row += [f"20{10 + number % 12}-0{1 + number % 9}-15", f"{30 + 10 * score:.2f}", labels[int(score > 0)]]
        lines.append(separator.join(change(row)))
    path.write_bytes(("\n".join(lines) + "\n").encode(encoding))
    return path
