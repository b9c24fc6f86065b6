"""`openclaw cron`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from openclaw.cli import output
from openclaw.cli.reach import Reach, gateway_options

F = TypeVar("F", bound=Callable[..., Any])
_UNITS_MS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


class Length(click.ParamType[int]):
    """A length of time such as 30s, 10m, 2h or 1d, as milliseconds."""

    name = "length"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return milliseconds."""
        number, unit = str(value)[:-1], str(value)[-1:]
        if not number.isdigit() or unit not in _UNITS_MS:
            self.fail(f"{value!r} is not a length of time: write 30s, 10m, 2h or 1d", param, ctx)
        return int(number) * _UNITS_MS[unit]


def job_options(command: F) -> F:
    """Add what a job is made of; `cron add` and `cron edit` take the same."""
    options = (
        click.option("--every", type=Length(), help="Run every so long, e.g. 30m."),
        click.option("--cron", "expr", help='Run by a cron expression, e.g. "0 7 * * MON-FRI".'),
        click.option("--tz", help="Time zone of the expression, e.g. Europe/Berlin."),
        click.option("--at", help="Run once, at an ISO 8601 time; without an offset it is UTC."),
        click.option("--message", "-m", help="What the agent is told; it answers in a session of the job's own."),
        click.option("--system-event", help="A line for the main session instead of a message."),
        click.option("--agent", "agent_id", help="Agent that does it; default: the default agent."),
        click.option("--model", help="`provider/model` for this job."),
        click.option("--session", "session_target", help="Where it speaks: main, isolated or session:NAME."),
        click.option("--wake", "wake_mode", type=click.Choice(["now", "next-heartbeat"]), help="When it is read."),
        click.option("--missed", type=click.Choice(["once", "skip"]), help="Times missed while the gateway was down."),
        click.option("--description", help="Shown to people."),
    )
    for option in reversed(options):
        command = option(command)
    return command


def _wish(given: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a job that the flags say. Raises: click.UsageError for flags that contradict."""
    schedules: dict[str, dict[str, Any]] = {
        "every": {"kind": "every", "everyMs": given["every"]},
        "expr": {"kind": "cron", "expr": given["expr"], **({"tz": given["tz"]} if given["tz"] else {})},
        "at": {"kind": "at", "at": given["at"]},
    }
    chosen = [schedule for name, schedule in schedules.items() if given[name] is not None]
    if len(chosen) > 1 or (given["message"] is not None and given["system_event"] is not None):
        raise click.UsageError("Give one of --every, --cron and --at, and one of --message and --system-event.")
    wish: dict[str, Any] = {"schedule": chosen[0]} if chosen else {}
    if given["message"] is not None or given["model"]:
        said = {"message": given["message"], "model": given["model"]}
        wish["payload"] = {"kind": "agentTurn", **{name: text for name, text in said.items() if text is not None}}
    if given["system_event"] is not None:
        wish["payload"] = {"kind": "systemEvent", "text": given["system_event"]}
    names = {"agent_id": "agentId", "session_target": "sessionTarget", "wake_mode": "wakeMode"}
    for name in ("agent_id", "session_target", "wake_mode", "missed", "description"):
        if given[name] is not None:
            wish[names.get(name, name)] = given[name]
    return wish


@click.group(invoke_without_command=True)
@click.pass_context
def cron(ctx: click.Context) -> None:
    """Jobs that run at their times.

    \b
    Examples:
      openclaw cron add "morning mail" --cron "0 7 * * MON-FRI" --tz Europe/Berlin -m "Summarise my mail"
      openclaw cron add "tea" --at 2027-01-31T16:00:00Z --system-event "Tea is ready"
      openclaw cron list
      openclaw cron runs
    """
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_)


@cron.command(name="list")
@click.option("--all", "everything", is_flag=True, help="Also jobs that are switched off.")
@output.json_option
@gateway_options
def list_(reach: Reach, everything: bool, as_json: bool) -> None:
    """List the jobs, the next one first.

    \b
    Example:
      openclaw cron list
    """
    found = reach.call("cron.list", {"includeDisabled": everything, "limit": 200})
    if as_json:
        output.emit_json(found)
        return
    output.table(
        ["id", "name", "when", "next", "last"],
        [
            (
                job["id"],
                job["name"],
                _when(job["schedule"]),
                _moment(job["state"].get("nextRunAtMs")) if job["enabled"] else "off",
                job["state"].get("lastStatus", "-"),
            )
            for job in found["jobs"]
        ],
        "There are no jobs: `openclaw cron add` makes one.",
    )


@cron.command()
@output.json_option
@gateway_options
def status(reach: Reach, as_json: bool) -> None:
    """Say whether jobs run, how many there are, and when the next is due.

    \b
    Example:
      openclaw cron status
    """
    found = reach.call("cron.status")
    if as_json:
        output.emit_json(found)
        return
    word = "running" if found["enabled"] else "switched off (cron.enabled)"
    output.fields({"jobs": f"{found['jobs']}, {word}", "next": _moment(found["nextWakeAtMs"])})


@cron.command()
@click.argument("name")
@job_options
@click.option("--off", is_flag=True, help="Keep it switched off for now.")
@click.option("--keep", is_flag=True, help="Keep a job with one time after it has run.")
@output.json_option
@gateway_options
def add(reach: Reach, name: str, off: bool, keep: bool, as_json: bool, **given: Any) -> None:
    """Make a job.

    \b
    Example:
      openclaw cron add brief --cron "0 7 * * *" --message "What is new today?"
    """
    wish = _wish(given)
    if "schedule" not in wish or not ({"message", "text"} & wish.get("payload", {}).keys()):
        raise click.UsageError("A job needs --every, --cron or --at, and --message or --system-event.")
    wish.setdefault("sessionTarget", "main" if wish["payload"]["kind"] == "systemEvent" else "isolated")
    if keep:
        wish["deleteAfterRun"] = False
    _told(reach.call("cron.add", {"name": name, "enabled": not off, **wish}), as_json)


@cron.command()
@click.argument("job_id")
@click.option("--name", help="Another name.")
@job_options
@output.json_option
@gateway_options
def edit(reach: Reach, job_id: str, name: str | None, as_json: bool, **given: Any) -> None:
    """Change a job; what is not named stays.

    \b
    Example:
      openclaw cron edit JOB --every 2h
    """
    patch = _wish(given) | ({"name": name} if name is not None else {})
    if not patch:
        raise click.UsageError("Name something to change.")
    _told(reach.call("cron.update", {"id": job_id, "patch": patch}), as_json)


@cron.command()
@click.argument("job_id")
@gateway_options
def enable(reach: Reach, job_id: str) -> None:
    """Switch a job on.

    \b
    Example:
      openclaw cron enable JOB
    """
    reach.call("cron.update", {"id": job_id, "patch": {"enabled": True}})
    click.echo(f"{job_id} is on.")


@cron.command()
@click.argument("job_id")
@gateway_options
def disable(reach: Reach, job_id: str) -> None:
    """Switch a job off.

    \b
    Example:
      openclaw cron disable JOB
    """
    reach.call("cron.update", {"id": job_id, "patch": {"enabled": False}})
    click.echo(f"{job_id} is off.")


@cron.command()
@click.argument("job_id")
@gateway_options
def rm(reach: Reach, job_id: str) -> None:
    """Delete a job. Its runs stay in the log.

    \b
    Example:
      openclaw cron rm JOB
    """
    reach.call("cron.remove", {"id": job_id})
    click.echo(f"{job_id} is removed.")


@cron.command()
@click.argument("job_id")
@click.option("--due", is_flag=True, help="Only if its time has come.")
@output.json_option
@gateway_options
def run(reach: Reach, job_id: str, due: bool, as_json: bool) -> int:
    """Run a job now. Exit 1 when it did not begin.

    \b
    Example:
      openclaw cron run JOB
    """
    found = reach.call("cron.run", {"id": job_id, "mode": "due" if due else "force"})
    if as_json:
        output.emit_json(found)
    elif found["enqueued"]:
        click.echo(f"{job_id} runs as {found['runId']}.")
    else:
        click.echo(f"{job_id} does not run: {found['reason']}.")
    return 0 if found["enqueued"] else 1


@cron.command()
@click.argument("job_id", required=False)
@click.option("--limit", type=click.IntRange(1, 200), default=20, show_default=True, help="How many.")
@output.json_option
@gateway_options
def runs(reach: Reach, job_id: str | None, limit: int, as_json: bool) -> None:
    """Show the run log, the latest first: of one job, or of all.

    \b
    Example:
      openclaw cron runs JOB --limit 5
    """
    found = reach.call("cron.runs", {"limit": limit, **({"id": job_id} if job_id else {})})
    if as_json:
        output.emit_json(found)
        return
    output.table(
        ["ended", "job", "status", "took", "what"],
        [
            (
                _moment(entry["ts"]),
                entry.get("jobName", entry["jobId"]),
                entry["status"],
                f"{entry.get('durationMs', 0) / 1000:.1f} s",
                " ".join((entry.get("error") or entry.get("summary") or "").split())[:80],
            )
            for entry in found["entries"]
        ],
        "No job has run yet.",
    )


@cron.command()
@click.argument("job_id")
@output.json_option
@gateway_options
def get(reach: Reach, job_id: str, as_json: bool) -> None:
    """Show one job.

    \b
    Example:
      openclaw cron get JOB --json
    """
    _told(reach.call("cron.get", {"id": job_id}), as_json)


def _told(job: dict[str, Any], as_json: bool) -> None:
    if as_json:
        output.emit_json(job)
        return
    state, payload = job["state"], job["payload"]
    output.fields(
        {
            "id": job["id"],
            "name": job["name"],
            "when": _when(job["schedule"]),
            "says": payload.get("message") or payload.get("text"),
            "session": job["sessionTarget"],
            "next": _moment(state.get("nextRunAtMs")) if job["enabled"] else "off",
            "last": state.get("lastStatus"),
            "error": state.get("lastError"),
        }
    )


def _when(schedule: dict[str, Any]) -> str:
    if schedule["kind"] == "every":
        length_ms = schedule["everyMs"]
        unit = next(unit for unit in ("d", "h", "m", "s", "") if length_ms % _UNITS_MS.get(unit, 1) == 0)
        return f"every {length_ms // _UNITS_MS.get(unit, 1)}{unit or 'ms'}"
    if schedule["kind"] == "at":
        return f"at {schedule['at']}"
    return " ".join(filter(None, (schedule["expr"], schedule.get("tz"))))


def _moment(at_ms: int | None) -> str:
    """Return a time as people of this machine read it."""
    from datetime import UTC, datetime

    return f"{datetime.fromtimestamp(at_ms / 1000, UTC).astimezone():%Y-%m-%d %H:%M:%S}" if at_ms else "never"
