"""Backups on another machine: a real sshd, a real rsync, keys of this module's own."""

from __future__ import annotations

import asyncio
import json
import os
import pwd
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from openclaw.base.clock import ManualClock
from openclaw.base.errors import InvalidRequest, NotFound, Unavailable
from openclaw.config.env import Environment
from openclaw.ops.backup.create import name_of
from openclaw.ops.backup.desk import Created
from openclaw.ops.backup.restore import restore_to
from openclaw.ops.backup.ssh import RemoteFolder
from tests.cli.gateway_process import wait_until
from tests.gateway.process import free_port
from tests.ops.backup.house import NOW_MS, PASSPHRASE, backups_of, tree

SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
pytestmark = pytest.mark.skipif(
    SSHD is None or not shutil.which("rsync") or not shutil.which("ssh"),
    reason="sshd, ssh and rsync are not all installed (Debian: apt install openssh-server rsync)",
)
ENV = Environment((("process", {"PATH": os.environ.get("PATH", ""), "HOME": "/nonexistent"}),))


class Server(NamedTuple):
    """A machine to keep backups on: `url` is its root, `key` opens it, `known` has its fingerprint."""

    url: str
    key: Path
    known: Path

    def folder(self, path: Path | str, *, key: Path | None = None, known: Path | None = None) -> RemoteFolder:
        return RemoteFolder(f"{self.url}{path}", ENV, identity=key or self.key, known_hosts=known or self.known)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """An sshd for whoever runs the tests, on loopback."""
    folder = tmp_path_factory.mktemp("a machine")
    folder.chmod(0o700)
    for name in ("host", "key", "other"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
    shutil.copy(folder / "key.pub", folder / "authorized")
    port, user = free_port(), pwd.getpwuid(os.getuid()).pw_name
    (folder / "sshd_config").write_text(
        f'ListenAddress 127.0.0.1\nPort {port}\nHostKey "{folder}/host"\nAuthorizedKeysFile "{folder}/authorized"\n'
        f"StrictModes no\nUsePAM no\nPasswordAuthentication no\nPidFile none\nPermitRootLogin prohibit-password\n"
    )
    kind, host_key, *_ = (folder / "host.pub").read_text().split()
    (folder / "known").write_text(f"[127.0.0.1]:{port} {kind} {host_key}\n")
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    assert SSHD is not None
    process = subprocess.Popen(
        [SSHD, "-D", "-f", folder / "sshd_config", "-E", folder / "log"], stdin=subprocess.DEVNULL
    )

    def answers() -> bool:
        assert process.poll() is None, (folder / "log").read_text()
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    try:
        wait_until(answers)
        yield Server(f"ssh://{user}@127.0.0.1:{port}", folder / "key", folder / "known")
    finally:
        process.terminate()
        process.wait(10)


def archive_of(folder: Path, size: int, at_ms: int = NOW_MS) -> Path:
    archive = folder / name_of(at_ms, encrypted=False)
    archive.write_bytes(os.urandom(size))
    return archive


def test_an_archive_goes_there_private_and_comes_back(server: Server, tmp_path: Path) -> None:
    kept = tmp_path / "kept here; it's 100% $HOME/odd"
    place = server.folder(kept)
    assert place.list() == []
    archive = archive_of(tmp_path, 1_234_567)
    assert place.put(archive) == f"{server.url}{kept}/{archive.name}"
    assert (kept / archive.name).stat().st_mode & 0o777 == 0o600
    (kept / "notes.txt").write_text("mine")
    older = archive_of(tmp_path, 10, NOW_MS - 86_400_000)
    place.put(older)
    assert [(each.name, each.size) for each in place.list()] == [(archive.name, 1_234_567), (older.name, 10)]
    place.fetch(archive.name, tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == archive.read_bytes()
    place.delete(older.name)
    assert sorted(each.name for each in kept.iterdir()) == sorted([archive.name, "notes.txt"])
    with pytest.raises(NotFound):
        place.fetch(older.name, tmp_path / "none")


def test_who_is_not_known_or_not_let_in_gets_a_failure_that_says_what_to_do(server: Server, tmp_path: Path) -> None:
    archive = archive_of(tmp_path, 10)
    stranger = tmp_path / "known"
    stranger.write_text("")
    for place, words in (
        (server.folder(tmp_path / "kept", known=stranger), "Make the host known"),
        (server.folder(tmp_path / "kept", key=server.key.with_name("other")), "backup.sshKey"),
        (server.folder("/proc/no-such"), "rsync"),
    ):
        with pytest.raises(Unavailable) as refused:
            place.put(archive)
        assert words in refused.value.hint
    assert not (tmp_path / "kept").exists()
    assert stranger.read_text() == ""


def test_a_transfer_that_is_told_to_stop_leaves_no_backup(server: Server, tmp_path: Path) -> None:
    def stop() -> None:
        raise Unavailable("the gateway stops")

    kept = tmp_path / "kept"
    slow = RemoteFolder(
        f"{server.url}{kept}", ENV, identity=server.key.with_name("none"), known_hosts=tmp_path / "pipe"
    )
    os.mkfifo(tmp_path / "pipe")  # ssh waits for whoever writes into it
    with pytest.raises(Unavailable, match="the gateway stops"):
        slow.put(archive_of(tmp_path, 10), stop)
    assert not kept.exists()


@pytest.mark.parametrize(
    "url",
    [
        "ssh://",
        "ssh://host",
        "ssh://host/",
        "ssh://-oProxyCommand=x/a",
        "ssh://-x@host/a",
        "ssh://a b/c",
        "ssh://me:secret@host/a",
        "ssh://host:99999/a",
        "ssh://host/a?b",
        "ssh://host/a%0ab",
    ],
)
def test_an_address_that_is_none_or_an_option_is_refused(url: str) -> None:
    with pytest.raises(InvalidRequest):
        RemoteFolder(url, ENV)


def test_an_address_is_shown_as_it_was_given() -> None:
    for url in ("ssh://me@host:22/srv/kept", "ssh://host/~/kept", "ssh://host/srv/kept"):
        assert RemoteFolder(url, ENV).place == url


@pytest.mark.anyio
async def test_a_backup_by_way_of_another_machine_is_restored(server: Server, state: Path, tmp_path: Path) -> None:
    place = f"{server.url}{tmp_path}/kept"
    names = {"sshKey": server.key, "sshKnownHosts": server.known}
    (state / "openclaw.json").write_text(json.dumps({"backup": {name: str(path) for name, path in names.items()}}))
    clock = ManualClock(NOW_MS)
    backups = backups_of(state, clock)

    def make_two() -> Created:
        for _ in range(2):
            done = backups.create(parts=backups.parts(), passphrase=lambda: PASSPHRASE, place=place, keep="1")
            clock.advance(3_600)
        target, kept = backups.find(f"{place}/{Path(done.where).name}")  # type: ignore[misc]
        target.fetch(kept.name, tmp_path / kept.name)
        return done

    done = await asyncio.to_thread(make_two)
    assert len(done.pruned) == 1
    assert len(list((tmp_path / "kept").iterdir())) == 1
    restore_to(tmp_path / Path(done.where).name, tmp_path / "fresh", PASSPHRASE)
    assert tree(tmp_path / "fresh")["workspace/notes/a.txt"] == tree(state)["workspace/notes/a.txt"]
