"""Loading authors' modules so that a changed file is seen, and two authors' `actions.py` do not meet.

1. A module's folder is on `sys.path` while it is imported, and not a moment longer.
2. What an import brought in from that folder is remembered. When one of those files has changed by the next load, all
   of them are forgotten and imported afresh; otherwise the same module is handed out again.
3. Installed packages are never reloaded; a new version of them needs a restart.
"""

from __future__ import annotations

import importlib
import sys
import threading
from pathlib import Path
from types import ModuleType

from openclaw.base.bounded import BoundedMap
from openclaw.base.errors import ConfigError

Stamp = tuple[int, int, int]
"""Inode, modification time in ns, size."""

_INSTALLED = frozenset({"site-packages", "dist-packages"})
# Import state is the process's (sys.path, sys.modules), so this is too.
_lock = threading.RLock()
_loaded: BoundedMap[Path, dict[str, Stamp | None]] = BoundedMap("action-folders", 256, lambda _, names: _forget(names))


def load_module(name: str, folder: Path, *, first: bool) -> ModuleType:
    """Import a module, from `folder` too. `first` prefers the folder to what is installed.

    Raises: ConfigError when its name is taken by another module; whatever the module itself raises.
    """
    with _lock:
        known = _loaded.get(folder) or {}
        if any(_stamp(sys.modules.get(module)) != stamp for module, stamp in known.items()):
            _forget(known)
            known = {}
        top = _top(name)
        _make_way(top, folder)
        before = set(sys.modules)
        foreign = {_top(module) for module in before} - {_top(module) for module in known}
        try:
            module = _import(name, folder, first)
        finally:
            fresh = {other for other in set(sys.modules) - before if _top(other) not in foreign}
            own = {other: _stamp(sys.modules[other]) for other in fresh if _is_below(sys.modules[other], folder)}
            _loaded.put(folder, known | own)
        has_it = (folder / top).exists() or (folder / f"{top}.py").exists()
        if first and has_it and not _is_below(module, folder):
            raise ConfigError(
                f"The module name {name!r} is taken by {getattr(module, '__file__', None) or 'a built-in module'}.",
                hint="Rename your module.",
            )
        return module


def _import(name: str, folder: Path, first: bool) -> ModuleType:
    entry = str(folder)
    sys.path.insert(0 if first else len(sys.path), entry)
    # A compiled file is matched by whole seconds: an edit within the same second would be missed.
    written, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    importlib.invalidate_caches()
    try:
        return importlib.import_module(name)
    finally:
        sys.dont_write_bytecode = written
        places = [at for at, place in enumerate(sys.path) if place == entry]
        if places:  # the module may have changed the path itself
            del sys.path[places[0 if first else -1]]


def _make_way(top: str, folder: Path) -> None:
    """Forget another folder's modules of the same name; their objects live on where they are used."""
    for other in list(_loaded):
        names = _loaded.get(other) or {}
        if other != folder and top in map(_top, names):
            _forget(names)
            _loaded.pop(other)


def _forget(names: dict[str, Stamp | None]) -> None:
    tops = set(map(_top, names))
    for name in list(sys.modules):
        if _top(name) in tops:
            del sys.modules[name]


def _top(name: str) -> str:
    return name.partition(".")[0]


def _is_below(module: ModuleType, folder: Path) -> bool:
    places = [getattr(module, "__file__", None), *getattr(module, "__path__", ())]
    for place in filter(None, places):
        path = Path(place)
        if path.is_relative_to(folder) and _INSTALLED.isdisjoint(path.parts):
            return True
    return False


def _stamp(module: ModuleType | None) -> Stamp | None:
    file = getattr(module, "__file__", None)
    if not file:
        return None
    try:
        info = Path(file).stat()
    except OSError:
        return None
    return (info.st_ino, info.st_mtime_ns, info.st_size)
