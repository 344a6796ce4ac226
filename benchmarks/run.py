"""Every speed benchmark, each in a process of its own: prints each figure beside its bound, exits 1 on a miss.

python benchmarks/run.py            all of them
python benchmarks/run.py import     those whose name contains "import"
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from figure import Figure

HERE = Path(__file__).resolve().parent


def main(arguments: Sequence[str] | None = None, folder: Path = HERE) -> int:
    parser = argparse.ArgumentParser(description="Run benchmarks/bench_*.py; exit 1 where a figure misses its bound.")
    parser.add_argument("names", nargs="*", help="only scripts whose name contains one of these")
    options = parser.parse_args(arguments)
    scripts = find(folder, options.names)
    if not scripts:
        print(f"no benchmark matches {options.names}; there are: {', '.join(p.stem for p in find(folder, []))}")
        return 1
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}", flush=True)
    missed: list[str] = []
    for script in scripts:
        print(f"\n{script.stem}", flush=True)
        start = time.perf_counter()
        figures, problem = run(script)
        for figure in figures:
            print(f"  {figure.line()}", flush=True)
        if problem:
            print(f"  FAIL {problem}", flush=True)
        print(f"  ({time.perf_counter() - start:.1f} s)", flush=True)
        missed += [figure.line() for figure in figures if not figure.holds]
        missed += [f"{script.stem}: {problem}"] if problem else []
    print("\nall figures keep their bounds" if not missed else "\nfell short:\n  " + "\n  ".join(missed))
    return 1 if missed else 0


def find(folder: Path, names: Sequence[str]) -> list[Path]:
    """The scripts of `folder` by name, all of them if no names are given."""
    scripts = sorted(folder.glob("bench_*.py"))
    return [path for path in scripts if not names or any(name in path.stem for name in names)]


def run(script: Path) -> tuple[list[Figure], str]:
    """The figures of one script, and what went wrong with it, if anything did."""
    with tempfile.TemporaryDirectory() as scratch:
        report = Path(scratch) / "figures.json"
        # Its own lines are repeated here from the report; whatever it says on standard error passes through.
        command = [sys.executable, str(script), "--json", str(report)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)  # 1 says "fell short"
        if not report.exists():
            return (
                [],
                f"no figures, exit code {done.returncode}; it printed: {done.stdout.strip()[-2000:] or 'nothing'}",
            )
        figures = [Figure(**row) for row in json.loads(report.read_text())]
    return figures, "" if figures else "it measured nothing"


if __name__ == "__main__":
    raise SystemExit(main())
