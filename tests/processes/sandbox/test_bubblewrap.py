"""Bubblewrap's walls, tried from inside by commands that want out."""

from __future__ import annotations

import asyncio
import contextlib
import os
import platform
import socket
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from openclaw.base.clock import ManualClock
from openclaw.base.errors import Unavailable
from openclaw.processes.sandbox import bubblewrap as module
from openclaw.processes.sandbox.bubblewrap import Bubblewrap
from openclaw.processes.sandbox.job import Limits, Redirect, Stage, Walls
from openclaw.processes.spawner import Spawner
from tests.processes.sandbox.support import command, job, names, outcome, python, ran, shell
from tests.processes.waiting import alive, status, until

pytestmark = pytest.mark.anyio

SYSCALLS = """
import ctypes, errno, socket
libc = ctypes.CDLL(None, use_errno=True)
def call(name, *words):
    ctypes.set_errno(0)
    result = getattr(libc, name)(*words)
    print(name, *words[:1], errno.errorcode.get(ctypes.get_errno(), "fine") if result == -1 else "fine")
call("ptrace", 0, 0, 0, 0)
call("unshare", 0x10000000)
call("setns", 0, 0)
call("mount", b"none", b"/tmp", b"tmpfs", 0, 0)
call("umount2", b"/tmp", 2)
call("chroot", b"/tmp")
call("syscall", {keyctl}, 0, -3, 0)
call("syscall", {bpf}, 0, 0, 0)
call("syscall", {perf}, 0, 0, 0, 0, 0)
call("syscall", {userfaultfd}, 1)
call("syscall", 425, 1, 0)
call("syscall", 435, 0, 0)
call("ioctl", 0, 0x5412, b"x")
for family in (17, 38, 40):
    try:
        socket.socket(family, socket.SOCK_RAW if family == 17 else socket.SOCK_SEQPACKET)
        print("socket", family, "fine")
    except OSError as error:
        print("socket", family, errno.errorcode[error.errno])
for family in (1, 2, 10):
    socket.socket(family, socket.SOCK_STREAM).close()
print("others fine")
"""
NUMBERS = {
    "x86_64": {"keyctl": 250, "bpf": 321, "perf": 298, "userfaultfd": 323},
    "aarch64": {"keyctl": 219, "bpf": 280, "perf": 241, "userfaultfd": 282},
}


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A canary on the machine's loopback."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.05)
        yield server


async def test_the_workspace_can_be_written_and_nothing_else(
    bubblewrap: Bubblewrap, workspace: Path, walls: Walls
) -> None:
    text = (
        "echo in > ok; for each in / /usr /usr/bin /etc /run /proc /proc/sys/kernel /dev /home /root /var; do"
        " (echo x > $each/canary) 2>/dev/null && echo wrote $each; done; find / -name canary 2>/dev/null;"
        " echo tmp > /tmp/x && cat /tmp/x; echo x > /proc/sys/kernel/printk_ratelimit; true"
    )
    status, written = await ran(bubblewrap, shell(workspace, text), walls)
    assert (status, [line for line in written.splitlines() if "Read-only" not in line]) == (0, ["tmp"])
    assert (workspace / "ok").read_text() == "in\n"


async def test_a_workspace_may_be_for_reading_only(bubblewrap: Bubblewrap, workspace: Path) -> None:
    (workspace / "f").write_text("text")
    status, written = await ran(
        bubblewrap, shell(workspace, "cat f; echo x > g"), Walls(workspace=workspace, writable=False)
    )
    assert status == 1
    assert written.startswith("text")
    assert not (workspace / "g").exists()


async def test_nothing_of_the_machine_is_seen_but_its_programs(
    bubblewrap: Bubblewrap, workspace: Path, walls: Walls
) -> None:
    _, written = await ran(bubblewrap, shell(workspace, f"ls {workspace.parent}; ls /; ls -A /home /root /etc"), walls)
    seen = set(written.split())
    assert {"usr", "bin", "proc", "dev", "tmp", "ws"} <= seen
    assert seen.isdisjoint({"passwd", "shadow", "sudoers", "ssh", "var", "sys", "boot", "opt", "srv", "mnt", "media"})


async def test_state_and_secrets_are_hidden_also_in_the_workspace(bubblewrap: Bubblewrap, workspace: Path) -> None:
    state, config = workspace / ".openclaw", workspace / "openclaw.json"
    state.mkdir()
    (state / "token").write_text("s3cret")
    config.write_text("s3cret")
    (workspace / "open").write_text("open")
    (workspace / "link").symlink_to(state / "token")
    walls = Walls(workspace=workspace, hidden=(state, config, workspace.parent / "elsewhere"))
    _, written = await ran(
        bubblewrap, shell(workspace, "cat open; grep -r s3cret . ; cat openclaw.json link; touch .openclaw/x"), walls
    )
    assert "open" in written
    assert "s3cret" not in written
    assert names(state) == ["token"]


async def test_a_workspace_that_holds_the_state_itself_is_refused(bubblewrap: Bubblewrap, workspace: Path) -> None:
    with pytest.raises(Unavailable, match="where secrets lie"):
        await bubblewrap.start(shell(workspace, "ls"), Walls(workspace=workspace, hidden=(workspace,)))


@pytest.mark.parametrize("place", ["/", "/etc", "/usr", "/home", "/root"])
async def test_a_part_of_the_system_is_no_workspace(place: str, bubblewrap: Bubblewrap) -> None:
    with pytest.raises(Unavailable, match="a part of the system"):
        await bubblewrap.start(shell(Path(place), "ls"), Walls(workspace=Path(place)))


async def test_no_link_leads_out(bubblewrap: Bubblewrap, workspace: Path, walls: Walls) -> None:
    secret = workspace.parent / "secret"
    secret.write_text("s3cret")
    (workspace / "soft").symlink_to(secret)
    (workspace / "up").symlink_to("..")
    text = f"cat soft up/secret ../secret {secret} /proc/1/root{secret} /proc/self/cwd/../secret; ln {secret} hard; ls"
    _, written = await ran(bubblewrap, shell(workspace, text), walls)
    assert "s3cret" not in written
    assert not (workspace / "hard").exists()
    through = Stage(commands=(command(workspace, "echo", "x", to=(Redirect(1, "write", "soft"),)),))
    assert (await ran(bubblewrap, job(workspace, through), walls))[0] == 126
    assert secret.read_text() == "s3cret"


async def test_no_device_can_be_made_or_found(bubblewrap: Bubblewrap, workspace: Path, walls: Walls) -> None:
    text = "mknod disk b 254 0; mknod /tmp/disk b 8 0; mknod /dev/mem c 1 1; ls /dev; head -c 1 /proc/kcore | wc -c"
    _, written = await ran(bubblewrap, shell(workspace, text), walls)
    assert names(workspace) == []
    assert written.splitlines()[-1] == "0"
    assert set(written.split()).isdisjoint({"mem", "kmsg", "sda", "vda", "kvm", "fuse", "vsock"})


async def test_no_network_is_reached(
    bubblewrap: Bubblewrap, workspace: Path, walls: Walls, listener: socket.socket
) -> None:
    port = listener.getsockname()[1]
    abstract = socket.socket(socket.AF_UNIX)
    abstract.bind(f"\0openclaw-test-{os.getpid()}")
    abstract.listen()
    text = f"""
import socket
for family, place in ((2, ("127.0.0.1", {port})), (2, ("1.1.1.1", 53)), (10, ("::1", {port})),
                      (1, "\\0openclaw-test-{os.getpid()}")):
    try:
        socket.socket(family, 1).connect(place); print("reached", place)
    except OSError as error:
        print("no")
print(sorted(name for _, name in socket.if_nameindex()))
"""
    assert await ran(bubblewrap, python(workspace, text), walls) == (0, "no\nno\nno\nno\n['lo']\n")
    with pytest.raises(TimeoutError):
        listener.accept()
    abstract.close()


async def test_no_service_of_the_machine_is_reached_by_a_path(
    bubblewrap: Bubblewrap, workspace: Path, walls: Walls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(workspace)
    (workspace / "deep").mkdir()
    (workspace / "link").symlink_to("deep/inside.sock")
    outside = workspace.parent / "outside.sock"
    places = ["deep/inside.sock", "link", "../outside.sock", str(outside), "relative.sock", "/run/docker.sock"]
    text = f"""
import socket
for place in {places}:
    try:
        socket.socket(1).connect(place); print("reached", place)
    except OSError:
        print("no")
socket.socket(1).bind("own.sock"); print("bound")
"""
    with contextlib.ExitStack() as stack:
        for bound in (str(workspace / "deep/inside.sock"), str(outside), "relative.sock"):
            listener = stack.enter_context(socket.socket(socket.AF_UNIX))
            listener.bind(bound)
            listener.listen()
        assert await ran(bubblewrap, python(workspace, text), walls) == (0, "no\n" * len(places) + "bound\n")


async def test_no_metadata_service_nor_other_family_is_reached(
    bubblewrap: Bubblewrap, workspace: Path, walls: Walls
) -> None:
    text = """
import socket
for family, place in ((2, ("169.254.169.254", 80)), (2, ("100.100.100.200", 80)), (10, ("fd00:ec2::254", 80)),
                      (2, ("10.0.0.1", 80)), (40, (2, 1)), (40, (1, 1)), (17, ("lo", 0))):
    try:
        with socket.socket(family, 1) as one:
            one.settimeout(2); one.connect(place); print("reached", place)
    except OSError:
        print("no")
"""
    assert await ran(bubblewrap, python(workspace, text), walls) == (0, "no\n" * 7)


async def test_the_one_way_out_is_the_socket_that_was_given(
    bubblewrap: Bubblewrap, workspace: Path, listener: socket.socket
) -> None:
    path = workspace.parent / "proxy"
    asked: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append((await reader.readuntil(b"\r\n\r\n")).splitlines()[0])
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello")
        writer.close()

    server = await asyncio.start_unix_server(answer, path)
    port = listener.getsockname()[1]
    text = f"""
import urllib.request, os
print(urllib.request.urlopen("http://example.test/x").read().decode())
try:
    urllib.request.build_opener(urllib.request.ProxyHandler({{}})).open("http://127.0.0.1:{port}/")
except OSError:
    print("no")
"""
    try:
        assert await ran(bubblewrap, python(workspace, text), Walls(workspace=workspace, proxy=path)) == (
            0,
            "hello\nno\n",
        )
    finally:
        server.close()
    assert asked == [b"GET http://example.test/x HTTP/1.1"]
    with pytest.raises(TimeoutError):
        listener.accept()


async def test_connections_that_a_command_holds_open_take_no_endless_threads(
    bubblewrap: Bubblewrap, workspace: Path
) -> None:
    path = workspace.parent / "proxy"
    gone = asyncio.Event()

    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()
        gone.set()

    server = await asyncio.start_unix_server(hold, path)
    text = """
import os, re, socket, time
held = [socket.create_connection(("127.0.0.1", 3128), 5) for _ in range(100)]
def threads():
    return [int(re.search(r"Threads:\\s+(\\d+)", open(f"/proc/{each}/status").read())[1])
            for each in os.listdir("/proc") if each.isdigit()]
end = time.monotonic() + 5
while max(threads()) < 129 and time.monotonic() < end:
    time.sleep(0.01)
print(max(threads()))
"""
    try:
        _, written = await ran(bubblewrap, python(workspace, text), Walls(workspace=workspace, proxy=path))
        assert written == "129\n"
        await gone.wait()
    finally:
        server.close()


async def test_no_process_of_the_machine_is_seen_or_signalled(
    bubblewrap: Bubblewrap, workspace: Path, walls: Walls
) -> None:
    text = f"kill -0 {os.getpid()} && echo reached; ls -d /proc/[0-9]* | wc -l; kill -9 -1"
    _, written = await ran(bubblewrap, shell(workspace, text), walls)
    assert "reached" not in written
    assert int(written.splitlines()[-1]) <= 6


@pytest.mark.skipif(platform.machine() not in NUMBERS, reason="no table of calls for this machine")
async def test_calls_that_no_command_needs_are_denied(bubblewrap: Bubblewrap, workspace: Path, walls: Walls) -> None:
    text = SYSCALLS.format_map(NUMBERS[platform.machine()])
    status, written = await ran(bubblewrap, python(workspace, text), walls)
    told = [line.rpartition(" ")[2] for line in written.splitlines()]
    assert (status, told) == (0, [*["EPERM"] * 11, "ENOSYS", *["EPERM"] * 4, "fine"]), written


async def test_nothing_is_privileged(bubblewrap: Bubblewrap, workspace: Path, walls: Walls) -> None:
    text = "grep -E '^(Cap|NoNewPrivs|Seccomp:)' /proc/self/status; unshare -Ur true; mount -t tmpfs x /tmp; hostname y"
    _, written = await ran(bubblewrap, shell(workspace, text), walls)
    facts = dict(line.split() for line in written.splitlines() if line.endswith(tuple("0123456789")) and ":\t" in line)
    assert {name: int(value, 16) for name, value in facts.items()} == {
        **dict.fromkeys(("CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"), 0),
        "NoNewPrivs:": 1,
        "Seccomp:": 2,
    }
    assert written.count("not permitted") + written.count("failed") + written.count("must be superuser") >= 3


async def test_no_file_becomes_setuid(bubblewrap: Bubblewrap, workspace: Path, walls: Walls) -> None:
    text = """
import os
os.close(os.open("plain", os.O_CREAT | os.O_WRONLY, 0o755))
for number, make in enumerate((
    lambda: os.chmod("plain", 0o4755), lambda: os.chmod("plain", 0o2755, dir_fd=None),
    lambda: os.fchmod(os.open("plain", os.O_RDONLY), 0o6755),
    lambda: os.open("made", os.O_CREAT | os.O_WRONLY, 0o4755), lambda: os.mknod("node", 0o104755),
    lambda: os.mkdir("folder", 0o2755), lambda: os.open(".", os.O_TMPFILE | os.O_WRONLY, 0o4755),
)):
    try:
        make(); print("made", number)
    except PermissionError:
        pass
os.chmod("plain", 0o700)
print(oct(os.stat("plain").st_mode))
"""
    assert await ran(bubblewrap, python(workspace, text), walls) == (0, "0o100700\n")
    assert names(workspace) == ["plain"]


async def test_a_setuid_program_gives_nothing(bubblewrap: Bubblewrap, workspace: Path, walls: Walls) -> None:
    _, written = await ran(bubblewrap, shell(workspace, "su -c id; sudo -n id; grep CapEff /proc/self/status"), walls)
    assert "CapEff:\t0000000000000000" in written


async def test_what_a_job_leaves_behind_ends_with_it(bubblewrap: Bubblewrap, workspace: Path, walls: Walls) -> None:
    text = "setsid -f sleep 700 </dev/null >/dev/null 2>&1; kill -STOP $PPID; sleep 701"
    running = await bubblewrap.start(shell(workspace, text), walls)

    def family_now() -> list[int]:
        return [process.pid for process in psutil.Process(running.child.pid).children(recursive=True)]

    await until(lambda: psutil.STATUS_STOPPED in map(status, family_now()))  # from then on it says nothing
    family = family_now()
    await running.end()
    await until(lambda: not any(map(alive, family)))


async def test_a_command_that_kills_its_carrier_ends_with_it(
    bubblewrap: Bubblewrap, workspace: Path, walls: Walls
) -> None:
    running = await bubblewrap.start(shell(workspace, "setsid -f sleep 702; kill -9 $PPID; sleep 703"), walls)
    family = [process.pid for process in psutil.Process(running.child.pid).children(recursive=True)]
    status, _ = await outcome(running)
    assert status != 0
    await until(lambda: not any(map(alive, family)))


async def test_a_command_of_too_many_processes_is_ended(bubblewrap: Bubblewrap, workspace: Path, walls: Walls) -> None:
    # Many, and no bomb: should nothing hold them, the machine lives.
    many = "for _ in $(seq 300); do sleep 704 & done 2>/dev/null; wait; sleep 704"
    status, written = await ran(bubblewrap, shell(workspace, many, Limits(processes=64)), walls)
    assert status == 137
    assert "[ended: more than 64 processes]" in written


async def test_memory_that_no_process_holds_is_counted(bubblewrap: Bubblewrap, workspace: Path, walls: Walls) -> None:
    text = """
import ctypes, time
libc = ctypes.CDLL(None)
libc.shmat.restype = ctypes.c_void_p
segment = libc.shmget(0, 96 << 20, 0o1600)
place = libc.shmat(segment, None, 0)
ctypes.memset(place, 1, 96 << 20)
libc.shmdt(ctypes.c_void_p(place))
time.sleep(30)
"""
    run = command(workspace, "python", "-I", "-S", "-c", text)
    limited = job(workspace, Stage(commands=(run,)), limits=Limits(memory_bytes=64 << 20))
    status, written = await ran(bubblewrap, limited, walls)
    assert (status, written) == (137, "\n[ended: more than 64 MiB of memory]\n")


async def test_where_bubblewrap_is_missing_nothing_starts(
    spawner: Spawner, workspace: Path, walls: Walls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PROGRAM", "no-such-bwrap")
    box = Bubblewrap(spawner, ManualClock())
    assert await box.problem() == "the program no-such-bwrap is not installed"
    with pytest.raises(Unavailable, match="cannot be shut in"):
        await box.start(shell(workspace, "touch canary"), walls)
    assert names(workspace) == []


async def test_an_answer_no_is_asked_for_again_after_a_while(spawner: Spawner, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = ManualClock()
    monkeypatch.setattr(module, "PROGRAM", "no-such-bwrap")
    box = Bubblewrap(spawner, clock)
    assert await box.problem()
    monkeypatch.setattr(module, "PROGRAM", "true")
    assert "no-such-bwrap" in await box.problem()
    clock.advance(module.TRUST_S + 1)
    assert "no-such-bwrap" not in await box.problem()
