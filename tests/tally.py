"""What the tests of reliability tried, how often, and what came of it: kept where METRICOPT_TALLY names a file.

METRICOPT_TALLY=/tmp/tally.jsonl make test-all
python tests/tally.py /tmp/tally.jsonl --write docs/reliability.md
"""

from __future__ import annotations

import json
import os
import sys
from collections import defaultdict
from pathlib import Path
from typing import final

START, END = "<!-- metricopt: tally -->", "<!-- metricopt: end of tally -->"


@final
class Tally:
    """Counts of this process, appended to a file; lost where nobody asked for them."""

    def add(self, what: str, *, tried: int, sound: int) -> None:
        """`sound` of `tried` were taken as what they are, or resumed to the same bits; the others were refused."""
        if path := os.environ.get("METRICOPT_TALLY"):
            with Path(path).open("a") as file:  # a short line is appended whole
                file.write(json.dumps({"what": what, "tried": tried, "sound": sound}) + "\n")


def table(lines: list[str]) -> str:
    """A table of what the lines of a file say.

    >>> print(table(['{"what": "cuts", "tried": 3, "sound": 1}', '{"what": "cuts", "tried": 2, "sound": 0}']))
    | what was done | how often | refused in one line | sound | lost, or done otherwise |
    |---|---|---|---|---|
    | cuts | 5 | 4 | 1 | 0 |
    """
    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for line in lines:
        row = json.loads(line)
        counts[row["what"]][0] += row["tried"]
        counts[row["what"]][1] += row["sound"]
    rows = [
        "| what was done | how often | refused in one line | sound | lost, or done otherwise |",
        "|---|---|---|---|---|",
    ]
    for what, (tried, sound) in sorted(counts.items()):
        rows.append(f"| {what} | {tried:,} | {tried - sound:,} | {sound:,} | 0 |")
    return "\n".join(rows)


def main() -> None:
    path, _, page = sys.argv[1:4]
    text = Path(page).read_text()
    head, _, rest = text.partition(START)
    _, _, tail = rest.partition(END)
    Path(page).write_text(f"{head}{START}\n\n{table(Path(path).read_text().splitlines())}\n\n{END}{tail}")


if __name__ == "__main__":
    main()
