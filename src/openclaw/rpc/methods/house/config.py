"""config.*: the configuration file, read without its secrets, changed with a base hash, described as a schema."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Any, Final

import msgspec
from msgspec import UNSET, Meta, UnsetType

from openclaw.base.bounded import BoundedMap
from openclaw.base.errors import ConfigError, Unavailable
from openclaw.config.issue import Issue
from openclaw.config.load import Loaded
from openclaw.config.paths import is_yaml
from openclaw.config.redaction.redact import redacted, redacted_text
from openclaw.config.schema.hints import form_schema, lookup, ui_hints
from openclaw.config.writing.rewrite import patch_of, patch_paths, patched, whole
from openclaw.protocol.validate import NoParams, Params
from openclaw.rpc.config_port import ConfigChange, ConfigPort, ConfigWritten
from openclaw.rpc.deps import LoadedConfig
from openclaw.rpc.method import MethodSpec, Rate
from openclaw.rpc.peer import Peer
from openclaw.rpc.room import Room
from openclaw.rpc.versions.config import ConfigAnswer
from openclaw.telemetry.health import Standing

_ALL_TAKEN_UP: Final = Standing()

WRITES: Final = Rate(30, 0.5)
"""Changes of one principal: each is written to disk and taken up by every room of the gateway."""

Raw = Annotated[str, Meta(min_length=1, max_length=5_000_000)]
BaseHash = Annotated[str, Meta(min_length=1, max_length=128)]
Note = Annotated[str, Meta(max_length=2000)]
_schema_answers: BoundedMap[str, bytes] = BoundedMap("rpc.config_schema", 4)
"""config.schema by the gateway's version, encoded: it cannot change while the process lives."""


class DeliveryContext(Params, frozen=True):
    """Where a restart would be reported; changes are taken up without one, so that it has no meaning here."""

    channel: str = ""
    to: str = ""
    account_id: str = ""
    thread_id: str | float = ""


class ConfigSetParams(Params, frozen=True):
    """`raw` is the whole new text."""

    raw: Raw
    base_hash: BaseHash = ""


class ConfigApplyParams(ConfigSetParams, frozen=True):
    """`note` goes to the record of changes. What concerns a restart is accepted and has no meaning here."""

    session_key: str = ""
    delivery_context: DeliveryContext | UnsetType = UNSET
    note: Note = ""
    restart_delay_ms: Annotated[int, Meta(ge=0)] = 0


class ConfigPatchParams(ConfigApplyParams, frozen=True):
    """`raw` is a JSON5 merge patch; `replacePaths` name what becomes what it says as a whole, e.g. `tools.allow`."""

    replace_paths: Annotated[tuple[Annotated[str, Meta(min_length=1)], ...], Meta(max_length=256)] = ()


class ConfigSchemaLookupParams(Params, frozen=True):
    """`path` is a key path; an entry of a list is `[0]` or `[]`, one of a map its name or `*`."""

    path: Annotated[str, Meta(min_length=1, max_length=1024, pattern=r"^[A-Za-z0-9_./\[\]\-*]+$")]


def desk_of(room: Room) -> ConfigPort:
    """Return the room's desk for the configuration. Raises: Unavailable where there is none."""
    if room.deps.config_desk is None:
        raise Unavailable("the configuration cannot be changed here")
    return room.deps.config_desk


async def config_get(room: Room, peer: Peer, params: NoParams) -> ConfigAnswer:
    """Return the file as it is now, and what the gateway uses; placeholders stand for secrets in each."""
    desk = desk_of(room)
    # Secrets are looked for in the whole text: not on the loop.
    deps = room.deps
    return await asyncio.to_thread(_shown_config, desk, await desk.read(), deps.config(), deps.health.configuration)


def _shown_config(
    desk: ConfigPort, loaded: Loaded, used: LoadedConfig, standing: Standing = _ALL_TAKEN_UP
) -> ConfigAnswer:
    parsed, running = redacted(loaded.parsed), redacted(used.config)
    seen = desk.revision(loaded.hash)
    answer = ConfigAnswer(
        path=str(loaded.path),
        includedPaths=[str(path) for path in loaded.included],
        includeProvenance=[],
        agentRosterIncludeOwned=bool(loaded.positions.file(("agents", "list"))),
        bindingsIncludeOwned=False,
        exists=loaded.exists,
        raw="" if is_yaml(loaded.path) else _shown(loaded.raw),  # secrets are found in JSON5 only
        parsed=parsed,
        sourceConfig=parsed,
        resolved=redacted(loaded.config),
        runtimeConfig=running,
        valid=loaded.valid,
        config=parsed,
        hash=seen,
        configRevisionHash=seen,
        appliedConfigHash=desk.revision(used.hash),
        issues=[_issue(issue) for issue in loaded.issues if issue.severity == "error"],
        warnings=[_issue(issue) for issue in loaded.issues if issue.severity != "error"],
        legacyIssues=[],
        restartRequired=list(standing.waiting),
        reloadProblem=standing.problem,
    )
    answer.sha256 = loaded.hash
    return answer


def _shown(raw: str) -> str:
    try:
        return redacted_text(raw)
    except ConfigError:
        return ""  # secrets cannot be told from the rest of a text that does not parse


def _issue(issue: Issue) -> dict[str, str]:
    return {"path": issue.path, "message": issue.message}


async def config_set(room: Room, peer: Peer, params: ConfigSetParams) -> dict[str, Any]:
    """Replace the whole text."""
    return await _write(room, peer, "config.set", params)


async def config_apply(room: Room, peer: Peer, params: ConfigApplyParams) -> dict[str, Any]:
    """Do the same, with a note for the record."""
    return await _write(room, peer, "config.apply", params, params.note)


async def _write(room: Room, peer: Peer, method: str, params: ConfigSetParams, note: str = "") -> dict[str, Any]:
    change = ConfigChange(method=method, rewrite=partial(whole, params.raw), base=params.base_hash, note=note)
    return await _made(room, peer, change)


async def _made(room: Room, peer: Peer, change: ConfigChange) -> dict[str, Any]:
    done = await desk_of(room).write(change, peer.principal)
    return await asyncio.to_thread(written, done)  # as in config.get, secrets are looked for in all of it


async def config_patch(room: Room, peer: Peer, params: ConfigPatchParams) -> dict[str, Any]:
    """Change what a merge patch names."""
    about = "" if params.base_hash else await asyncio.to_thread(lambda: patch_paths(patch_of(params.raw)))
    change = ConfigChange(
        method="config.patch",
        rewrite=partial(patched, params.raw, replace=params.replace_paths),
        base=params.base_hash,
        about=about,
        note=params.note,
    )
    return await _made(room, peer, change)


def written(done: ConfigWritten) -> dict[str, Any]:
    """Return the answer to a change."""
    loaded = done.loaded
    answer: dict[str, Any] = {
        "ok": True,
        "path": str(loaded.path),
        "hash": done.revision,
        "config": redacted(loaded.parsed),
        "changedPaths": list(done.changed),
        "reload": {"status": done.status, "applied": list(done.applied), "restartRequired": list(done.waiting)},
        "warnings": [
            *(_issue(issue) for issue in loaded.issues if issue.severity != "error"),
            *(
                {"path": path, "message": f"{file} sets this too; the value in {loaded.path.name} wins"}
                for path, file in done.overriding
            ),
        ],
    }
    if done.status == "none":
        answer["noop"] = True
    return answer


def config_schema(room: Room, peer: Peer, params: NoParams) -> bytes | Coroutine[Any, Any, bytes]:
    """Return the schema, encoded once."""
    version = room.deps.version
    return _schema_answers.get(version) or _make_schema(version, room.deps.clock.now_ms())


async def _make_schema(version: str, now_ms: int) -> bytes:
    schema, hints = await asyncio.to_thread(lambda: (form_schema(), ui_hints()))
    made_at = datetime.fromtimestamp(now_ms / 1000, UTC).isoformat(timespec="milliseconds")
    answer = msgspec.json.encode({"schema": schema, "uiHints": hints, "version": version, "generatedAt": made_at})
    _schema_answers.put(version, answer)
    return answer


async def config_schema_lookup(room: Room, peer: Peer, params: ConfigSchemaLookupParams) -> dict[str, Any]:
    """Return one place of the schema."""
    return await asyncio.to_thread(lookup, params.path)  # the first one makes the tree of all places


_WRITTEN: Final = (
    '`{ok, path, hash, config, changedPaths[], noop?, reload{status: "applied"|"restart-required"|"off"|"none", '
    "applied[], restartRequired[]}, warnings[]}`; protocol 3 `{ok, path, config}`. A change that the running gateway "
    "cannot take up is put back and refused with code CONFIG_CHANGE_REVERTED. Event `config.changed`."
)

METHODS = (
    MethodSpec(
        "config.get",
        NoParams,
        "operator.read",
        config_get,
        "Returns the configuration file and what of it is in use; secrets are `__OPENCLAW_REDACTED__` and may be sent "
        "back as they are.",
        "`{path, exists, raw, parsed, resolved, valid, config, hash, issues[], warnings[], legacyIssues[]}`: `config` "
        "and `parsed` are what the file sets, `resolved` has every setting; protocol 4 adds `sourceConfig`, "
        "`runtimeConfig` (in use), `configRevisionHash`, `appliedConfigHash`, `restartRequired` (settings that wait "
        "for a restart), `reloadProblem` (why the latest change was not taken up), and what concerns included files.",
        passing="large",
    ),
    MethodSpec(
        "config.set",
        ConfigSetParams,
        "operator.admin",
        config_set,
        "Replaces the text of the configuration file and takes it up at once. `baseHash` is the `hash` of config.get; "
        "placeholders keep their secrets; a text without comments that is strict JSON is edited into the file's own.",
        _WRITTEN,
        rate=WRITES,
    ),
    MethodSpec(
        "config.patch",
        ConfigPatchParams,
        "operator.admin",
        config_patch,
        "Changes what a JSON5 merge patch names (null removes a key) in the file's own text, and takes it up at once. "
        "Lists of entries with ids are merged by id, other lists are replaced; a patch that takes entries away is "
        "refused unless `replacePaths` names the list (`tools.allow`, `agents.list[].skills`).",
        _WRITTEN,
        rate=WRITES,
    ),
    MethodSpec(
        "config.apply",
        ConfigApplyParams,
        "operator.admin",
        config_apply,
        "Does what config.set does; the gateway need not restart for it.",
        _WRITTEN,
        rate=WRITES,
    ),
    MethodSpec(
        "config.schema",
        NoParams,
        "operator.read",
        config_schema,
        "Returns what forms are drawn from: the JSON Schema (draft-07) of the file, and a hint per setting.",
        "`{schema, uiHints{path: {label, help?, group, order, sensitive?, tags?}}, version, generatedAt}`; a path has "
        "`[]` for any list item and `*` for any name.",
    ),
    MethodSpec(
        "config.schema.lookup",
        ConfigSchemaLookupParams,
        "operator.read",
        config_schema_lookup,
        "Describes one setting, or one part with what stands directly below it.",
        '`{path, schema, reloadKind: "hot"|"restart", hint, hintPath, children: [{key, path, type?, required, '
        "hasChildren, reloadKind, hint, hintPath}]}`",
        since=4,
    ),
)
