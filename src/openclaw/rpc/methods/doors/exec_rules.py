"""exec.approvals.get and .set: the file of execution rules, read and replaced whole."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from msgspec import Meta

from openclaw.base.errors import Unavailable
from openclaw.policy.exec.rules_file import ExecRules, RulesFile, Snapshot
from openclaw.protocol.validate import NoParams, Params
from openclaw.rpc.method import MethodSpec, Rate
from openclaw.rpc.peer import Peer
from openclaw.rpc.room import Room


class ExecApprovalsSetParams(Params, frozen=True):
    """`baseHash` is the hash of the file that was read; the first file needs none."""

    file: RulesFile
    base_hash: Annotated[str, Meta(min_length=1, max_length=128)] = ""


async def exec_approvals_get(room: Room, peer: Peer, params: NoParams) -> dict[str, Any]:
    """Return the file without its secret."""
    return _row(await asyncio.to_thread(_rules(room).read))


async def exec_approvals_set(room: Room, peer: Peer, params: ExecApprovalsSetParams) -> dict[str, Any]:
    """Replace the file."""
    return _row(await asyncio.to_thread(_rules(room).write, params.file, params.base_hash))


def _rules(room: Room) -> ExecRules:
    if room.deps.state_dir is None:
        raise Unavailable("this gateway has no state directory")
    return ExecRules(room.deps.state_dir)


def _row(snapshot: Snapshot) -> dict[str, Any]:
    return {
        "path": snapshot.path,
        "exists": snapshot.exists,
        "hash": snapshot.hash,
        "file": snapshot.file,
        "resolvedDefaults": snapshot.resolved_defaults,
    }


METHODS = (
    MethodSpec(
        "exec.approvals.get",
        NoParams,
        "operator.admin",
        exec_approvals_get,
        "Returns the rules of what may run without asking, without the token of the socket.",
        "`{path, exists, hash, file{version: 1, socket{path}, defaults{}, agents{}}}`; protocol 4 adds "
        "`resolvedDefaults`.",
    ),
    MethodSpec(
        "exec.approvals.set",
        ExecApprovalsSetParams,
        "operator.admin",
        exec_approvals_set,
        "Replaces those rules, if the file still is the one that `baseHash` names. A token that is left out stays.",
        "As exec.approvals.get.",
        rate=Rate(20, 1),
    ),
)
