"""Installing, changing and removing the service, with a stand-in for systemctl that remembers what it was told."""

from __future__ import annotations

import stat
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
import pytest

from openclaw.base.errors import InvalidRequest, NotSupported, Unavailable
from openclaw.config.env import Environment, parse_env
from openclaw.config.paths import resolve_paths
from openclaw.ops.service.keeper import install, installed_drift, uninstall, write_env
from openclaw.ops.service.manager import Launchd, Systemd, manager_for
from openclaw.ops.service.plan import Service
from openclaw.ops.service.wish import forgotten, wish
from openclaw.processes.spawner import Completed

pytestmark = pytest.mark.anyio
SECRET = "sk-planted-canary-0123456789"


class Told:
    """Answers as systemctl does, and remembers."""

    def __init__(self, answers: Mapping[str, Completed] | None = None) -> None:
        self.calls: list[tuple[str, ...]] = []
        self._answers = answers or {}

    async def __call__(self, argv: Sequence[str], env: Mapping[str, str]) -> Completed:
        self.calls.append(tuple(argv))
        return next((answer for word, answer in self._answers.items() if word in argv), Completed(0, b"", ""))


def nothing(name: str) -> None:
    return None


@pytest.fixture
def env(tmp_path: Path) -> Environment:
    values = {"OPENCLAW_STATE_DIR": str(tmp_path / "my state"), "HOME": str(tmp_path), "ANTHROPIC_API_KEY": SECRET}
    return Environment((("process", values),))


@pytest.fixture
def service(env: Environment) -> Service:
    return wish("user", resolve_paths(env), env, python="/usr/bin/python3", port=19000)


def systemd(tmp_path: Path, told: Told) -> Systemd:
    return Systemd("user", told, home=tmp_path, get=nothing)


async def test_installing_twice_changes_nothing_the_second_time(tmp_path: Path, service: Service) -> None:
    told = Told()
    manager = systemd(tmp_path, told)
    first = await install(manager, service, {"ANTHROPIC_API_KEY": SECRET})
    text = manager.path.read_text()
    second = await install(manager, service, {"ANTHROPIC_API_KEY": SECRET})
    assert (first.changed, first.env_added) == (True, ("ANTHROPIC_API_KEY",))
    assert (second.changed, second.kept, second.env_added) == (False, "", ())
    assert manager.path.read_text() == text
    assert manager.path == tmp_path / ".config/systemd/user/openclaw-gateway.service"
    assert ("systemctl", "--user", "--no-pager", "enable", "openclaw-gateway.service") in told.calls


async def test_the_units_of_commands_come_and_go_with_the_gateways(tmp_path: Path, service: Service) -> None:
    told = Told()
    manager = systemd(tmp_path, told)
    await install(manager, service, {})
    folder = manager.path.parent
    names = {"openclaw-gateway.service", "openclaw-commands.socket", "openclaw-commands@.service"}
    assert {path.name for path in folder.iterdir()} == names
    (folder / "openclaw-commands.socket").unlink()
    drift = installed_drift(manager, service)
    assert (drift.state, "openclaw-commands.socket" in "".join(drift.changes)) == ("different", True)
    assert (await install(manager, service, {})).changed
    assert installed_drift(manager, service).state == "same"
    assert await uninstall(manager)
    assert list(folder.iterdir()) == []
    assert ("systemctl", "--user", "--no-pager", "stop", "openclaw-commands.socket") in told.calls


async def test_no_secret_is_in_the_unit_and_its_variables_are_private(tmp_path: Path, service: Service) -> None:
    manager = systemd(tmp_path, Told())
    await install(manager, service, {"ANTHROPIC_API_KEY": SECRET})
    assert SECRET not in manager.path.read_text()
    assert SECRET in service.env_file.read_text()
    assert stat.S_IMODE(service.env_file.stat().st_mode) == 0o600


async def test_a_unit_that_was_edited_is_kept_beside_the_new_one(tmp_path: Path, service: Service) -> None:
    manager = systemd(tmp_path, Told())
    await install(manager, service, {})
    edited = manager.path.read_text() + f"Nice=5\nEnvironment=ANTHROPIC_API_KEY={SECRET}\n"
    manager.path.write_text(edited)
    drift = installed_drift(manager, service)
    assert drift.state == "different"
    assert "-Nice=5" in drift.changes
    assert "-Environment=ANTHROPIC_API_KEY=…" in drift.changes
    assert SECRET not in str(drift)
    done = await install(manager, service, {})
    kept = manager.path.with_name(f"{manager.path.name}.before")
    assert (done.kept, kept.read_text()) == (str(kept), edited)
    assert installed_drift(manager, service).state == "same"


async def test_drift_goes_by_what_was_asked_for_and_by_the_program_of_today(tmp_path: Path, service: Service) -> None:
    manager = systemd(tmp_path, Told())
    assert installed_drift(manager, service).state == "absent"
    await install(manager, service, {})
    asked_otherwise = msgspec.structs.replace(service, argv=service.argv[:-2], memory_max="1G")
    assert installed_drift(manager, asked_otherwise).state == "same"
    moved = msgspec.structs.replace(service, argv=("/opt/other/python", *service.argv[1:]))
    assert installed_drift(manager, moved).state == "different"
    folder = manager.path.with_name(f"{manager.path.name}.d")
    folder.mkdir()
    (folder / "override.conf").write_text("[Service]\nNice=5\n")
    drift = installed_drift(manager, service)
    assert drift.overrides == (str(folder / "override.conf"),)
    assert drift.missing == ()


async def test_uninstalling_leaves_state_and_variables_and_can_be_repeated(tmp_path: Path, service: Service) -> None:
    manager = systemd(tmp_path, Told())
    await install(manager, service, {})
    assert await uninstall(manager) is True
    assert not manager.path.exists()
    assert service.env_file.exists()
    assert await uninstall(manager) is False


async def test_what_systemctl_says_becomes_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    down = Told({"start": Completed(1, b"", "System has not been booted with systemd as init system")})
    with pytest.raises(NotSupported):
        await systemd(tmp_path, down).start()
    denied = Told({"start": Completed(4, b"", "Interactive authentication required.")})
    with pytest.raises(Unavailable) as caught:
        await systemd(tmp_path, denied).start()
    assert "sudo" in caught.value.hint
    with pytest.raises(NotSupported):
        manager_for("win32", "user", down, home=tmp_path, get=nothing)


async def test_the_state_is_read_from_what_systemd_shows(tmp_path: Path) -> None:
    said = b"ActiveState=active\nUnitFileState=enabled\nMainPID=42\nNRestarts=3\nResult=success\nNeedDaemonReload=yes\n"
    told = Told({"show": Completed(0, said, ""), "show-user": Completed(0, b"Linger=no\n", "")})
    state = await systemd(tmp_path, told).state()
    assert (state.active, state.enabled, state.pid, state.restarts) == ("active", True, 42, 3)
    assert (state.stale, state.lingers) == (True, False)


@pytest.mark.parametrize(
    ("refused", "sandbox"),
    [((), "full"), (("ProtectKernelLogs=yes",), "files"), (("ProtectSystem=strict",), "none"), (("--wait",), "full")],
    ids=["nothing", "kernel", "namespaces", "everything, so for another reason"],
)
async def test_the_unit_gets_as_much_sandbox_as_the_machine_gives(
    tmp_path: Path, service: Service, refused: tuple[str, ...], sandbox: str
) -> None:
    told = Told({word: Completed(226, b"", "namespaces") for word in refused})
    assert (await systemd(tmp_path, told).fitted(service)).sandbox == sandbox


async def test_a_program_that_the_service_could_not_execute_is_told_at_once(tmp_path: Path, service: Service) -> None:
    told = Told({"--wait": Completed(203, b"", "")})
    with pytest.raises(Unavailable, match="cannot execute /usr/bin/python3"):
        await systemd(tmp_path, told).fitted(service)


async def test_launchd_is_told_the_domain_the_label_and_the_file(tmp_path: Path, service: Service) -> None:
    told = Told({"print": Completed(0, b"gui/501/org.openclaw.gateway = {\n\tstate = running\n\tpid = 77\n}\n", "")})
    manager = Launchd("user", told, home=tmp_path)
    await install(manager, service, {})
    assert manager.path == tmp_path / "Library/LaunchAgents/org.openclaw.gateway.plist"
    assert any(call[:2] == ("launchctl", "bootstrap") and call[-1] == str(manager.path) for call in told.calls)
    state = await manager.state()
    assert (state.active, state.pid) == ("active", 77)
    assert installed_drift(manager, service).state == "same"


def test_variables_are_added_replaced_and_kept_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "service.env"
    odd = "a b\"c'd$e%f\\g#h"
    assert write_env(path, {"A": odd, "B": "1"}) == ("A", "B")
    path.write_text(path.read_text() + "# mine\nC=3\n")
    assert write_env(path, {"B": "2", "A": odd}) == ("B",)
    values, bad = parse_env(path.read_text())
    assert values == {"A": odd, "B": "2", "C": "3"}
    assert bad == []
    assert "# mine" in path.read_text()
    with pytest.raises(InvalidRequest):
        write_env(path, {"D": "two\nlines"})


def test_what_the_service_would_not_see_is_named(env: Environment) -> None:
    assert forgotten(env, ()) == ("ANTHROPIC_API_KEY",)
    assert forgotten(env, ("ANTHROPIC_API_KEY",)) == ()


def test_a_service_never_imports_from_the_folder_that_agents_write_to(service: Service) -> None:
    assert service.argv[1] == "-P"
    assert service.state_dir in service.writable
