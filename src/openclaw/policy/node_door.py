"""The door before every command that a node is asked to carry out.

1. Only what the node offers on this very connection, and what an operator has approved for it, is ever let through.
2. `gateway.nodes.commands.deny` shuts whatever else would open; `*` in it is every command.
3. Commands of HARMLESS pass without being named. All others (running programs, camera, microphone, screen, pages from
   an address, messages, contacts, whatever we have not heard of) pass only when `gateway.nodes.commands.allow` names
   them.
4. Commands that run programs, touch files or drive a screen need an admin, also when the configuration names them.
5. A node's own execution policy is read and written by `exec.approvals.node.*` alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from openclaw.config.schema import NodesConfig
from openclaw.policy.gatekeeper import Ask, Rule, Verdict

KIND: Final = "node"
SETTING = "gateway.nodes.commands"
NEEDS_ADMIN: Final = "node.needs-admin"
"""The rule whose cure is another credential, not another configuration."""

HARMLESS: Final = frozenset(
    (
        "camera.list",
        "canvas.a2ui.push",
        "canvas.a2ui.pushJSONL",
        "canvas.a2ui.reset",
        "canvas.hide",
        "device.health",
        "device.info",
        "device.permissions",
        "device.status",
        "system.notify",
        "system.which",
    )
)
EXEC_POLICY: Final = frozenset(("system.execApprovals.get", "system.execApprovals.set"))
_ADMIN_FAMILIES: Final = (
    "browser.",
    "computer.",
    "desktop.",
    "dir.",
    "file.",
    "fs.",
    "mcp.",
    "system.run",
    "terminal.",
    "workspace.",
)
_REASONS: Final = {
    "node.nothing-offered": "node did not declare commands",
    "node.undeclared": "command not declared by node",
    "node.unapproved": "command not approved",
}


def admin_only(command: str) -> bool:
    """Say whether a command runs programs, touches files or drives a screen: that takes an admin."""
    return command.startswith(_ADMIN_FAMILIES) or command in EXEC_POLICY


def approval_scopes(commands: Iterable[str], *, attaches: bool = False) -> tuple[str, ...]:
    """Return the scopes that approving these commands takes, the least of them first."""
    offered = tuple(commands)
    if attaches or any(map(admin_only, offered)):
        return ("operator.pairing", "operator.admin")
    return ("operator.pairing", "operator.write") if offered else ("operator.pairing",)


def reason_code(verdict: Verdict) -> str:
    """Return what clients of the field match on for a denial."""
    return _REASONS.get(verdict.rule_id, "command not allowlisted")


def node_rule(config: Callable[[], NodesConfig]) -> Rule:
    """Return the rule for kind `node`; it goes by the configuration of the moment.

    Facts: `command`, `declared` and `approved` (collections of names), `exec_policy` True from `exec.approvals.node.*`.
    """

    def rule(ask: Ask) -> Verdict:
        command = ask.facts.get("command")
        declared, approved = ask.facts.get("declared") or (), ask.facts.get("approved") or ()
        if not isinstance(command, str) or not command:
            return Verdict("deny", "node.no-command", "no command is named")
        if not declared:
            return Verdict("deny", "node.nothing-offered", "the node offers no commands")
        if command not in declared:
            return Verdict("deny", "node.undeclared", f'the node does not offer "{command}"')
        if command not in approved:
            return Verdict(
                "deny", "node.unapproved", f'nobody has approved "{command}" of this node: see openclaw nodes pending'
            )
        denied = config().commands.deny
        if command in denied or "*" in denied:
            return Verdict("deny", "node.denied", f'{SETTING}.deny names "{command}", or everything')
        if admin_only(command) and not ask.principal.may("operator.admin"):
            return Verdict("deny", NEEDS_ADMIN, f'"{command}" needs operator.admin')
        if command in EXEC_POLICY:
            return _exec_policy(command, ask.facts.get("exec_policy") is True)
        return _listed(config(), command)

    return rule


def _exec_policy(command: str, by_its_method: bool) -> Verdict:
    if by_its_method:
        return Verdict("allow", "node.exec-policy", "an admin reads or writes the node's execution policy")
    return Verdict("deny", "node.exec-policy", f'"{command}" is for exec.approvals.node.get and .set alone')


def _listed(config: NodesConfig, command: str) -> Verdict:
    if command in HARMLESS:
        return Verdict("allow", "node.harmless", "the command neither runs, records, fetches nor sends anything")
    if command in config.commands.allow:
        return Verdict("allow", "node.listed", f"{SETTING}.allow names it")
    lines = ", ".join(f'"{each}"' for each in (*config.commands.allow, command))
    return Verdict(
        "deny",
        "node.unlisted",
        f'"{command}" is not named in {SETTING}.allow; to allow it the operator runs: '
        f"openclaw config set {SETTING}.allow '[{lines}]'",
    )
