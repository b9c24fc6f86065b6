"""Changes of the configuration that agents propose and administrators approve.

1. A proposal is a patch bound to the file as it was: approved later, it is applied to that file alone, or refused.
2. It is shown as what it does to the settings in force, with whatever may open a door marked. Credentials, and who may
   sign in, cannot be proposed: an approval must not depend on reading what is hidden.
3. Only an administrator sees and decides it. Whoever approves is the one who made the change; who proposed is recorded.
4. A proposal waits for a day, also across restarts.
5. The ledger has the proposal, the approval before the change, and a change that could not be made.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, Final

import msgspec

from openclaw.base.audit import Fact
from openclaw.base.errors import InvalidRequest, OpenClawError, PolicyDenied, TooLarge, Unavailable
from openclaw.base.principal import Principal
from openclaw.base.tasks import TaskSet
from openclaw.config.keypath import KeyPath, format_path
from openclaw.config.redaction.redact import hides
from openclaw.config.reference import is_reference
from openclaw.config.writing.rewrite import patched
from openclaw.gateway.config_desk import ConfigDesk
from openclaw.policy.approval import Approval
from openclaw.policy.approvals import MAX_WAIT_MS, Approvals, NewApproval
from openclaw.policy.ledger import Ledger
from openclaw.policy.loosening import Change, changes_between
from openclaw.policy.posture import posture
from openclaw.rpc.config_port import ConfigChange
from openclaw.telemetry.redact import REDACTOR
from openclaw.tools.api import Caller
from openclaw.tools.untrusted import visible

MAX_WAITING: Final = 16
MAX_PATCH_BYTES: Final = 16_000
MAX_DETAIL: Final = 16_000
TOOL: Final = "propose_config"
METHOD: Final = "config.propose"
_NEVER: Final = (("gateway", "auth"), ("gateway", "remote"), ("secrets",), ("env",))
"""Whose change would decide who is an administrator, or where secrets come from."""

_log = logging.getLogger("openclaw.gateway")


class Proposals:
    """Takes proposals from agents, puts them before administrators, and makes those that are approved."""

    def __init__(self, desk: ConfigDesk, approvals: Approvals, ledger: Ledger) -> None:
        self._desk = desk
        self._approvals = approvals
        self._ledger = ledger
        self._tasks = TaskSet("proposals")
        approvals.follow(METHOD, self._approved)

    async def close(self) -> None:
        """Stop what is being applied."""
        await self._tasks.close()

    async def propose(self, caller: Caller, patch: dict[str, Any], why: str) -> str:
        """See tools.builtin.propose.ProposalPort."""
        raw = msgspec.json.encode(patch)
        if len(raw) > MAX_PATCH_BYTES:
            raise InvalidRequest(f"a proposal has at most {MAX_PATCH_BYTES} bytes")
        if refused := next(_forbidden(patch, ()), None):
            raise InvalidRequest(f"{format_path(refused)[:100]} cannot be proposed: only a person changes it")
        if self._approvals.following(METHOD) >= MAX_WAITING:
            raise Unavailable(f"{MAX_WAITING} proposals wait for a decision already")
        wish = ConfigChange(method=METHOD, rewrite=partial(patched, raw.decode()))
        before, after = await self._desk.preview(wish)
        changes = await asyncio.to_thread(changes_between, before.config, after.config)
        if not changes:
            raise InvalidRequest("the patch changes no setting that is in force")
        new = _shown(caller, changes, why, _effects(before.config, after.config))
        facts: dict[str, Fact] = {"changes": len(changes), "looser": sum(each.looser for each in changes)}
        target = ", ".join(each.path for each in changes)
        await self._ledger.write(
            self._ledger.entry(
                caller.principal,
                "config",
                "propose",
                target,
                answer="ask",
                rule="proposal",
                facts=facts,
                agent=caller.agent_id,
                session=caller.session_key,
                run=caller.run_id,
                tainted=bool(caller.tainted),
            )
        )
        kept = {"patch": raw.decode(), "base": self._desk.revision(before.hash), "target": target}
        row = await self._approvals.request(caller.principal, msgspec.structs.replace(new, follow=METHOD, kept=kept))
        return row.id

    def _approved(self, by: Principal, approval: Approval) -> None:
        self._tasks.spawn(self._apply(by, approval), "apply")

    async def _apply(self, by: Principal, approval: Approval) -> None:
        target = approval.kept["target"]
        facts: dict[str, Fact] = {"proposal": approval.id, "proposer": approval.owner, "agent": approval.agent_id}
        try:
            if not by.may("operator.admin"):
                raise PolicyDenied("only an administrator changes the configuration")
            await self._ledger.note(by, "config", METHOD, target, answer="allow", rule="proposal.approved", facts=facts)
            note = f"proposed by {approval.agent_id} of {approval.owner}; approved as {approval.id}"
            rewrite = partial(patched, approval.kept["patch"])
            change = ConfigChange(method=METHOD, rewrite=rewrite, base=approval.kept["base"], note=note)
            await self._desk.write(change, by)
        except OpenClawError as error:
            fields = {"proposal": approval.id, "why": error.message}
            _log.error("proposal_not_applied", extra={"fields": fields})
            await self._ledger.note(
                by, "config", METHOD, target, answer="deny", rule="proposal.failed", reason=error.message, facts=facts
            )


def _shown(caller: Caller, changes: tuple[Change, ...], why: str, effects: list[str]) -> NewApproval:
    """Return what administrators are shown."""
    changes = tuple(sorted(changes, key=lambda each: (not each.looser, each.path)))
    looser = [each for each in changes if each.looser]
    what = ", ".join(each.path for each in changes)
    told = [
        f"The agent {caller.agent_id} proposes {len(changes)} changed settings.",
        f"{len(looser)} of them may open a door." if looser else "None of them opens a door.",
        f"It had read text from outside ({visible(caller.tainted)[:80]})." if caller.tainted else "",
        f"It says: {visible(why)}",
    ]
    lines = [f"{'LOOSER ' if each.looser else ''}{each.path}: {each.before} -> {each.after}" for each in changes]
    detail = REDACTOR.clean("\n".join([*lines, *map(visible, effects)]))
    if len(detail) > MAX_DETAIL:
        raise TooLarge("whoever decides could not see all of it; propose less at once")
    request = {
        "pluginId": None,
        "title": f"Configuration: {what}"[:80],
        "description": REDACTOR.clean(" ".join(filter(None, told)))[:512],
        "detail": detail,
        "severity": "critical" if looser else "warning",
        "toolName": TOOL,
        "toolCallId": None,
        "agentId": caller.agent_id,
        "sessionKey": caller.session_key,
        "allowedDecisions": ("allow-once", "deny"),
    }
    return NewApproval(
        kind="plugin",
        request=request,
        timeout_ms=MAX_WAIT_MS,
        agent_id=caller.agent_id,
        session_key=caller.session_key,
        offered=("allow-once", "deny"),
        needs="operator.admin",
    )


def _effects(before: Any, after: Any) -> list[str]:
    """Return the rows of the effective policy that differ, before and after."""
    old = {(row.area, row.what): f"{row.value} ({row.level})" for row in posture(before)}
    new = {(row.area, row.what): f"{row.value} ({row.level})" for row in posture(after)}
    changed = [key for key in (*old, *(key for key in new if key not in old)) if old.get(key) != new.get(key)]
    rows = [
        f"{area}, {what}: {old.get((area, what), 'none')} -> {new.get((area, what), 'none')}" for area, what in changed
    ]
    return ["", "Effective policy:", *rows] if rows else []


def _forbidden(value: Any, path: KeyPath) -> Iterator[KeyPath]:
    """Yield the path of everything in a patch that no agent may propose.

    Those are credentials, who may sign in, files to read in, and texts that stand for a variable's or a secret's value.
    """
    swept = not isinstance(value, Mapping) and any(path == each[: len(path)] for each in _NEVER)
    stands_for_another = is_reference(value) or (isinstance(value, str) and "${" in value)
    if swept or stands_for_another or path[:1] in _NEVER or path[:2] in _NEVER or hides(path):
        yield path
    elif isinstance(value, Mapping):
        for key, item in value.items():
            if key.startswith("$") or "${" in key:
                yield (*path, key)
            yield from _forbidden(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _forbidden(item, (*path, index))
