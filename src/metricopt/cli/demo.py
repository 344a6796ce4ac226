"""`metricopt demo`: the job on a table with real data that scikit-learn brings along."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from . import options
from .optimize import Begun, optimize_file, resumable
from .printed import Printed, show
from .words import as_command

_COST = '''"""What a misread digit costs. Change it, and run the command again with another --run."""

import numpy as np


def cost_of_misreading(read, truth):
    """Mean cost of the digits that were read, against the true ones."""
    too_high, too_low = read > truth, read < truth
    return np.mean(10.0 * too_high + 1.0 * too_low)
'''

_DATA = """\
1,797 handwritten digits (UCI, part of scikit-learn), 8 x 8 pixels each. The lower half of every digit is torn off, and
only 15 % of them are there to learn from: the network will often have to guess.
They are amounts on cheques. A digit that is read too high costs 10, one that is read too low costs 1. That is the
metric, a few lines of NumPy in {cost}; no loss function knows it.
The network learns from cross-entropy as usual, then it is tuned toward the cost. Of the digits that the training does
not use, some are searched on, some decide whether the change is kept, and some nobody sees before the end.
The same as a command, for data of your own:

    {command}
"""

#: The upper half of a digit: 4 of 8 rows.
_ROWS = 4
#: Most rows measure here: mistakes are rare and dear, and only their number tells a gain from chance.
_SETTINGS = {"validation": 0.6, "acceptance": 0.5, "test": 0.25, "calls": 500, "seed": 0}


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("demo")(demo)


def demo(
    ctx: typer.Context,
    folder: Annotated[Path, typer.Option(help="Where data, metric and run are written.")] = Path("metricopt-demo"),
    quiet: options.Quiet = False,
    as_json: options.Json = False,
) -> None:
    """Show the whole job on real data, in less than two minutes.

    Half-legible digits on cheques, and a cost that no loss function knows. Writes the data and the metric to a folder,
    tunes a network toward the metric, and names the report to open.
    """
    silent = quiet or as_json
    result = resumable(ctx, lambda begun: _run(folder, begun, silent=silent))
    show(result, as_json=as_json)
    if not as_json:
        typer.echo(f"\nOpen this in a browser: {Path(str(result.plain['report'])).absolute()}")


def _run(folder: Path, begun: Begun, *, silent: bool) -> Printed:
    from ..apps.table.request import TableRequest
    from ..runtime import write_atomically

    data, cost, run = folder / "digits.csv", folder / "cost.py", folder / "run"
    write_atomically(cost, _COST.encode())
    write_atomically(data, _digits().encode())
    metric = f"{cost}:cost_of_misreading"
    if not silent:
        words = ["optimize", str(data), "--target", "digit", "--metric", metric, "--minimize", "--bounds", "0", "10"]
        words += ["--reads", "labels", "--run", str(run)]
        words += [word for name, value in _SETTINGS.items() for word in (f"--{name}", str(value))]
        typer.echo(_DATA.format(cost=cost, command=as_command(words)))
    settings: dict[str, Any] = _SETTINGS
    request = TableRequest(
        path=data, target="digit", metric=metric, higher_is_better=False, bounds=(0, 10), reads="labels", **settings
    )
    # A run that an earlier version of the demo left there is another run; it stays.
    result = optimize_file(request, begun, run=None, base=run, quiet=silent)
    return result.with_lines(*_misread(Path(str(result.plain["run"]))))


def _digits() -> str:
    """The upper halves as CSV, the digit in the last column."""
    from sklearn.datasets import load_digits

    images, digits = load_digits(return_X_y=True)
    pixels = _ROWS * 8
    names = [f"row{at // 8}_column{at % 8}" for at in range(pixels)] + ["digit"]
    rows = [",".join(map(str, [*map(int, image[:pixels]), digit])) for image, digit in zip(images, digits, strict=True)]
    return "\n".join([",".join(names), *rows]) + "\n"


def _misread(run: Path) -> list[str]:
    """How many digits of the acceptance rows were read too high and too low, in one sentence."""
    from .report import read_story

    confusion = read_story(run).confusion
    if confusion is None:
        return []
    before, after = (
        [sum(n for i, row in enumerate(counts) for j, n in enumerate(row) if way * (j - i) > 0) for way in (1, -1)]
        for counts in (confusion.before, confusion.after)
    )
    told = (
        f"Of the acceptance rows, {before[0]} digits were read too high before and {after[0]} after; "
        f"{before[1]} too low before and {after[1]} after."
    )
    return [told]
