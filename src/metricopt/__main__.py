"""`python -m metricopt` is the `metricopt` command, where the scripts folder of an environment is not on the PATH."""

from __future__ import annotations

from .cli import main

if __name__ == "__main__":
    main()
