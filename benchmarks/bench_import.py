"""What `import metricopt`, with every public name used, costs beside `import torch`: fresh processes, alternately.

The two estimators are classes of scikit-learn, so they are measured beside torch and scikit-learn together.
"""

from __future__ import annotations

import subprocess
import sys

from figure import Figure, alternate, main

REPEATS = 5
USED = "import metricopt; [getattr(metricopt, name) for name in metricopt.__all__ if name not in {estimators}]"
ASKED = "import torch, metricopt; metricopt.get_metric('f1')(torch.zeros(3), torch.tensor([1, 0, 1]))"
ESTIMATORS = ("MetricOptClassifier", "MetricOptRegressor")


def measure() -> list[Figure]:
    bare = alternate(lambda: run("import metricopt"), lambda: run("import torch"), REPEATS)
    used = alternate(lambda: run(USED.format(estimators=ESTIMATORS)), lambda: run("import torch"), REPEATS)
    asked = alternate(lambda: run(ASKED), lambda: run("import torch"), REPEATS)
    every = alternate(
        lambda: run(USED.format(estimators=())), lambda: run("import torch, sklearn.metrics, pandas"), REPEATS
    )
    return [
        Figure("import metricopt / import torch", bare, "x", bound=1.3),
        # 1.2 to 1.4: where importing torch takes .8 s, the library's own .25 s weigh more.
        Figure("import metricopt and use every public name but the estimators / import torch", used, "x", bound=1.5),
        Figure("import metricopt and ask a metric of the library once / import torch", asked, "x", bound=1.3),
        Figure("with the estimators / import torch, scikit-learn, pandas", every, "x", bound=1.3),
    ]


def run(code: str) -> None:
    """Run `code` in a fresh process."""
    subprocess.run([sys.executable, "-c", code], check=True)


if __name__ == "__main__":
    raise SystemExit(main(measure))
