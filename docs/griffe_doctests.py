"""Doctests in docstrings shown as code: without this a line that begins with >>> is a quotation to Markdown."""

from __future__ import annotations

import re
from typing import Any

import griffe

_BLOCK = re.compile(r"(?m)^(?=>>> )(?:.+\n?)+")


class FencedDoctests(griffe.Extension):
    """Puts every run of lines that begins with a prompt into a code block."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        if obj.docstring is not None:
            obj.docstring.value = _BLOCK.sub(
                lambda found: f"```python\n{found[0].rstrip()}\n```\n", obj.docstring.value
            )
