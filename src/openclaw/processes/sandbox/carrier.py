"""Carries a job out: a script of its own that runs inside the walls, with nothing but Python's standard library.

1. It reads messages from its standard input: `J` the job, once; `I` bytes for the programs; `E` no more of those. When
   the gateway is gone, or closes this pipe, everything that was started ends.
2. Programs are started by fork and execve, with our own pipes between them. No shell reads anything. What they write
   passes through us: our own output may be a socket, which nobody can open by the name /dev/stdout.
3. Folders and files of redirections in the workspace are opened one component at a time, and no link is followed.
4. What the command's words named when it was judged is looked at once more, right before the first program starts.
5. Whatever the programs start is ours: orphans come to us, and none of them is left when we go.
6. Memory and the number of processes are counted over all of them; who takes more, or fills the disk, is ended.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import resource
import select
import signal
import struct
import sys
import time
from typing import Any, NoReturn

PAUSE_S = 0.1
"""How often we look what the programs use."""
MAX_DESCRIPTORS = 1 << 16
DISK_SPARE = 256 << 20
"""What a command that began with more has to leave free where the workspace is, in bytes."""
BLOCK = 1 << 16
FLUSH_S = 2.0
"""How long whoever reads our output may take for the last of it, once programs were ended by force."""
MAX_PENDING = 4 << 20
"""Input that no program has read yet; what comes beyond is dropped."""
ENDED = 137
CHANGED = 126
PROXY_PORT = 3128
RELAYED = 64
"""Connections at once through the way out, each with threads of ours; whoever opens more of them waits."""
PROXIES = ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
NICER = 5
"""Programs yield to whoever watches them."""
_FLAGS = {
    "read": os.O_RDONLY,
    "write": os.O_WRONLY | os.O_CREAT | os.O_TRUNC,
    "append": os.O_WRONLY | os.O_CREAT | os.O_APPEND,
}
_SUBREAPER, _DUMPABLE, _NO_NEW_PRIVS, _SECCOMP = 36, 4, 38, 22


class Carrier:
    """One job."""

    def __init__(self, job: dict[str, Any]) -> None:
        self._job = job
        self._limits = job["limits"]
        self._said, self._out = os.pipe()
        os.set_blocking(self._said, False)
        os.set_blocking(1, False)
        self._saying = b""
        """What was read from the programs and not passed on yet."""
        self._wake, wake = os.pipe()
        os.set_blocking(wake, False)
        os.set_blocking(self._wake, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        self._running: dict[int, int | None] = {}
        """The programs of the pipeline, and their statuses once they have one."""
        self._pending = bytearray()
        self._closing = False
        self._looked = 0.0
        self._spared = _free(job["workspace"]) > DISK_SPARE
        self._input = os.open(os.devnull, os.O_RDONLY)
        self._feed = -1
        if job["takes_input"]:
            os.close(self._input)
            self._input, self._feed = os.pipe()
            os.set_blocking(self._feed, False)

    def run(self) -> int:
        """Run every stage that its join lets run; return the status of the last."""
        for path, real, digest in self._job["pins"]:
            if not self._is_pinned(path, real, digest):
                self._flush(f"[not run: {path} changed after it was judged]\n")
                return CHANGED
        status = 0
        for stage in self._job["stages"]:
            if stage["join"] == "always" or (stage["join"] == "and") == (status == 0):
                status = self._pipeline(stage["commands"])
        self._end_all()
        self._flush()
        return status

    def _is_pinned(self, path: str, real: str, digest: str) -> bool:
        if os.path.realpath(path) != real:
            return False
        try:
            opened = _opened(self._job["workspace"], real, os.O_RDONLY | os.O_NONBLOCK)
        except OSError:
            return not digest
        if not digest:
            os.close(opened)
            return True
        import hashlib  # few jobs need it, and all would wait for it

        with os.fdopen(opened, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == digest

    def _pipeline(self, commands: list[dict[str, Any]]) -> int:
        self._running.clear()
        last, before = 0, self._input
        for command in commands:
            after, writer = (-1, self._out) if command is commands[-1] else os.pipe()
            last = self._start(command, before, writer)
            self._running[last] = None
            if before != self._input:
                os.close(before)
            if writer != self._out:
                os.close(writer)
            before = after
        while None in self._running.values():
            self._turn()
        return self._running[last] or 0

    def _start(self, command: dict[str, Any], stdin: int, stdout: int) -> int:
        pid = os.fork()
        if pid:
            return pid
        try:
            self._become(command, stdin, stdout)
        except BaseException as error:  # noqa: BLE001  # whatever happens, the copy of us ends here
            reason = os.strerror(error.errno or 0) if isinstance(error, OSError) else str(error)
            os.write(self._out, f"{command['argv'][0][:200]}: {reason}\n".encode("utf-8", "replace"))
            os._exit(127 if isinstance(error, FileNotFoundError) else 126)

    def _become(self, command: dict[str, Any], stdin: int, stdout: int) -> NoReturn:
        for number in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        if not command["program"]:
            raise FileNotFoundError(errno.ENOENT, "not found")
        workspace = self._job["workspace"]
        folder = _opened(workspace, command["cwd"], os.O_RDONLY | os.O_DIRECTORY)
        os.fchdir(folder)
        for target, source in enumerate((stdin, stdout, self._out)):
            os.dup2(source, target)
        for fd, mode, name in command["redirections"]:
            if mode == "dup":
                os.dup2(int(name), fd)
                continue
            opened = _opened(workspace, name if name.startswith("/") else f"{command['cwd']}/{name}", _FLAGS[mode])
            os.dup2(opened, fd)
            os.close(opened)
        self._confine()
        with contextlib.suppress(OSError):  # a service may be forbidden to change how much it gets
            os.nice(NICER)
        if self._job["proxy"]:
            command["environment"] += [(name, f"http://127.0.0.1:{PROXY_PORT}") for name in PROXIES]
        environment = {name.encode(): value.encode() for name, value in command["environment"]}
        words = [word.encode() for word in command["argv"]]
        os.execve(command["program"].encode(), words, environment)  # noqa: S606  # no shell is wanted

    def _confine(self) -> None:
        limits = self._limits
        for which, most in (
            (resource.RLIMIT_CORE, 0),
            (resource.RLIMIT_CPU, limits["cpu_s"]),
            (resource.RLIMIT_FSIZE, limits["file_bytes"]),
            (resource.RLIMIT_NOFILE, limits["open_files"]),
            (resource.RLIMIT_DATA, limits["memory_bytes"]),
            *(((resource.RLIMIT_NPROC, 4 * limits["processes"]),) if self._job["alone"] else ()),
        ):
            ceiling = resource.getrlimit(which)[1]
            allowed = most if ceiling == resource.RLIM_INFINITY else min(most, ceiling)
            resource.setrlimit(which, (allowed, allowed))

    def _turn(self) -> None:
        """Wait until something happens, at most a moment, and take note of it."""
        readers = [0, self._wake, *(() if self._saying else (self._said,))]
        writers = [self._feed] if self._pending and self._feed >= 0 else []
        ready, writable, _ = select.select(readers, writers + ([1] if self._saying else []), [], PAUSE_S)
        if self._wake in ready:
            with contextlib.suppress(BlockingIOError):
                os.read(self._wake, 4096)
        if self._said in ready or 1 in writable:
            self._say()
        if self._feed in writable:
            self._pass_on()
        if 0 in ready:
            self._hear()
        self._reap()
        if time.monotonic() - self._looked >= PAUSE_S:
            self._looked = time.monotonic()
            self._watch()

    def _hear(self) -> None:
        kind, payload = message()
        if kind == b"I" and self._feed >= 0 and not self._closing:
            self._pending += payload[: MAX_PENDING - len(self._pending)]
        elif kind == b"E":
            self._closing = True
        else:
            self._give_up("")
        self._pass_on()

    def _pass_on(self) -> None:
        if self._feed < 0:
            return
        try:
            while self._pending:
                del self._pending[: os.write(self._feed, self._pending[:65536])]
        except BlockingIOError:
            return
        except BrokenPipeError:
            self._closing = True
            self._pending.clear()
        if self._closing:
            os.close(self._feed)
            self._feed = -1

    def _say(self) -> bool:
        """Pass on what programs have written, as much as is taken. Return whether there was any."""
        with contextlib.suppress(BlockingIOError):
            self._saying = self._saying or os.read(self._said, BLOCK)
        some = bool(self._saying)
        try:
            if some:
                self._saying = self._saying[os.write(1, self._saying) :]
        except BlockingIOError:
            pass
        except OSError:  # nobody listens any more: the gateway is gone, and we learn it from our input
            self._saying = b""
        return some

    def _flush(self, last: str = "") -> None:
        """Pass on what is left of programs that have ended, and a last word of ours."""
        end = time.monotonic() + FLUSH_S
        os.close(self._out)
        while time.monotonic() < end and self._say():
            if self._saying:
                select.select([], [1], [], FLUSH_S)
        self._saying = last.encode("utf-8", "replace")
        while self._saying and time.monotonic() < end:
            self._say()

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            if pid in self._running:
                code = os.waitstatus_to_exitcode(status)
                self._running[pid] = code if code >= 0 else 128 - code

    def _watch(self) -> None:
        most = self._limits["processes"]
        if self._job["alone"] and sum(name.isdigit() for name in os.listdir("/proc")) > most + 2:  # noqa: PTH208
            self._give_up(f"more than {most} processes")
        alive = descendants(most)
        if len(alive) > most:
            self._give_up(f"more than {self._limits['processes']} processes")
        if self._spared and _free(self._job["workspace"]) < DISK_SPARE:
            self._give_up("the disk is nearly full")
        if sum(map(_resident, alive)) + (_shared() if self._job["alone"] else 0) > self._limits["memory_bytes"]:
            self._give_up(f"more than {self._limits['memory_bytes'] >> 20} MiB of memory")

    def _give_up(self, reason: str) -> NoReturn:
        self._end_all()
        self._flush(f"\n[ended: {reason}]\n" if reason else "")
        os._exit(ENDED)

    def _end_all(self) -> None:
        """End whatever was started and is left. Where all is ours one call reaches it; else it is stopped first."""
        if self._job["alone"]:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(-1, signal.SIGKILL)
            return
        for _ in range(100):
            alive = descendants()
            if not alive:
                return
            for number in (signal.SIGSTOP, signal.SIGKILL):
                for pid in alive:
                    with contextlib.suppress(ProcessLookupError, PermissionError):
                        os.kill(pid, number)
            self._reap()
            time.sleep(0.002)


def message() -> tuple[bytes, bytes]:
    """Return the next message; (b"", b"") when the pipe has ended."""
    head = _exactly(5)
    if not head:
        return b"", b""
    return head[:1], _exactly(struct.unpack(">I", head[1:])[0])


def _exactly(size: int) -> bytes:
    whole = bytearray()
    while len(whole) < size:
        block = os.read(0, size - len(whole))
        if not block:
            return b""
        whole += block
    return bytes(whole)


def _opened(workspace: str, path: str, flags: int) -> int:
    """Open a path. In the workspace no link is followed, whoever has put it there since the command was judged."""
    flags |= os.O_CLOEXEC | os.O_NOCTTY
    if path != workspace and not path.startswith(workspace.rstrip("/") + "/"):
        return os.open(path, flags, 0o666)
    parts = [part for part in path[len(workspace) :].split("/") if part not in ("", ".")]
    folder = os.open(workspace, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    if ".." in parts:
        raise OSError(errno.EXDEV, "goes up")
    for part in parts[:-1]:
        inner = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
        os.close(folder)
        folder = inner
    if not parts:
        return folder
    last = os.open(parts[-1], flags | os.O_NOFOLLOW, 0o666, dir_fd=folder)
    os.close(folder)
    return last


def descendants(most: int = 100_000) -> list[int]:
    """Return the processes below this one, hardly more than `most`. Where the kernel does not tell, none."""
    found: list[int] = []
    waiting = [os.getpid()]
    while waiting and len(found) <= most:
        pid = waiting.pop()
        try:
            with open(f"/proc/{pid}/task/{pid}/children", "rb") as file:  # noqa: PTH123
                below = [int(each) for each in file.read().split()]
        except OSError:
            continue
        found += below
        waiting += below
    return found


def _resident(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:  # noqa: PTH123
            return int(file.read().split()[1]) * resource.getpagesize()
    except (OSError, IndexError):
        return 0


def _shared() -> int:
    """Return the bytes of System V's shared memory, which stays when nobody is attached to it."""
    try:
        with open("/proc/sysvipc/shm", "rb") as file:  # noqa: PTH123
            rows = [line.split() for line in file.read().splitlines()[1:]]
    except OSError:
        return 0
    return sum(int(row[-2]) + int(row[-1]) for row in rows)


def _free(folder: str) -> int:
    try:
        found = os.statvfs(folder)
    except OSError:
        return 0
    return found.f_bavail * found.f_frsize


def relay(path: str) -> None:
    """Begin to pass connections to a port of our own loopback on to a Unix socket, in a process of its own."""
    import socket  # only where there is a way out
    import threading

    listener = socket.create_server(("127.0.0.1", PROXY_PORT))
    free = threading.Semaphore(RELAYED)
    if os.fork():
        listener.close()
        return

    def copy(source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while block := source.recv(65536):
                target.sendall(block)
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_WR)

    def serve(near: socket.socket) -> None:
        try:
            with contextlib.suppress(OSError), near, socket.socket(socket.AF_UNIX) as far:
                far.connect(path)
                back = threading.Thread(target=copy, args=(far, near), daemon=True)
                back.start()
                copy(near, far)
                back.join()
        finally:
            free.release()

    os.dup2(os.open(os.devnull, os.O_RDWR), 0)
    os.dup2(0, 1)
    while True:
        free.acquire()
        near, _ = listener.accept()
        threading.Thread(target=serve, args=(near,), daemon=True).start()


def shut_in(program: bytes) -> None:
    """Give up what no command needs, for good: new rights, and the system calls that a filter names.

    Raises: OSError when the kernel does not take the filter. Where there is no Linux, nothing happens.
    """
    if not sys.platform.startswith("linux"):
        return
    import ctypes  # only where it is needed: half of the time to start

    libc = ctypes.CDLL(None, use_errno=True)

    class Filter(ctypes.Structure):
        _fields_ = [("count", ctypes.c_ushort), ("steps", ctypes.c_char_p)]

    def ask(what: int, one: Any, two: Any = 0) -> None:
        if libc.prctl(what, one, two, 0, 0):
            raise OSError(ctypes.get_errno(), f"prctl {what}")

    ask(_SUBREAPER, 1)
    ask(_DUMPABLE, 0)
    ask(_NO_NEW_PRIVS, 1)
    if program:
        ask(_SECCOMP, 2, ctypes.byref(Filter(len(program) // 8, program)))


def main() -> int:
    """Read the job, and carry it out."""
    os.closerange(3, MAX_DESCRIPTORS)  # what whoever started us has left open is not for programs
    kind, payload = message()
    if kind != b"J":
        return ENDED
    job = json.loads(payload)
    shut_in(bytes.fromhex(job["seccomp"]))
    carrier = Carrier(job)
    if job["proxy"]:
        relay(job["proxy"])
    return carrier.run()


if __name__ == "__main__":
    sys.exit(main())
