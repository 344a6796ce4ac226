"""The page of the arena, made from its rows: `python -m studies.arena_page` rewrites docs/results/arena.md.

The runs themselves: `metricopt bench arena --preset full --out studies/results/arena.jsonl` goes on from the rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from metricopt.bench.arena.page import markdown, picture
from metricopt.bench.arena.presets import CONTROLS, RIVALS
from metricopt.bench.arena.problems import ARENA
from metricopt.bench.arena.standings import problem_of
from metricopt.bench.printed import rewrite_block
from metricopt.runtime import ResultStore, write_atomically

ROWS = Path(__file__).parent / "results" / "arena.jsonl"
DOCS = Path(__file__).parents[1] / "docs"
PAGE, PICTURE = DOCS / "results" / "arena.md", DOCS / "images" / "arena.svg"

_TABLES = frozenset(name for name, about in ARENA.items() if not about.high)
_TAILS = frozenset(name for name in ARENA if name.startswith(("mnist_tail", "cifar_tail")))
_OTHERS = frozenset(name for name in ARENA if name.startswith(("cifar_noise", "resnet")))


@dataclass(frozen=True, kw_only=True)
class Block:
    """One part of the page.

    Args:
        name: in its marks.
        problems, methods, calls, seeds: the rows that it shows.
        controls: of the value function.
        behind: budgets with which another method has the better mean rank, as the page says.
        significant: budgets with which the lead over the second is significant, as the page says.
    """

    name: str
    problems: frozenset[str]
    methods: tuple[str, ...]
    calls: tuple[int, ...]
    seeds: tuple[int, ...] = (0, 1, 2)
    controls: tuple[str, ...] = ()
    behind: tuple[int, ...] = ()
    significant: tuple[int, ...] = ()

    def rows(self, found: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        return [
            row
            for row in found
            if problem_of(row) in self.problems
            and row["settings"]["calls"] in self.calls
            and row["seed"] in self.seeds
            and row["method"] in (*self.methods, *self.controls)
        ]

    def text(self, found: Sequence[dict[str, Any]]) -> str:
        return markdown(self.rows(found), self.methods, self.controls).strip()


#: Finetuning the whole network takes minutes a run on images; Algorithm 1 as printed was not run on all problems.
_ON_ALL = tuple(name for name in RIVALS if name not in ("whole_network", "metricopt_paper"))
_BUDGETS = (10, 20, 50, 100, 200)
_TO_1000 = (*_BUDGETS, 1000)
BLOCKS = (
    Block(
        name="all",
        problems=_TABLES | _TAILS | _OTHERS,
        methods=_ON_ALL,
        calls=_TO_1000,
        controls=CONTROLS,
        significant=_BUDGETS,
    ),
    Block(name="images", problems=_TAILS, methods=_ON_ALL, calls=_TO_1000, significant=(10, 20, 50, 100)),
    Block(name="others", problems=_OTHERS, methods=_ON_ALL, calls=_TO_1000, behind=(20, 50, 1000)),
    Block(
        name="tables",
        problems=_TABLES,
        methods=_ON_ALL,
        calls=_TO_1000,
        controls=CONTROLS,
        behind=(1000,),
        significant=(10, 20),
    ),
    Block(name="fourteen", problems=_TABLES, methods=RIVALS, calls=(20, 50, 100, 200)),
)


def main() -> None:
    found = ResultStore(ROWS).rows()
    for block in BLOCKS:
        rewrite_block(PAGE, block.name, block.text(found))
    write_atomically(PICTURE, picture(BLOCKS[0].rows(found), BLOCKS[0].methods).encode())


if __name__ == "__main__":
    main()
