"""What `import metricopt`, with every public name used, costs beside `import torch`: fresh processes, alternately."""

from __future__ import annotations

import subprocess
import sys

from figure import Figure, alternate, main

REPEATS = 5


def measure() -> list[Figure]:
    bare = alternate(lambda: run("import metricopt"), lambda: run("import torch"), REPEATS)
    used = alternate(
        lambda: run("import metricopt; [getattr(metricopt, name) for name in metricopt.__all__]"),
        lambda: run("import torch"),
        REPEATS,
    )
    return [
        Figure("import metricopt / import torch", bare, "x", bound=1.3),
        Figure("import metricopt and use every public name / import torch", used, "x", bound=1.3),
    ]


def run(code: str) -> None:
    """Run `code` in a fresh process."""
    subprocess.run([sys.executable, "-c", code], check=True)


if __name__ == "__main__":
    raise SystemExit(main(measure))
