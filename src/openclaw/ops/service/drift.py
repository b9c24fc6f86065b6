"""Does what is installed still say what this openclaw would write?"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Literal

import msgspec

from openclaw.ops.service.plan import Service

_NOTHING: Mapping[Path, str] = {}
MAX_UNIT_BYTES = 1_000_000
DropState = Literal["absent", "same", "different"]


class Drift(msgspec.Struct, frozen=True):
    """What an installed service has to do with the one that would be installed now.

    Shape: `changes` are the lines of a diff from the installed to the wanted text; `overrides` are drop-ins beside the
    unit, which the operator wrote; `missing` names programs and folders of the service that are not there; `port` and
    `program` are what the installed one says, 0 and "" when it does not.
    """

    state: DropState
    path: str
    changes: tuple[str, ...] = ()
    overrides: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    port: int = 0
    program: str = ""


def drift(service: Service, path: Path, wanted: str, beside: Mapping[Path, str] = _NOTHING) -> Drift:
    """Compare a unit or plist on disk, and what belongs beside it, with the wanted texts.

    Raises: OSError when a file is there but cannot be read.
    """
    installed = read_installed(path)
    if installed is None:
        return Drift("absent", str(path))
    overrides = tuple(sorted(str(each) for each in Path(f"{path}.d").glob("*.conf")))
    needed = (Path(service.argv[0]), service.state_dir)
    missing = tuple(str(each) for each in needed if not each.exists())
    texts = [(path, installed, wanted), *((each, read_installed(each) or "", text) for each, text in beside.items())]
    own = {name for name, _ in service.environment}
    changes = tuple(_without_value(line, own) for each in texts for line in _differing(*each))
    return Drift("different" if changes else "same", str(path), changes, overrides, missing)


def _differing(path: Path, installed: str, wanted: str) -> Iterator[str]:
    before, after = installed.splitlines(), wanted.splitlines()
    yield from difflib.unified_diff(before, after, f"{path} installed", f"{path} wanted", lineterm="", n=0)


def _without_value(line: str, own: Collection[str]) -> str:
    """Cut out the value of a variable that is not ours: somebody may have written a secret into the file."""
    setting, found, assigned = line.partition("Environment=")
    name = assigned.lstrip("\"'").partition("=")[0]
    return line if not found or name in own else f"{setting}{found}{name}=…"


def read_installed(path: Path) -> str | None:
    """Return the text of an installed unit, None when there is none."""
    try:
        with path.open("rb") as file:
            return file.read(MAX_UNIT_BYTES).decode(errors="replace")
    except FileNotFoundError:
        return None
