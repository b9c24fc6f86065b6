"""Each finding of the table of checks by a real breakage: named, explained, mended where that is safe, put back."""

from __future__ import annotations

import json
import os
import socket
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import anyio
import msgspec
import pytest

from openclaw.base.audit import Entry
from openclaw.base.clock import ManualClock
from openclaw.base.errors import Unauthorized
from openclaw.base.ids import OPERATOR
from openclaw.identity.devices.record import Device
from openclaw.ops.backup.runs import BackupRun, note_run
from openclaw.ops.doctor.mend import Fix, mend, plan, undo
from openclaw.ops.doctor.patches import PATCHES
from openclaw.ops.doctor.scene import RANK, Finding, Installed, Scene, Severity
from openclaw.ops.doctor.table import CHECKS, examine
from openclaw.ops.service.keeper import installed_drift
from openclaw.ops.service.manager import ServiceState, Systemd
from openclaw.ops.service.plan import Service
from openclaw.policy.widening import Widening
from openclaw.store.lock import LOCK_NAME, StateLock
from openclaw.store.shelf import ABSENT, Change
from openclaw.store.sqlite import SqliteStore
from tests.ops.doctor.place import HEALTHY, NOW_MS, OTHER, STRONG, Place

Facts = dict[str, Any]
DAY_MS = 86_400_000


class Row(NamedTuple):
    """One breakage. Shape: `breaks` returns what the scene is to say besides the disk; `evidence` is part of it."""

    severity: Severity
    evidence: str
    breaks: Callable[[Place], Facts | None]
    mended: bool = False


def config(text: str, **more: Any) -> Callable[[Place], Facts]:
    """Write a configuration; `{token}` in it is a strong one."""

    def write(place: Place) -> Facts:
        place.write("openclaw.json", text.replace("{token}", STRONG))
        return more

    return write


def does(act: Callable[[Place], object]) -> Callable[[Place], None]:
    """Break it by that, with nothing else for the scene to say."""

    def write(place: Place) -> None:
        act(place)

    return write


def env(name: str, value: str) -> Callable[[Place], None]:
    def write(place: Place) -> None:
        place.process[name] = value

    return write


def _strong(place: Place) -> Path:
    return place.write("openclaw.json", f"{{gateway: {{auth: {{token: '{STRONG}'}}}}}}")


def _broken(place: Place) -> None:
    place.write("openclaw.json", "{gateway: {")
    place.write("snapshots/last-good.json", f"{{gateway: {{auth: {{token: '{STRONG}'}}}}}}")


def _tls(place: Place) -> None:
    place.write("key.pem", "a key", 0o644)
    files = "autoGenerate: false, certPath: 'none.pem', keyPath: 'key.pem'"
    place.write("openclaw.json", f"{{gateway: {{tls: {{enabled: true, {files}}}}}}}")


def _included(place: Place) -> None:
    place.write("openclaw.json", '{$include: "./more.json", gateway: {trustedProxies: ["10.1.1.1"]}}')
    place.write("more.json", "{gateway: {trustedProxies: ['10.2.2.2']}}")


def _unwritable(place: Place) -> None:
    place.state.chmod(0o500)
    fixed = ["chattr", "+i", str(place.state)]  # root writes everywhere but there
    if os.access(place.state, os.W_OK) and subprocess.run(fixed, check=False, capture_output=True).returncode:
        pytest.skip("root may write every folder here, and chattr cannot take that away")


def _foreign_lock(place: Place) -> Facts:
    lock = StateLock(place.state)
    lock.acquire()
    (place.state / LOCK_NAME).write_text("4194303")  # no process has it, as seen from another container
    return {"_close": lock.release}


def _runs(*runs: BackupRun) -> Callable[[Place], None]:
    def write(place: Place) -> None:
        place.write("openclaw.json", '{backup: {every: "1d"}}')
        for run in runs:
            note_run(place.state, run)

    return write


def _store(place: Place) -> None:
    async def make() -> None:
        await (await SqliteStore.open(place.state / "openclaw.db", clock=ManualClock())).close()

    anyio.run(make)


def _newer_store(place: Place) -> None:
    _store(place)
    with sqlite3.connect(place.state / "openclaw.db") as db:
        db.execute("PRAGMA user_version = 9999")


def _ledger(place: Place) -> None:
    """A store with a ledger of three rows, as a gateway leaves it."""

    async def make() -> None:
        store = await SqliteStore.open(place.state / "openclaw.db", clock=ManualClock())
        await store.audit.append([Entry(at_ms=1, kind="admin", action=f"act.{number}") for number in range(3)])
        await store.close()

    anyio.run(make)


def _broken_chain(place: Place) -> None:
    _ledger(place)
    with sqlite3.connect(place.state / "openclaw.db") as db:
        db.execute("UPDATE audit SET body = replace(body, 'act.1', 'act.9') WHERE seq = 2")


def _replaced_chain(place: Place) -> None:
    _ledger(place)
    line = {"time": "2026-11-20T10:00:00.000Z", "level": "info", "event": "audit_head", "seq": 2, "hash": "ab" * 32}
    place.write("logs/openclaw.log.1", json.dumps(line) + "\n")


def _device(place: Place) -> None:
    device = Device(
        device_id="old" * 16,
        public_key="k",
        created_at_ms=0,
        approved_at_ms=0,
        approved_via="owner",
        approved={"operator": ("operator.admin",)},
        last_seen_at_ms=NOW_MS - 100 * DAY_MS,
    )

    _shelve(place, "device", device)


def _widening(place: Place) -> None:
    row = Widening(
        id="1",
        door="egress",
        value="a.example.com",
        ticket="CHG-1",
        why="a test",
        by=OPERATOR,
        started_at_ms=NOW_MS,
        ends_at_ms=NOW_MS + 60_000,
    )
    _shelve(place, "widening", row)


def _shelve(place: Place, kind: str, body: msgspec.Struct) -> None:
    async def make() -> None:
        store = await SqliteStore.open(place.state / "openclaw.db", clock=ManualClock())
        await store.shelf.apply([Change(kind, "old", msgspec.json.encode(body), ABSENT)], 1)
        await store.close()

    anyio.run(make)


class _Deep:
    def providers(self) -> dict[str, str]:
        return {"openai": "the key was refused"}

    def clock_skew_s(self) -> tuple[str, float]:
        return "openai", -75.4


def _listening(address: str, *, ours: bool) -> Callable[[Place], Facts]:
    def listen(place: Place) -> Facts:
        server = socket.create_server((address, 0))
        port = server.getsockname()[1]
        place.write("openclaw.json", f'{{gateway: {{port: {port}, auth: {{token: "{STRONG}"}}}}}}')
        lock = StateLock(place.state)
        lock.acquire()
        if not ours:
            (place.state / LOCK_NAME).write_text("1")

        def close() -> None:
            server.close()
            lock.release()

        return {"proc": Path("/proc"), "_close": close}

    return listen


def _service(
    edit: Callable[[str], str] = lambda text: text, state: ServiceState | None = None, version: str = "2"
) -> Callable[[Place], Facts]:
    """Install a unit for port 18790, whose text is then edited."""

    def install(place: Place) -> Facts:
        _strong(place)
        manager = Systemd("user", _nothing_runs, home=place.root, get=lambda _: None)
        program = place.write("venv/bin/python", "", 0o700)
        wanted = Service(
            scope="user",
            argv=(str(program), "-P", "-m", "openclaw", "gateway", "run", "--port", "18790"),
            state_dir=place.state,
            env_file=place.state / "service.env",
            writable=(place.state,),
        )
        manager.path.parent.mkdir(parents=True)
        manager.path.write_text(edit(manager.text(wanted)))
        if version == "gone":
            program.unlink()
        return {
            "version": "2",
            "services": (
                Installed(scope="user", drift=installed_drift(manager, wanted), state=state, version=version),
            ),
        }

    return install


async def _nothing_runs(argv: Any, env: Any) -> Any:
    raise AssertionError(argv)


def _unit(line: str) -> Callable[[Place], None]:
    """Put a unit of somebody's own making beside ours."""

    def write(place: Place) -> None:
        unit = place.root / ".config/systemd/user/openclaw-mine.service"
        unit.parent.mkdir(parents=True)
        unit.write_text(f"[Service]\nEnvironmentFile=-/not/there/but/optional.env\n{line}\n")

    return write


FAILED = ServiceState(active="failed", enabled=True, result="exit-code")

ROWS: dict[str, Row] = {
    "config.file": Row("error", "cannot be used; the last good", _broken, mended=True),
    "config.parse-error": Row("error", "line 1", _broken, mended=True),
    "config.unreadable": Row(
        "warning", ".env", does(lambda place: (_strong(place), place.write(".env", "no equals sign\n")))
    ),
    "config.unknown-key": Row("warning", "gateway.prot", config("{gateway: {prot: 1}}")),
    "config.not-available": Row("warning", "browser", config("{browser: {enabled: true}}")),
    "config.invalid-value": Row("error", "gateway.port", config("{gateway: {port: 'no'}}")),
    "config.missing-env": Row("error", "NOT_SET", config("{gateway: {auth: {token: '${NOT_SET}'}}}")),
    "config.unresolved-secret": Row(
        "error",
        "gateway.auth.token",
        config(
            "{secrets: {providers: {v: {source: 'file', path: 'none.json'}}},"
            " gateway: {auth: {token: {source: 'file', provider: 'v', id: '/x'}}}}"
        ),
    ),
    "config.duplicate-id": Row("error", "'a' is taken", config("{agents: {list: [{id: 'a'}, {id: 'a'}]}}")),
    "config.overridden": Row("warning", "gateway.trustedProxies", _included),
    "config.old-name": Row(
        "warning",
        "agents.defaults.model",
        config("{ // mine\n  agent: { model: 'fake/echo' },\n  gateway: { token: '{token}' }, // the door\n}\n"),
        mended=True,
    ),
    "config.deprecated": Row(
        "warning",
        "gateway.nodes.commands.deny",
        config("{gateway: {auth: {token: '{token}'}, nodes: {denyCommands: ['*']}}} // ours\n"),
        mended=True,
    ),
    "env.file": Row("warning", ".env", does(lambda place: place.write(".env", "no equals sign\n"))),
    "state.dir": Row("info", "does not exist", does(lambda place: place.state.rmdir())),
    "state.owner": Row("warning", "belongs to user", lambda _: {"uid": os.getuid() + 1}),
    "state.writable": Row("error", "cannot be written", _unwritable),
    "state.mode": Row("warning", "0777", does(lambda place: place.state.chmod(0o777)), mended=True),
    "state.file-mode": Row(
        "warning",
        "service.env may hold secrets",
        does(lambda place: place.write("service.env", "A=1\n", 0o644)),
        mended=True,
    ),
    "state.file-owner": Row(
        "warning", ".env belongs to", lambda place: (place.write(".env", "A=1\n"), {"uid": os.getuid() + 1})[1]
    ),
    "lock.holder": Row("warning", "process 4194303", _foreign_lock),
    "state.leftovers": Row(
        "info",
        "1 unfinished",
        does(lambda place: place.write(".openclaw.json.0a1b.tmp", "half")),
        mended=True,
    ),
    "skills.lock": Row("error", "cannot be read", does(lambda place: place.write("skills.lock.json", "{"))),
    "skills.blocked": Row(
        "warning",
        "skills/new is not loaded: it was not audited",
        does(lambda place: place.write("skills/new/SKILL.md", "---\nname: new\n---\n")),
    ),
    "backup.restore": Row("error", "broken off", does(lambda place: place.write(".restore-journal.json", "{}"))),
    "backup.waiting": Row("info", "waits", does(lambda place: place.write(".restore-waiting/order", ""))),
    "backup.failed": Row(
        "warning", "disk full", _runs(BackupRun(at_ms=NOW_MS, duration_ms=1, scheduled=True, error="disk full"))
    ),
    "backup.schedule": Row("error", "not a cron", config("{backup: {cron: 'not a cron'}}")),
    "backup.late": Row(
        "warning",
        "overdue",
        _runs(BackupRun(at_ms=NOW_MS - 9 * DAY_MS, duration_ms=1, scheduled=True, where="/x", size=1)),
    ),
    "disk.space": Row("error", "GB free", config(f"{{storage: {{minFreeBytes: {1 << 60}}}}}")),
    "store.integrity": Row(
        "error",
        "openclaw.db",
        does(lambda place: place.write("openclaw.db", b"SQLite format 3\0" + b"garbage" * 500)),
    ),
    "store.schema": Row("error", "schema 9999", _newer_store),
    "audit.chain": Row("error", "row 2", _broken_chain),
    "audit.head": Row("error", "another row 2", _replaced_chain),
    "gateway.refuses": Row("error", "beyond this machine", config("{gateway: {bind: 'lan', auth: {mode: 'none'}}}")),
    "gateway.auth": Row("warning", "mode is none", config("{gateway: {auth: {mode: 'none'}}}")),
    "gateway.token": Row("warning", "is weak (5 characters)", config("{gateway: {auth: {token: 'short'}}}")),
    "token.parity": Row(
        "error",
        "credentials/gateway-token",
        does(lambda place: (_strong(place), place.write("credentials/gateway-token", OTHER))),
        mended=True,
    ),
    "token.duplicate": Row(
        "error", "the same secret", config("{gateway: {auth: {token: '{token}'}}, hooks: {token: '{token}'}}")
    ),
    "hooks.token": Row("warning", "is weak", config("{hooks: {enabled: true, token: 'short'}}")),
    "policy.widened": Row("warning", "a.example.com", _widening),
    "policy.sender": Row("warning", "@alice", config("{dmPolicy: {allowIds: ['telegram:@alice']}}")),
    "devices.unseen": Row("warning", "100 days", _device),
    "model.file": Row("error", "its file is not here", lambda _: {"default_model": "embedded/smollm2"}),
    "model.default": Row("error", "no key", lambda _: {"default_model": "openai/x", "model_problem": "no key"}),
    "providers.credential": Row(
        "warning", "models.providers.openai", lambda _: {"provider_problems": {"openai": "no credential"}}
    ),
    "providers.answer": Row("error", "refused", lambda _: {"deep": _Deep()}),
    "extras.missing": Row("error", "xllamacpp", lambda _: {"missing_extras": (("models.providers.x", "xllamacpp"),)}),
    "channels.config": Row("info", "channels.telegram", config("{channels: {telegram: {botToken: '1:x'}}}")),
    "network.proxy": Row("info", "proxy.example", env("HTTPS_PROXY", "http://me:hunter2@proxy.example:3128")),
    "network.authorities": Row("error", "/not/there.pem", env("SSL_CERT_FILE", "/not/there.pem")),
    "clock.skew": Row("error", "75 s behind", lambda _: {"deep": _Deep()}),
    "exposure.trusted-proxies": Row("error", "0.0.0.0/0", config("{gateway: {trustedProxies: ['0.0.0.0/0']}}")),
    "exposure.proxy-untrusted": Row(
        "info",
        "trustedProxies is empty",
        config("{gateway: {bind: 'lan', auth: {token: '{token}'}, publicBaseUrl: 'https://chat.example'}}"),
    ),
    "exposure.origins": Row(
        "warning",
        "matches nothing",
        config("{gateway: {auth: {token: '{token}'}, controlUi: {allowedOrigins: ['*', 'https://a.example']}}}"),
        mended=True,
    ),
    "page.root": Row("error", "/not/there", config("{gateway: {controlUi: {root: '/not/there'}}}")),
    "exposure.egress": Row("warning", "every public host", config("{networkPolicy: {allowEgress: true}}")),
    "exposure.egress-review": Row(
        "warning",
        "by 2026-12-31: 1 entries, owner ml",
        config("{networkPolicy: {classes: {inference: {allow: ['a.b'], owner: 'ml', review: '2026-12-31'}}}}"),
    ),
    "exposure.egress-entry": Row(
        "warning",
        "'https://a.b/', which is neither a host",
        config("{networkPolicy: {egressAllowlist: ['a.b', 'https://a.b/']}}"),
    ),
    "exec.policy": Row(
        "warning", "any command runs unasked", config("{tools: {exec: {security: 'full', ask: 'off'}}}")
    ),
    "sandbox.off": Row(
        "warning", "mode non-main", config("{agents: {defaults: {sandbox: {mode: 'non-main'}}}}", wall_problem="")
    ),
    "sandbox.walls": Row(
        "error",
        "no namespaces here; so no command can run",
        config("{agents: {defaults: {sandbox: {backend: 'bubblewrap'}}}}", wall_problem="no namespaces here"),
    ),
    "sandbox.image": Row(
        "error", "without docker.image", config("{agents: {defaults: {sandbox: {backend: 'docker'}}}}")
    ),
    "tls.certificate": Row("error", "none.pem", _tls),
    "tls.key-mode": Row("warning", "0644", _tls),
    "service.unit": Row("info", "no service is installed", lambda _: None),
    "service.drift": Row("warning", "Nice", _service(lambda text: f"{text}Nice=3\nEnvironment=KEY=hunter2\n")),
    "service.missing": Row("error", "venv/bin/python", _service(version="gone")),
    "service.version": Row("warning", "openclaw 1 ", _service(version="1")),
    "service.port": Row("warning", "port 18790, commands look on 18789", _service()),
    "service.state": Row("error", "exit-code", _service(state=FAILED)),
    "service.secret": Row(
        "error", "holds OPENCLAW_GATEWAY_TOKEN", _unit(f"Environment=OPENCLAW_GATEWAY_TOKEN={OTHER}")
    ),
    "service.environment": Row("error", "/not/there.env", _unit("EnvironmentFile=/not/there.env")),
    "gateway.reachable": Row("info", "nobody there", lambda _: None),
    "gateway.port": Row("error", "something else", lambda place: _answers(place, {"hello": "I am a web server"})),
    "gateway.token-parity": Row("error", "was refused", lambda place: _answers(place, Unauthorized("it was refused"))),
    "gateway.version": Row("warning", "is 1, this command is 2", lambda place: _answers(place, HEALTHY)),
    "gateway.restart": Row(
        "warning",
        "wait for a restart: gateway.port",
        lambda place: _answers(place, {**HEALTHY, "restartRequired": ["gateway.port"]}),
    ),
    "gateway.reload": Row(
        "warning",
        "was not taken up: line 3",
        lambda place: _answers(place, {**HEALTHY, "reloadProblem": "line 3"}),
    ),
    "listen.bind": Row("error", "listens on 0.0.0.0", _listening("0.0.0.0", ours=True)),
    "listen.owner": Row("error", "is not this gateway", _listening("127.0.0.1", ours=False)),
}


def _answers(place: Place, answer: Any) -> Facts:
    place.answer = answer
    return {"version": "2"}


def test_an_image_that_docker_has_not_is_told(tmp_path: Path) -> None:
    place = Place(tmp_path).make()
    config("{agents: {defaults: {sandbox: {docker: {image: 'a:1'}}}}}")(place)
    findings = examine(place.scene(docker_problems={"a:1": "Docker has no image a:1"}), ("exposure",))
    (found,) = [one for one in findings if one.id == "sandbox.walls"]
    assert (found.severity, "no image a:1; so no command can run" in found.evidence) == ("error", True)


def test_every_finding_of_the_table_has_a_breakage() -> None:
    named = {id_ for check in CHECKS for id_ in check.reports}
    assert named == set(ROWS)


def test_every_patch_is_what_some_breakage_is_mended_by(tmp_path: Path) -> None:
    used = set()
    for number, row in enumerate(each for each in ROWS.values() if each.mended):
        with broken(tmp_path / str(number), row) as look:
            used |= {one.patch for one in examine(look()) if one.patch}
    assert used == {patch.name for patch in PATCHES}


@contextmanager
def broken(root: Path, row: Row) -> Iterator[Callable[[], Scene]]:
    """Give a way to look at a state directory that is broken so."""
    root.mkdir(exist_ok=True)
    place = Place(root).make()
    facts = row.breaks(place) or {}
    close = facts.pop("_close", lambda: None)
    try:
        yield partial(place.scene, **facts)
    finally:
        close()
        subprocess.run(["chattr", "-i", place.state], check=False, capture_output=True)


def found(scene: Scene, id_: str, severity: Severity) -> list[Finding]:
    return [one for one in examine(scene) if one.id == id_ and one.severity == severity]


@pytest.mark.parametrize("id_", ROWS)
def test_what_is_broken_is_named_with_what_was_seen_and_what_to_do(tmp_path: Path, id_: str) -> None:
    row = ROWS[id_]
    with broken(tmp_path, row) as look:
        findings = found(look(), id_, row.severity)
    assert any(row.evidence in one.evidence for one in findings), findings
    assert all(one.fix for one in findings if RANK[one.severity] > RANK["info"])
    assert bool([one for one in findings if one.patch]) == row.mended
    assert "hunter2" not in json.dumps(msgspec.to_builtins(findings))


@pytest.mark.parametrize("id_", [id_ for id_, row in ROWS.items() if row.mended])
def test_what_can_be_mended_safely_is_mended_once_and_put_back_byte_for_byte(tmp_path: Path, id_: str) -> None:
    row = ROWS[id_]
    place = Place(tmp_path)
    with broken(tmp_path, row) as look:
        before, whole = place.own_tree(), place.tree()
        names = {one.patch for one in found(look(), id_, row.severity)}
        assert names <= {one.patch for one in plan(look()).patches}
        assert place.tree() == whole
        fix = mend(look)
        assert found(look(), id_, row.severity) == []
        mended = place.tree()
        assert (mend(look), place.tree()) == (Fix(), mended)
        undo(look, fix.id)
        assert place.own_tree() == before


@pytest.mark.parametrize("id_", [id_ for id_, row in ROWS.items() if not row.mended])
def test_what_is_a_decision_is_left_to_the_operator(tmp_path: Path, id_: str) -> None:
    row = ROWS[id_]
    with broken(tmp_path, row) as look:
        if id_ != "state.writable":
            mend(look)
        assert found(look(), id_, row.severity)
