"""What an agent leaves behind when it is deleted: its files go to the trash, where a person can take them out again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import msgspec

from openclaw.config.disk import make_private


class Left(msgspec.Struct, frozen=True):
    """What became of one folder. `reason` says why it stayed where it was, "" when it did not."""

    path: str
    method: Literal["trash", "missing"] = "trash"
    reason: str = ""


def to_trash(agent_id: str, workspace: Path, others: Sequence[Path], state_dir: Path, stamp: str) -> list[Left]:
    """Move an agent's folders to `<state_dir>/trash/<stamp>-<agent>/`; nothing is ever deleted. Blocking.

    A workspace outside the state directory is a person's own folder and stays, and so does one that another agent
    works in, above or below.
    """
    trash = state_dir / "trash" / f"{stamp}-{agent_id}"
    left = [_move(state_dir / "agents" / agent_id, trash / "agent")]
    if any(workspace == other or workspace in other.parents or other in workspace.parents for other in others):
        return [*left, Left(str(workspace), reason="another agent works there too")]
    if state_dir not in workspace.parents:
        return [*left, Left(str(workspace), reason="it is outside the state directory and was left as it is")]
    return [*left, _move(workspace, trash / "workspace")]


def _move(folder: Path, place: Path) -> Left:
    try:
        make_private(place.parent)
        folder.rename(place)
    except FileNotFoundError:
        return Left(str(folder), method="missing")
    except OSError as error:
        return Left(str(folder), reason=error.strerror or "it cannot be moved")
    return Left(str(folder))
