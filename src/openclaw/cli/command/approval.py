"""`openclaw approvals`: what waits for a person, the decision, and the rules that make asking needless."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from openclaw.base.errors import Conflict, NotFound
from openclaw.cli import output
from openclaw.cli.layout import plain
from openclaw.cli.reach import Reach, gateway_options

ANY_AGENT = "*"
Rule = dict[str, Any]


@click.group()
def approvals() -> None:
    """See what waits for your approval, decide it, and keep the rules of what may run without asking.

    \b
    Examples:
      openclaw approvals list
      openclaw approvals approve 1f0c3a9b
      openclaw approvals allowlist add /usr/bin/uptime --agent main
    """


@approvals.command(name="list")
@click.option("--history", is_flag=True, help="What has been decided, or ended without a decision, instead.")
@output.json_option
@gateway_options
def list_(reach: Reach, history: bool, as_json: bool) -> None:
    """List what waits for a decision, the oldest first.

    \b
    Example:
      openclaw approvals list --history
    """
    found = reach.run(_history(reach) if history else _pending(reach))
    if as_json:
        output.emit_json(found)
        return
    from openclaw.base.clock import SYSTEM_CLOCK

    now = SYSTEM_CLOCK.now_ms()
    rows = [(*_what(row), *_when(row, now)) for row in found]
    if not rows:
        click.echo("Nothing has been asked." if history else "Nothing waits for an approval.")
        return
    output.table(["id", "kind", "what", "ended", "when"] if history else ["id", "kind", "what", "time left"], rows)


async def _pending(reach: Reach) -> list[dict[str, Any]]:
    async with reach.connect() as line:
        found = await line.call("exec.approval.list", {}, reach.timeout_s)
        found += await line.call("plugin.approval.list", {}, reach.timeout_s)
    return sorted(found, key=lambda row: int(row["createdAtMs"]))


async def _history(reach: Reach) -> list[dict[str, Any]]:
    async with reach.connect() as line:
        page = await line.call("approval.history", {"limit": 50}, reach.timeout_s)
    items: list[dict[str, Any]] = page["items"]
    return items


def _what(row: dict[str, Any]) -> tuple[str, str, str]:
    shown = row.get("presentation") or {"kind": row["approvalKind"], **row["request"]}
    text = shown.get("commandText") or shown.get("command") or shown.get("title") or ""
    return row["id"], str(shown["kind"]), plain(str(text))


def _when(row: dict[str, Any], now_ms: int) -> tuple[str, ...]:
    if "resolvedAtMs" in row:
        return _ended(row), output.ago(row["resolvedAtMs"], now_ms)
    return (f"{max(0, row['expiresAtMs'] - now_ms) // 1000} s",)


def _ended(row: dict[str, Any]) -> str:
    return str(row.get("decision") or row["status"]) if row["reason"] == "user" else f"{row['status']}: {row['reason']}"


@approvals.command()
@click.argument("approval_id", metavar="[ID]", required=False)
@output.json_option
@gateway_options
def get(reach: Reach, approval_id: str | None, as_json: bool) -> None:
    """Show one approval, or, without an id, the rules of what may run without asking.

    \b
    Examples:
      openclaw approvals get
      openclaw approvals get ID --json
    """
    if approval_id:
        found = reach.call("approval.get", {"id": approval_id})["approval"]
        shown = found["presentation"]
        fields = {
            "id": found["id"],
            "kind": shown["kind"],
            "what": _what(found)[2],
            "warning": plain(shown.get("warningText") or shown.get("description") or "") or None,
            "agent": shown.get("agentId"),
            "status": found["status"],
            "decision": found.get("decision"),
            "may be": ", ".join(shown["allowedDecisions"]),
        }
    else:
        found = reach.call("exec.approvals.get")
        defaults = found.get("resolvedDefaults", found["file"]["defaults"])
        fields = {
            "file": found["path"],
            "exists": "yes" if found["exists"] else "no",
            **{f"default {name}": value for name, value in defaults.items()},
            "agents with rules": ", ".join(sorted(found["file"].get("agents", {}))) or "none",
        }
    if as_json:
        output.emit_json(found)
    else:
        output.fields(fields)
        for line in (found["presentation"].get("detail") or "").splitlines() if approval_id else ():
            click.echo(f"  {plain(line)}")


@approvals.command()
@click.argument("approval_id", metavar="ID")
@click.option("--always", is_flag=True, help="Allow it from now on, not only this once.")
@click.option("--days", type=click.IntRange(1, 3650), help="With --always: how long a standing grant holds.")
@output.json_option
@gateway_options
def approve(reach: Reach, approval_id: str, always: bool, days: int | None, as_json: bool) -> None:
    """Allow what was asked for.

    \b
    Examples:
      openclaw approvals approve ID
      openclaw approvals approve ID --always --days 30
    """
    if days is not None and not always:
        raise click.UsageError("--days goes with --always.")
    _decide(reach, approval_id, "allow-always" if always else "allow-once", days, as_json=as_json)


@approvals.command()
@click.argument("approval_id", metavar="ID")
@output.json_option
@gateway_options
def deny(reach: Reach, approval_id: str, as_json: bool) -> None:
    """Refuse what was asked for.

    \b
    Example:
      openclaw approvals deny ID
    """
    _decide(reach, approval_id, "deny", None, as_json=as_json)


def _decide(reach: Reach, approval_id: str, decision: str, days: int | None, *, as_json: bool) -> None:
    async def work() -> dict[str, Any]:
        async with reach.connect() as line:
            found = await line.call("approval.get", {"id": approval_id}, reach.timeout_s)
            params = {"id": approval_id, "kind": found["approval"]["presentation"]["kind"], "decision": decision}
            if days is not None:
                params["grantExpiresInDays"] = days
            answer: dict[str, Any] = await line.call("approval.resolve", params, reach.timeout_s)
            return answer

    answer = reach.run(work())
    if not answer["applied"]:
        raise Conflict(f"{approval_id} has ended: {_ended(answer['approval'])}.", hint="`openclaw approvals list`")
    if as_json:
        output.emit_json(answer)
    else:
        click.echo(f"{approval_id}: {decision}.")


@approvals.command()
@output.json_option
@gateway_options
def grants(reach: Reach, as_json: bool) -> None:
    """List the standing grants of automations.

    \b
    Example:
      openclaw approvals grants
    """
    found = reach.call("exec.approval.grants.list", {"limit": 500})
    if as_json:
        output.emit_json(found)
        return
    output.table(
        ["id", "agent", "automation", "command", "state", "used"],
        [
            (
                grant["grantId"],
                grant["agentId"],
                grant["cronJobId"],
                grant["command"],
                "revoked" if grant["revokedAtMs"] else "given",
                grant["useCount"],
            )
            for grant in found["grants"]
        ],
        "There are no standing grants.",
    )


@approvals.command()
@click.argument("grant_id", metavar="ID")
@gateway_options
def revoke(reach: Reach, grant_id: str) -> None:
    """Take a standing grant back.

    \b
    Example:
      openclaw approvals revoke ID
    """
    outcome = reach.call("exec.approval.grants.revoke", {"grantId": grant_id})["outcome"]
    if outcome == "not-found":
        raise NotFound(f"There is no grant {grant_id}.", hint="`openclaw approvals grants` lists them.")
    click.echo(f"{grant_id}: {outcome}.")


@approvals.group()
def allowlist() -> None:
    """Keep the programs that may run without asking: patterns of their resolved paths, per agent.

    \b
    Examples:
      openclaw approvals allowlist list
      openclaw approvals allowlist add /usr/bin/git --agent main
    """


@allowlist.command(name="list")
@output.json_option
@gateway_options
def allowlist_list(reach: Reach, as_json: bool) -> None:
    """List the patterns.

    \b
    Example:
      openclaw approvals allowlist list
    """
    agents = reach.call("exec.approvals.get")["file"].get("agents", {})
    rows = [
        {"agent": agent, "pattern": listed["pattern"], "arguments": listed.get("argPattern", "")}
        for agent, rules in sorted(agents.items())
        for listed in rules.get("allowlist", [])
    ]
    if as_json:
        output.emit_json(rows)
    else:
        output.table(
            ["agent", "pattern", "arguments"],
            [(row["agent"], row["pattern"], row["arguments"]) for row in rows],
            "There are no rules.",
        )


@allowlist.command()
@click.argument("pattern")
@click.option("--agent", "agent_id", default=ANY_AGENT, show_default=True, help="Whose rule it is; * is every agent's.")
@gateway_options
def add(reach: Reach, pattern: str, agent_id: str) -> None:
    """Add a pattern.

    \b
    Example:
      openclaw approvals allowlist add /usr/bin/git --agent main
    """
    _change(reach, agent_id, lambda kept: [*_without(kept, pattern), *_with(kept, pattern)])


@allowlist.command()
@click.argument("pattern")
@click.option("--agent", "agent_id", default=ANY_AGENT, show_default=True, help="Whose rule it is; * is every agent's.")
@gateway_options
def remove(reach: Reach, pattern: str, agent_id: str) -> None:
    """Remove a pattern.

    \b
    Example:
      openclaw approvals allowlist remove /usr/bin/git --agent main
    """
    _change(reach, agent_id, lambda kept: _without(kept, pattern))


def _with(rules: list[Rule], pattern: str) -> list[Rule]:
    """Return the rules of a pattern as they are, or a new one."""
    return [rule for rule in rules if rule["pattern"] == pattern] or [{"pattern": pattern}]


def _without(rules: list[Rule], pattern: str) -> list[Rule]:
    return [rule for rule in rules if rule["pattern"] != pattern]


def _change(reach: Reach, agent_id: str, change: Callable[[list[Rule]], list[Rule]]) -> None:
    """Read the rules, change one list, write them back against the hash that was read."""

    async def work() -> bool:
        async with reach.connect() as line:
            found = await line.call("exec.approvals.get", {}, reach.timeout_s)
            file = found["file"]
            rules = file.setdefault("agents", {}).setdefault(agent_id, {})
            kept = rules.get("allowlist", [])
            changed = change(kept)
            if len(changed) == len(kept):
                return False
            rules["allowlist"] = changed
            params = {"file": file, "baseHash": found["hash"]}
            await line.call("exec.approvals.set", params, reach.timeout_s)
            return True

    click.echo("Done." if reach.run(work()) else "Nothing to change.")
