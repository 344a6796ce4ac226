"""What a metric is called in a result and in its report: short enough for a headline."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from urllib.parse import urlsplit

from ...metrics.external.command import FILE

_LENGTH = 40
#: Programs that run a script: the script is what the reader knows.
_INTERPRETER = re.compile(r"(python|pypy|ruby|perl|node|julia|php|Rscript|bash|sh|zsh|uv|env)[\d.]*(\.exe)?")


def called(metric: str, name: str) -> str:
    """The name of a metric for its readers.

    Args:
        metric: in one word, see `metric_from_spec`.
        name: that the metric has.

    Returns: of a command the program or its script with the arguments, of an address the last part of its path, else
        `name`.

    >>> script, address = "cmd:/opt/env/bin/python /tmp/rate.py --fast {file}", "http://127.0.0.1:8765/v1/rate?key=1"
    >>> called(script, ""), called(address, "")
    ('rate.py --fast', 'rate')
    >>> called("cmd:./rate.sh --data={file}", ""), called("https://host:80", ""), called("f1", "f1 of ours")
    ('rate.sh', 'host:80', 'f1 of ours')
    """
    if metric.startswith("cmd:"):
        return _of_command(metric.removeprefix("cmd:")) or name
    if "://" in metric:
        address = urlsplit(metric)
        last = address.path.rstrip("/").rpartition("/")[2]
        return _within(last or address.netloc.rpartition("@")[2]) or name
    return name


def _of_command(command: str) -> str:
    words = shlex.split(command)
    if len(words) > 1 and _INTERPRETER.fullmatch(Path(words[0]).name) and words[1][:1] not in ("-", "{"):
        words = words[1:]
    shown = [Path(words[0]).name, *(word for word in words[1:] if FILE not in word)] if words else []
    return _within(" ".join(shown))


def _within(text: str) -> str:
    return text if len(text) <= _LENGTH else f"{text[: _LENGTH - 3].rstrip()}..."
