"""The doctor sees what is wrong, says how to mend it, and never puts a secret into its report."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import anyio
import msgspec
import pytest

from openclaw.base.clock import ManualClock
from openclaw.base.errors import InvalidRequest, Unauthorized, Unavailable
from openclaw.identity.devices.record import Device
from openclaw.ops.doctor.listening import listeners
from openclaw.ops.doctor.report import cleaned, markdown
from openclaw.ops.doctor.scene import RANK, Finding
from openclaw.ops.doctor.table import CHECKS, examine
from openclaw.store.shelf import ABSENT, Change
from openclaw.store.sqlite import SqliteStore
from tests.ops.doctor.place import HEALTHY, NOW_MS, OTHER, STRONG, Place


def look(
    tmp_path: Path,
    text: str | None = f'{{gateway: {{auth: {{token: "{STRONG}"}}}}}}',
    *,
    model: str = "fake/echo",
    problem: str = "",
    file: Path | None = None,
    answer: Any = HEALTHY,
    **more: Any,
) -> list[Finding]:
    """Examine a state directory with that configuration and gateway; every finding must be in the table."""
    place = Place(tmp_path, more.pop("process", {}), answer)
    place.state.mkdir(mode=0o700, exist_ok=True)
    if text is not None:
        path = place.state / "openclaw.json"
        path.touch(mode=0o600)
        path.write_text(text)
    scene = place.scene(default_model=model, model_problem=problem, embedded_model=lambda _: file, **more)
    known = {(check.run, id_): severity for check in CHECKS for id_, severity in check.reports.items()}
    for check in CHECKS:
        for finding in check.run(scene):
            assert RANK[finding.severity] <= RANK[known[check.run, finding.id]], finding
    return examine(scene)


def bad(findings: list[Finding]) -> dict[str, Finding]:
    return {each.id: each for each in findings if each.severity in {"warning", "error"}}


@pytest.mark.parametrize("store", [None, b""])
def test_a_ledger_that_the_log_has_seen_and_the_store_has_not_is_missed(tmp_path: Path, store: bytes | None) -> None:
    place = Place(tmp_path, {}, HEALTHY)
    place.state.mkdir(mode=0o700)
    if store is not None:
        (place.state / "openclaw.db").write_bytes(store)
    assert "audit.head" not in bad(look(tmp_path))
    line = {"time": "2026-11-20T10:00:00.000Z", "level": "info", "event": "audit_head", "seq": 2, "hash": "ab" * 32}
    place.write("logs/openclaw.log", json.dumps(line) + "\n")
    assert "no audit ledger" in bad(look(tmp_path))["audit.head"].evidence


def test_a_sound_state_gives_no_complaint(tmp_path: Path) -> None:
    findings = look(tmp_path)
    assert bad(findings) == {}
    assert {each.id for each in findings} >= {"config.file", "state.mode", "gateway.token", "gateway.reachable"}


def test_every_complaint_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir(mode=0o755)
    findings = look(
        tmp_path,
        '{gateway: {prot: 1, auth: {token: "weak"}, bind: 5}}',
        model="embedded/smollm2",
        answer=Unavailable("nobody there"),
    )
    complaints = bad(findings)
    assert {"config.unknown-key", "config.invalid-value", "gateway.token", "model.file"} <= set(complaints)
    assert all(each.fix for each in complaints.values())
    assert "line 1" in complaints["config.unknown-key"].evidence


def test_open_modes_of_the_state_and_of_files_with_secrets_are_named(tmp_path: Path) -> None:
    look(tmp_path)
    (tmp_path / "state").chmod(0o755)
    (tmp_path / "state" / "openclaw.json").chmod(0o644)
    complaints = bad(look(tmp_path))
    assert "0755" in complaints["state.mode"].evidence
    assert complaints["state.file-mode"].fix.startswith("chmod 600 ")


@pytest.mark.parametrize(
    ("text", "id_", "severity"),
    [
        ('{gateway: {auth: {token: "short"}}}', "gateway.token", "warning"),
        ('{gateway: {auth: {mode: "none"}}}', "gateway.auth", "warning"),
        ('{gateway: {bind: "lan", auth: {token: "short"}}}', "gateway.refuses", "error"),
        ('{gateway: {bind: "lan", auth: {mode: "none"}}}', "gateway.refuses", "error"),
        ("{}", "gateway.token", "warning"),
    ],
)
def test_a_weak_or_missing_secret_is_worse_beyond_this_machine(
    tmp_path: Path, text: str, id_: str, severity: str
) -> None:
    assert bad(look(tmp_path, text))[id_].severity == severity


def test_the_report_never_holds_the_secret(tmp_path: Path) -> None:
    for text in ('{gateway: {auth: {token: "hunter2-short"}}}', '{gateway: {auth: {token: ["hunter2-short"]}}}'):
        assert b"hunter2" not in msgspec.json.encode(look(tmp_path, text))
    assert STRONG.encode() not in msgspec.json.encode(look(tmp_path))


def test_a_model_that_cannot_be_called_is_an_error(tmp_path: Path) -> None:
    assert bad(look(tmp_path, model="openai/x", problem="no key"))["model.default"].severity == "error"
    assert bad(look(tmp_path, model="embedded/smollm2", file=tmp_path)) == {}


@pytest.mark.parametrize(
    ("answer", "id_"),
    [
        (Unavailable("nobody there"), None),
        (Unauthorized("the token from file was refused"), "gateway.token-parity"),
        ({"ok": True, "status": "live"}, "gateway.token-parity"),
        ({"hello": "I am a web server"}, "gateway.port"),
        ({}, "gateway.port"),
    ],
)
def test_what_answers_on_the_port_is_told_apart(tmp_path: Path, answer: Any, id_: str | None) -> None:
    assert set(bad(look(tmp_path, answer=answer))) == ({id_} if id_ else set())


def test_a_state_that_is_not_there_yet_is_no_fault(tmp_path: Path) -> None:
    findings = look(tmp_path, None, answer=Unavailable("nobody there"))
    assert [each for each in findings if each.severity == "error"] == []


@pytest.mark.parametrize(("limit", "severity"), [("warnFreeBytes", "warning"), ("minFreeBytes", "error")])
def test_a_disk_is_nearly_full_where_the_settings_say_so(tmp_path: Path, limit: str, severity: str) -> None:
    assert bad(look(tmp_path, f"{{storage: {{{limit}: {1 << 60}}}}}"))["disk.space"].severity == severity


def test_only_the_named_groups_are_looked_at(tmp_path: Path) -> None:
    scene = Place(tmp_path).make(0o755).scene()
    assert {each.id for each in examine(scene, ["disk", "state"])} == {"state.mode", "lock.holder", "disk.space"}
    with pytest.raises(InvalidRequest, match="no check 'toes'"):
        examine(scene, ["toes"])


def test_a_configuration_that_cannot_be_used_at_all_does_not_end_the_doctor(tmp_path: Path) -> None:
    found = bad(look(tmp_path, "{gateway: ", answer=Unavailable("nobody there")))
    assert found["config.file"].severity == "error"
    assert "cannot be used" in found["config.file"].evidence


@pytest.mark.parametrize(
    ("text", "id_", "severity"),
    [
        ('{gateway: {trustedProxies: ["0.0.0.0/0"]}}', "exposure.trusted-proxies", "error"),
        ('{gateway: {trustedProxies: ["10.0.0.0/8"]}}', "exposure.trusted-proxies", "warning"),
        ('{gateway: {controlUi: {allowedOrigins: ["*"]}}}', "exposure.origins", "warning"),
        ('{gateway: {controlUi: {root: "/not/there"}}}', "page.root", "error"),
        ("{networkPolicy: {allowEgress: true}}", "exposure.egress", "warning"),
        ('{hooks: {enabled: true, token: "short"}}', "hooks.token", "warning"),
        (f'{{gateway: {{auth: {{token: "{STRONG}"}}}}, hooks: {{token: "{STRONG}"}}}}', "token.duplicate", "error"),
        ('{channels: {a: {botToken: "123:x"}, b: {token: "123:x"}}}', "token.duplicate", "error"),
        ('{gateway: {nodes: {denyCommands: ["*"]}}}', "config.deprecated", "warning"),
    ],
)
def test_what_is_opened_too_far_is_named(tmp_path: Path, text: str, id_: str, severity: str) -> None:
    assert bad(look(tmp_path, text))[id_].severity == severity


def test_every_copy_of_the_token_is_compared(tmp_path: Path) -> None:
    place = Place(tmp_path).make()
    place.write(".env", f"OPENCLAW_GATEWAY_TOKEN={STRONG}\n")
    place.write("credentials/gateway-token", OTHER)
    unit = tmp_path / ".config/systemd/user/openclaw.service"
    unit.parent.mkdir(parents=True)
    unit.write_text(f"[Service]\nEnvironmentFile={tmp_path}/gateway.env\n")
    (tmp_path / "gateway.env").write_text(f'OPENCLAW_GATEWAY_TOKEN="{OTHER}" # ours\n')
    text = f'{{gateway: {{auth: {{token: "{OTHER}"}}, remote: {{token: "{OTHER}"}}}}}}'
    wrong = [one.evidence for one in look(tmp_path, text) if one.id == "token.parity"]
    named = ("gateway.auth.token", "gateway.remote.token", "credentials/gateway-token", "gateway.env")
    assert len(wrong) == len(named)
    assert all(any(name in line for line in wrong) for name in named)


def test_a_remote_gateway_elsewhere_has_its_own_token(tmp_path: Path) -> None:
    text = f'{{gateway: {{auth: {{token: "{STRONG}"}}, remote: {{url: "wss://far.example", token: "{OTHER}"}}}}}}'
    assert "token.parity" not in bad(look(tmp_path, text))


def test_authorities_and_proxies_of_the_environment_are_named_without_their_passwords(tmp_path: Path) -> None:
    environ = {"SSL_CERT_FILE": "/not/there.pem", "HTTPS_PROXY": "http://me:hunter2@proxy.example:3128"}
    found = look(tmp_path, process=environ)
    assert bad(found)["network.authorities"].severity == "error"
    assert "proxy.example" in next(one for one in found if one.id == "network.proxy").evidence
    assert b"hunter2" not in msgspec.json.encode(found)


def test_the_sockets_that_really_listen_are_compared_with_the_bind(tmp_path: Path) -> None:
    with socket.create_server(("0.0.0.0", 0)) as server:
        port = server.getsockname()[1]
        found = listeners(port)
        assert found is not None
        assert [one.address for one in found] == ["0.0.0.0"]
        assert found[0].pid > 0
        config = f'{{gateway: {{port: {port}, auth: {{token: "{STRONG}"}}}}}}'
        complaints = bad(look(tmp_path, config, proc=Path("/proc")))
        assert "listens on 0.0.0.0" in complaints["listen.bind"].evidence
        assert str(found[0].pid) in complaints["listen.owner"].evidence
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as server:
        assert [one.loopback for one in listeners(server.getsockname()[1]) or ()] == [True]
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert [one.loopback for one in listeners(server.getsockname()[1]) or ()] == [True]


def test_a_damaged_store_is_named_and_a_sound_one_is_left_without_a_trace(tmp_path: Path) -> None:
    place = Place(tmp_path).make()

    async def make() -> None:
        store = await SqliteStore.open(place.state / "openclaw.db", clock=ManualClock())
        await store.close()

    anyio.run(make)
    before = place.tree()
    assert "store.integrity" not in bad(look(tmp_path, None))
    assert place.tree() == before
    place.write("openclaw.db", b"SQLite format 3\0" + b"garbage" * 500)
    assert bad(look(tmp_path, None))["store.integrity"].severity == "error"


def test_an_admin_device_that_nobody_has_seen_for_long_is_named(tmp_path: Path) -> None:
    place = Place(tmp_path).make()

    def paired(name: str, scope: str, seen_ms: int) -> Device:
        return Device(
            device_id=name * 16,
            public_key="k",
            created_at_ms=0,
            approved_at_ms=0,
            approved_via="owner",
            approved={"operator": (scope,)},
            last_seen_at_ms=seen_ms,
        )

    async def make() -> None:
        store = await SqliteStore.open(place.state / "openclaw.db", clock=ManualClock())
        long_ago = NOW_MS - 100 * 86_400_000
        for name, scope, seen_ms in (
            ("old", "operator.admin", long_ago),
            ("new", "operator.admin", NOW_MS),
            ("dim", "operator.read", long_ago),
        ):
            body = msgspec.json.encode(paired(name, scope, seen_ms))
            await store.shelf.apply([Change("device", name, body, ABSENT)], 1)
        await store.close()

    anyio.run(make)
    found = [one.evidence for one in look(tmp_path, None) if one.id == "devices.unseen"]
    assert [("oldold" in line, "100 days" in line) for line in found] == [(True, True)]


def test_a_unit_that_holds_the_token_itself_is_an_error(tmp_path: Path) -> None:
    unit = tmp_path / ".config/systemd/user/openclaw.service"
    unit.parent.mkdir(parents=True)
    unit.write_text(f"[Service]\nEnvironment=OPENCLAW_GATEWAY_TOKEN={STRONG}\nEnvironmentFile=/not/there.env\n")
    found = bad(look(tmp_path))
    assert found["service.secret"].severity == "error"
    assert "/not/there.env" in found["service.environment"].evidence


class Deep:
    def providers(self) -> dict[str, str]:
        return {"openai": "the key was refused", "ollama": ""}

    def clock_skew_s(self) -> tuple[str, float]:
        return "openai", -75.4


def test_deep_tells_of_providers_and_of_the_clock(tmp_path: Path) -> None:
    found = bad(look(tmp_path, deep=Deep()))
    assert "refused" in found["providers.answer"].evidence
    assert "75 s behind" in found["clock.skew"].evidence


def test_another_version_runs_than_this_command(tmp_path: Path) -> None:
    assert "1" in bad(look(tmp_path, version="2"))["gateway.version"].evidence


def test_the_report_for_a_ticket_is_cleaned_of_every_known_secret(tmp_path: Path) -> None:
    place = Place(tmp_path, {"OPENCLAW_GATEWAY_TOKEN": OTHER}).make()
    place.write("openclaw.json", json.dumps({"gateway": {"auth": {"token": STRONG}}}))
    scene = place.scene()
    leaky = [Finding(id="x", severity="error", evidence=f"a|b {STRONG}", fix=OTHER)]
    text = markdown(cleaned([*leaky, *examine(scene)], scene), "1")
    assert STRONG not in text
    assert OTHER not in text
    assert "a\\|b ***" in text
