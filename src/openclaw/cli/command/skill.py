"""`openclaw skills`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from openclaw.cli import output
from openclaw.cli.layout import plain
from openclaw.cli.reach import Reach, gateway_options

if TYPE_CHECKING:
    from openclaw.policy.skill.audit import Report
    from openclaw.policy.skill.tree import Tree

F = TypeVar("F", bound=Callable[..., Any])
PIECE = 192 * 1024
MARKS = {"pass": "ok", "warn": "warning", "fail": "error"}


@click.group()
def skills() -> None:
    """Show, audit, vouch for, install, update and remove skills. None is loaded unaudited.

    \b
    Examples:
      openclaw skills list
      openclaw skills audit ./weather
      openclaw skills install ./weather
    """


@skills.command(name="list")
@click.option("--agent", "agent_id", help="Whose skills; default the default agent's.")
@click.option("--eligible", is_flag=True, help="Only those that are loaded.")
@output.json_option
@gateway_options
def list_(reach: Reach, agent_id: str | None, eligible: bool, as_json: bool) -> None:
    """List the skills, and why one is not loaded.

    \b
    Example:
      openclaw skills list --eligible
    """
    found = reach.call("skills.status", {"agentId": agent_id} if agent_id else {})
    if eligible:
        found["skills"] = [skill for skill in found["skills"] if skill["eligible"]]
    if as_json:
        output.emit_json(found)
        return
    if not found["skills"]:
        click.echo(f"There are no skills in {found['workspaceDir']}/skills or {found['managedSkillsDir']}.")
        return
    output.table(
        ["skill", "from", "state", "what it does"],
        [(skill["name"], skill["source"], _state(skill), skill["description"][:80]) for skill in found["skills"]],
    )


@skills.command()
@click.argument("what", required=False, default="")
@click.option("--agent", "agent_id", help="Whose skills; default the default agent's.")
@click.option("--lock", is_flag=True, help="Bind the skill to its content when it passes: it is loaded from then on.")
@output.json_option
@gateway_options
def audit(reach: Reach, what: str, agent_id: str | None, lock: bool, as_json: bool) -> int:
    """Audit a folder or an archive, without a gateway; or the skills that a gateway has, or one of them by name.

    Nothing of a skill is run. Exit 1 when an audit fails.

    \b
    Examples:
      openclaw skills audit ./weather
      openclaw skills audit
      openclaw skills audit weather --lock
    """
    whose = {"agentId": agent_id} if agent_id else {}
    if ("/" in what or Path(what).is_file()) and not lock:
        found = [_shown(_audited(Path(what))[1])]
    elif lock:
        if not what:
            raise click.UsageError("--lock needs the name of one skill.")
        found = [reach.call("skills.lock", {"name": what, **whose})]
    else:
        found = reach.call("skills.audit", {**({"name": what} if what else {}), **whose})["skills"]
    if as_json:
        output.emit_json(found)
    else:
        for report in found:
            _print(report)
        if not found:
            click.echo("There are no skills.")
    return 1 if any(report["state"] == "fail" for report in found) else 0


def _vouching(command: F) -> F:
    """Add the options by which an operator answers for a skill's content."""
    lasting = click.option("--for", "lasting", default="", help="How long that holds: 12h, 30d; a year at most.")
    accepts = click.option("--accept", "accepts", multiple=True, help="A row that fails and is accepted; needs --for.")
    return accepts(lasting(command))


@skills.command()
@click.argument("name")
@click.option("--why", required=True, help="Why you answer for what it says.")
@_vouching
@click.option("--agent", "agent_id", help="Whose skills; default the default agent's.")
@output.json_option
@gateway_options
def vouch(
    reach: Reach, name: str, why: str, accepts: tuple[str, ...], lasting: str, agent_id: str | None, as_json: bool
) -> None:
    """Answer for a skill's content as it is now: what it says counts as your words, not as text from outside.

    With --accept a skill is loaded though that row of its audit fails; its text stays text from outside. Any change of
    the content ends it.

    \b
    Examples:
      openclaw skills vouch weather --why "read line by line"
      openclaw skills vouch deploy --accept processes --for 30d --why "our own script, ticket OPS-12"
    """
    whose = {"agentId": agent_id} if agent_id else {}
    done = reach.call("skills.lock", {"name": name, **whose, **_terms(why, accepts, lasting)})
    if as_json:
        output.emit_json(done)
    else:
        _print(done)
        click.echo(f"{output.mark('ok')} You answer for {plain(name)} as it is now.")


@skills.command()
@click.argument("source")
@click.option("--why", default="", help="Why you answer for its content, or for rows of --accept.")
@_vouching
@output.json_option
@gateway_options
def install(reach: Reach, source: str, why: str, accepts: tuple[str, ...], lasting: str, as_json: bool) -> None:
    """Install a skill that passes its audit: from a folder, .zip, .tar, .tar.gz, or a commit of a repository.

    A repository is fetched by the gateway, through its egress door, without running git: its host is one that
    networkPolicy opens.

    \b
    Examples:
      openclaw skills install ./weather
      openclaw skills install weather-1.2.0.tar.gz
      openclaw skills install git+https://github.com/me/skills@3f786850e387550fdab836ed7e6dc881de23001b#weather
    """
    _install(reach, source, as_json, _terms(why, accepts, lasting))


@skills.command()
@click.argument("source")
@click.option("--accept-powers", is_flag=True, help="Agree to what the new one may do beyond the one before.")
@click.option("--why", default="", help="Why you answer for its content, or for rows of --accept.")
@_vouching
@output.json_option
@gateway_options
def update(
    reach: Reach, source: str, accept_powers: bool, why: str, accepts: tuple[str, ...], lasting: str, as_json: bool
) -> None:
    """Replace an installed skill by a new version of it. It is audited anew, and what it wants more is shown.

    \b
    Example:
      openclaw skills update weather-1.3.0.tar.gz --accept-powers
    """
    _install(reach, source, as_json, {"force": True, "acceptPowers": accept_powers, **_terms(why, accepts, lasting)})


def _terms(why: str, accepts: tuple[str, ...], lasting: str) -> dict[str, Any]:
    if not why:
        if accepts or lasting:
            raise click.UsageError("--accept and --for need --why.")
        return {}
    from openclaw.cli.moment import duration_ms

    terms: dict[str, Any] = {"why": why}
    if accepts:
        terms["accepts"] = list(accepts)
    if lasting:
        terms["forMs"] = duration_ms("--for", lasting)
    return terms


@skills.command()
@click.argument("name")
@output.json_option
@gateway_options
def remove(reach: Reach, name: str, as_json: bool) -> None:
    """Remove an installed skill.

    \b
    Example:
      openclaw skills remove weather
    """
    done = reach.call("skills.remove", {"slug": name})
    if as_json:
        output.emit_json(done)
    else:
        click.echo(f"{output.mark('ok')} {name} is removed.")


def _install(reach: Reach, source: str, as_json: bool, how: dict[str, Any]) -> None:
    import base64
    from hashlib import sha256

    if source.startswith("git+"):
        _told(reach.call("skills.install", {"source": "git", "url": source, **how}), how, as_json)
        return
    if "://" in source or not _is_path(source):
        from openclaw.base.errors import NotSupported

        raise NotSupported(
            f"skills are not fetched from {source}"
            if "://" in source
            else f"no catalogue of skills is connected, and there is no file {source}",
            hint="Give a folder, an archive, or git+https://HOST/REPOSITORY@COMMIT#FOLDER.",
        )
    tree, report = _audited(Path(source))
    if report.state == "fail" and not as_json:
        _print(_shown(report))
    data = _packed(tree)
    about = {"kind": "skill-archive", "slug": report.name, "sizeBytes": len(data), "sha256": sha256(data).hexdigest()}
    upload = {"uploadId": reach.call("skills.upload.begin", about)["uploadId"]}
    for offset in range(0, len(data), PIECE):
        piece = base64.b64encode(data[offset : offset + PIECE]).decode()
        reach.call("skills.upload.chunk", {**upload, "offset": offset, "dataBase64": piece})
    reach.call("skills.upload.commit", upload)
    _told(reach.call("skills.install", {"source": "upload", **upload, "slug": report.name, **how}), how, as_json)


def _told(done: dict[str, Any], how: dict[str, Any], as_json: bool) -> None:
    if as_json:
        output.emit_json(done)
        return
    _print(done["audit"])
    for word, powers in (("more", done["more"]), ("less", done["less"])):
        for kind, values in powers.items():
            if values and how.get("force"):
                click.echo(f"     {word} {kind}: {', '.join(map(plain, values))}")
    click.echo(f"{output.mark('ok')} {plain(done['message'])}.")


def _is_path(text: str) -> bool:
    return "/" in text or (bool(text) and Path(text).exists())


def _audited(path: Path) -> tuple[Tree, Report]:
    from openclaw.base.errors import NotFound
    from openclaw.ops.skill_archive import MAX_ARCHIVE_BYTES, read_archive, refused
    from openclaw.policy.skill.audit import audit as judge
    from openclaw.policy.skill.head import MAX_HEAD_BYTES, frontmatter, manifest
    from openclaw.policy.skill.tree import read_tree

    if path.is_dir():
        tree = read_tree(path)
        return tree, judge(tree, path.resolve().name)
    if not path.is_file():
        raise NotFound(f"there is no folder or archive {path}", hint="Give the path of one.")
    with path.open("rb") as file:
        data = file.read(MAX_ARCHIVE_BYTES + 1)
    if len(data) > MAX_ARCHIVE_BYTES:
        raise refused(f"it is larger than {MAX_ARCHIVE_BYTES >> 20} MiB")
    tree = read_archive(data)
    head = tree.contents.get("SKILL.md", b"")[:MAX_HEAD_BYTES].decode("utf-8", "replace")
    return tree, judge(tree, manifest(frontmatter(head), path.name.split(".")[0]).name)


def _packed(tree: Tree) -> bytes:
    """Return the files as an archive, the same bytes for the same files."""
    import io
    import zipfile

    from openclaw.ops.skill_archive import refused

    if tree.problems:
        raise refused(f"{tree.problems[0][0]}: {tree.problems[0][1]}")
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in tree.files:
            info = zipfile.ZipInfo(file.path, (1980, 1, 1, 0, 0, 0))
            info.external_attr = (0o100700 if file.executable else 0o100600) << 16
            archive.writestr(info, tree.contents[file.path], zipfile.ZIP_DEFLATED)
    return out.getvalue()


def _shown(report: Report) -> dict[str, Any]:
    from openclaw.ops.skill_desk import said

    return {
        "name": report.name,
        "version": report.version,
        "digest": report.digest,
        "state": report.state,
        "rows": report.rows,
        "findings": [{"state": each.state, "text": said(each)} for each in report.findings],
    }


def _print(report: dict[str, Any]) -> None:
    click.echo(f"{plain(report['name'])} {plain(report['version'])}  sha256 {report['digest']}")
    if where := report.get("baseDir"):
        click.echo(f"  {plain(where)}")
    for row, state in report["rows"].items():
        click.echo(f"  {output.mark(MARKS[state])} {row}: {state}")
    for finding in report["findings"]:
        click.echo(f"     {finding['state']}  {plain(finding['text'])}")
    if report.get("reason"):
        click.echo(f"     not loaded: {plain(report['reason'])}")


def _state(skill: dict[str, Any]) -> str:
    if reason := skill.get("blockedReason"):
        return f"{skill['standing']}: {plain(reason)}"
    if skill["blockedByAllowlist"]:
        return "not on the agent's list"
    missing = [name for names in skill["missing"].values() for name in names]
    if missing and not skill["eligible"]:
        return f"lacks {', '.join(missing)}"
    return "ready, vouched for" if skill.get("vouched") else "ready"
