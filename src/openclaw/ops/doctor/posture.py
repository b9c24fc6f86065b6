"""How safe a state directory is, as data, so that what a patch does to it can be judged instead of believed.

The posture is every effective setting, plus who may read what. A change of any of it counts as lower unless a rule here
says that it is not: what nobody has thought of is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from openclaw.base.secret import Secret
from openclaw.config.refusal import is_weak
from openclaw.ops.doctor.checks.state import bits, private_folders, secret_files
from openclaw.ops.doctor.origins import useless
from openclaw.ops.doctor.scene import Scene
from openclaw.ops.token.copies import find_copies

Posture = Mapping[str, Any]


def posture(scene: Scene) -> Posture:
    """Return everything that decides how safe the gateway of this state directory is."""
    found: dict[str, Any] = {}
    _flatten(scene.loaded.config, "", found)
    for path in (*private_folders(scene.paths), *secret_files(scene.paths)):
        found[f"mode {path}"] = bits(path) & 0o077
    for copy in find_copies(scene.paths, scene.loaded, scene.env, scene.cwd, scene.units):
        found[f"copy {copy.kind} {copy.path} {copy.key}"] = _strength(copy.secret)
    return found


def lowered(before: Posture, after: Posture) -> list[str]:
    """Return what is less safe after than before, or differs in a way that no rule knows; empty when nothing is."""
    worse = []
    for name in sorted(before.keys() | after.keys()):
        old, new = before.get(name), after.get(name)
        if old != new and not _allowed(name, old, new):
            worse.append(name)
    return worse


def _allowed(name: str, old: Any, new: Any) -> bool:
    kind = name.partition(" ")[0]
    if kind == "mode":
        return new is None or new & ~(old or 0) == 0
    if kind == "copy":
        return new is not None and (old is None or new >= old)
    rule = _RULES.get(name)
    return rule is not None and rule(old, new)


def _secret_is_no_weaker(old: Any, new: Any) -> bool:
    return isinstance(new, tuple) and (old is None or new[0] >= old[0])


_RULES: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "gateway.control_ui.allowed_origins": lambda old, new: (
        set(new) <= set(old) and set(old) - set(new) <= set(useless(old))
    ),
    "gateway.remote.token": _secret_is_no_weaker,
}


def _strength(secret: Secret) -> int:
    """0 none, 1 weak, 2 strong."""
    return 0 if not secret else 1 if is_weak(secret) else 2


def _flatten(value: Any, path: str, found: dict[str, Any]) -> None:
    if isinstance(value, msgspec.Struct):
        for name in value.__struct_fields__:
            _flatten(getattr(value, name), f"{path}.{name}" if path else name, found)
    elif isinstance(value, Secret):
        found[path] = (_strength(value), value.fingerprint())
    elif isinstance(value, Mapping):
        for key, item in value.items():
            _flatten(item, f"{path}.{key}", found)
    elif isinstance(value, tuple | list) and any(isinstance(item, msgspec.Struct | Mapping) for item in value):
        for at, item in enumerate(value):
            _flatten(item, f"{path}[{at}]", found)
    else:
        found[path] = value
