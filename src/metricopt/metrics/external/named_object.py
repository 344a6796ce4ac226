"""An object that is named in words: a name in a Python file, or a name in a module."""

from __future__ import annotations

import difflib
import hashlib
import importlib
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from ..._errors import ConfigError


def object_from_file(path: str, name: str) -> Any:
    """What `name` is in the Python file at `path`.

    The file is run anew on each call, as a module whose name nobody else uses. While it runs, its folder is where
    imports are looked up first, as for a script.

    Raises:
        ConfigError: no such file, an error in it (with file and line), or no such name in it. Each is one line.
    """
    file = Path(path).expanduser()
    if not file.is_file():
        raise ConfigError(_no_file(file, path))
    file = file.resolve()
    module_name = "_metricopt_file_" + hashlib.sha256(str(file).encode()).hexdigest()[:16]
    spec = spec_from_file_location(module_name, file, loader=_FreshSource(module_name, str(file)))
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[module_name] = module  # dataclasses look their module up while it runs
    try:
        with _first_on_path(file.parent):
            spec.loader.exec_module(module)
    except BaseException as error:
        sys.modules.pop(module_name, None)
        if isinstance(error, Exception | SystemExit):  # a user's file may raise anything, and it is reported
            raise ConfigError(_import_failed(path, error)) from error
        raise
    return _attribute(module, name, path)


def object_from_module(module_name: str, name: str) -> Any:
    """What `name` is in an importable module; the working folder is looked up first.

    Raises:
        ConfigError: no such module, an error while it is imported (with file and line), or no such name in it.

    >>> object_from_module("math", "hypot")(3, 4)
    5.0
    """
    try:
        with _first_on_path(Path.cwd()):
            module = importlib.import_module(module_name)
    except (Exception, SystemExit) as error:  # a user's module may raise anything, and it is reported
        missing = error.name or "" if isinstance(error, ModuleNotFoundError) else ""
        if not missing or not (module_name + ".").startswith(missing + "."):
            raise ConfigError(_import_failed(module_name, error)) from error
        raise ConfigError(
            f"no module {missing!r} can be imported, as {module_name}:{name} asks for; name a file as "
            "path/to/file.py:function, or install the package"
        ) from None
    return _attribute(module, name, module_name)


class _FreshSource(SourceFileLoader):
    """Compiles the source as it is now and leaves no `__pycache__` beside a user's file."""

    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)


@contextmanager
def _first_on_path(folder: Path) -> Iterator[None]:
    entry = str(folder)
    sys.path.insert(0, entry)
    importlib.invalidate_caches()  # a file that was written a moment ago is found
    try:
        yield
    finally:
        if entry in sys.path:
            sys.path.remove(entry)


def _import_failed(shown: str, error: BaseException) -> str:
    """One line: where in the user's own file, and what."""
    todo = "correct it"
    if isinstance(error, SystemExit):
        todo = 'it is imported, not run as a script: put that under if __name__ == "__main__"'
    if isinstance(error, SyntaxError):
        where, what = f"{error.filename or shown}:{error.lineno}", f"{type(error).__name__}: {error.msg}"
    else:
        foreign = (__file__, importlib.__file__)
        frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename[0] != "<"]
        frames = [f for f in frames if f.filename not in foreign]
        lines = [f"{f.filename}:{f.lineno}" for f in frames if f.filename == frames[0].filename]
        where, what = lines[-1] if lines else shown, " ".join(f"{type(error).__name__}: {error}".split())
    return f"{shown} cannot be imported: {where}: {what}; {todo}"


def _attribute(module: ModuleType, name: str, shown: str) -> Any:
    try:
        return getattr(module, name)
    except AttributeError:
        pass
    there = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
    close = difflib.get_close_matches(name, there, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"it has: {', '.join(sorted(there)[:10]) or 'no function'}"
    raise ConfigError(f"{shown} has no {name!r}; {hint}")


def _no_file(file: Path, shown: str) -> str:
    """Why `file` cannot be read as a Python file, with the closest one there is."""
    if file.exists():
        return f"{shown!r} is not a file; give path/to/file.py:function"
    if not file.parent.is_dir():
        return f"no file {shown!r}: there is no folder {str(file.parent)!r}; correct the path"
    close = difflib.get_close_matches(file.name, [p.name for p in file.parent.glob("*.py")], n=1)
    hint = f"did you mean {str(file.with_name(close[0]))!r}?" if close else "correct the path"
    return f"no file {shown!r} (seen from {str(Path.cwd())!r}); {hint}"
