"""A program that wants out: it is run within the walls and says what it could do. Standard library alone.

Its one argument is JSON: what there is outside to reach. It prints one JSON object: each try's name, and what came of
it, "" when the wall held. Every try is a process of its own, so that one that is killed has only failed.
"""

# ruff: noqa: E501, PTH101, PTH103, PTH115, PTH116, PTH123, PTH207, PTH208, PTH211, SIM105
# Tables are wide; and what runs within the walls is to start quickly, with little of the library.

from __future__ import annotations

import ctypes
import errno
import fcntl
import glob
import json
import mmap
import os
import resource
import signal
import socket
import struct
import sys
import termios
import traceback
from collections.abc import Callable
from typing import Any

libc = ctypes.CDLL(None, use_errno=True)
X86 = os.uname().machine == "x86_64"
NUMBERS = {
    # name: (x86-64, arm64), the words it is given
    "ptrace attach": ((101, 117), (16, 1, 0, 0)),
    "process_vm_readv": ((310, 270), (1, 0, 0, 0, 0, 0)),
    "process_vm_writev": ((311, 271), (1, 0, 0, 0, 0, 0)),
    "kcmp": ((312, 272), (1, 1, 0, 0, 0)),
    "pidfd_getfd": ((438, 438), (0, 0, 0)),
    "mount": ((165, 40), (0, b"/tmp", b"tmpfs", 0, 0)),
    "umount2": ((166, 39), (b"/tmp", 2)),
    "pivot_root": ((155, 41), (b"/tmp", b"/tmp")),
    "chroot": ((161, 51), (b"/tmp",)),
    "open_tree": ((428, 428), (-100, b"/", 1)),
    "move_mount": ((429, 429), (-100, b"/", -100, b"/tmp", 0)),
    "fsopen": ((430, 430), (b"tmpfs", 0)),
    "fsmount": ((432, 432), (0, 0, 0)),
    "fspick": ((433, 433), (-100, b"/", 0)),
    "mount_setattr": ((442, 442), (-100, b"/", 0, 0, 0)),
    "open_tree_attr": ((467, 467), (-100, b"/", 1, 0, 0)),
    "bpf": ((321, 280), (0, 0, 0)),
    "perf_event_open": ((298, 241), (0, 0, -1, -1, 0)),
    "userfaultfd": ((323, 282), (1,)),
    "io_uring_setup": ((425, 425), (1, 0)),
    "add_key": ((248, 217), (b"user", b"x", b"y", 1, -3)),
    "request_key": ((249, 218), (b"user", b"canary", 0, -3)),
    "keyctl": ((250, 219), (0, -3, 1)),
    "init_module": ((175, 105), (0, 0, 0)),
    "finit_module": ((313, 273), (0, 0, 0)),
    "delete_module": ((176, 106), (b"loop", 0)),
    "kexec_load": ((246, 104), (0, 0, 0, 0)),
    "reboot": ((169, 142), (0xFEE1DEAD, 672274793, 0, 0)),
    "swapon": ((167, 224), (b"/tmp/x", 0)),
    "sethostname": ((170, 161), (b"owned", 5)),
    "setdomainname": ((171, 162), (b"owned", 5)),
    "settimeofday": ((164, 170), (struct.pack("qq", 1, 0), 0)),
    "clock_settime": ((227, 112), (0, struct.pack("qq", 1, 0))),
    "adjtimex": ((159, 171), (bytes(208),)),
    "acct": ((163, 89), (b"/tmp/acct",)),
    "syslog": ((103, 116), (10, 0, 0)),
    "quotactl": ((179, 60), (0, 0, 0, 0)),
    "name_to_handle_at": ((303, 264), (-100, b"/", bytes(256), bytes(8), 0)),
    "open_by_handle_at": ((304, 265), (0, bytes(256), 0)),
    "fanotify_init": ((300, 262), (0, 0)),
    "setns": ((308, 268), (0, 0)),
    "memfd_create": ((319, 279), (b"x", 0)),
    "memfd_secret": ((447, 447), (0,)),
    "clone3": ((435, 435), (struct.pack("Q", 0x10000000) + bytes(56), 64)),
    "clone of a user namespace": ((56, 220), (0x10000011, 0, 0, 0, 0)),
    "clone of a network namespace": ((56, 220), (0x40000011, 0, 0, 0, 0)),
    "unshare of users": ((272, 97), (0x10000000,)),
    "unshare of mounts": ((272, 97), (0x00020000,)),
    "unshare of the time": ((272, 97), (0x00000080,)),
    "setuid to another": ((105, 146), (0 if os.getuid() else 1,)),
    "setgroups": ((116, 159), (1, struct.pack("I", 27))),
    "mknod of a disk": ((133 if X86 else 33, 33), (b"disk", 0o60666, 0xFE00) if X86 else (-100, b"disk", 0o60666, 0xFE00)),
    "mlockall": ((151, 230), (3,)) if os.getuid() else ((101, 117), (16, 1, 0, 0)),
    "iopl": ((172, 0), (3,)),
    "ioperm": ((173, 0), (0x80, 1, 1)),
    "modify_ldt": ((154, 0), (0, 0, 0)),
    "x32 getpid": ((0x40000027, 0), ()),
}  # fmt: skip


def called(name: str) -> str:
    """Make a call of the system; say so when the kernel did it."""
    numbers, words = NUMBERS[name]
    number = numbers[0 if X86 else 1]
    if not number:
        return ""
    ctypes.set_errno(0)
    given = [ctypes.c_char_p(word) if isinstance(word, bytes) else ctypes.c_long(word) for word in words]
    result = libc.syscall(ctypes.c_long(number), *given)
    error = ctypes.get_errno()
    if name.startswith("clone") and result == 0:
        os._exit(0)
    # What was refused for what it was given, and not for what it is, got past the filter.
    if name == "setuid to another":  # nobody else is known here
        return "done" if result != -1 else ""
    past = {errno.EFAULT, errno.EINVAL, errno.EBADF, errno.ESRCH, errno.ENODEV}
    return "done" if result != -1 else f"past the filter: {errno.errorcode[error]}" if error in past else ""


def read(path: str, canary: str) -> str:
    with open(path, "rb") as file:
        return f"read {path}" if canary.encode() in file.read(1 << 20) else ""


def reads(path: str) -> str:
    with open(path, "rb") as file:
        return f"{len(file.read(64))} bytes of {path}"


def writes(path: str) -> str:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    return f"opened {path}" if os.write(descriptor, b"x") else ""


def connects(family: int, kind: int, place: Any) -> str:
    with socket.socket(family, kind) as one:
        one.settimeout(0.3)
        one.connect(place)
        if kind == socket.SOCK_DGRAM and family != socket.AF_UNIX:
            one.send(b"x")
        return f"reached {place}"


def opens(family: int, kind: int, protocol: int = 0) -> str:
    socket.socket(family, kind, protocol).close()
    return "there is such a socket"


def signals(pid: int) -> str:
    os.kill(pid, 0)
    return f"signalled {pid}"


def foreign_calls() -> str:
    """Call the kernel as a program of 32 bits does."""
    if not X86:
        return ""
    code = b"\xb8\x14\x00\x00\x00\xcd\x80\xc3"  # mov eax, 20 (getpid); int 0x80; ret
    page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    page.write(code)
    place = ctypes.addressof(ctypes.c_char.from_buffer(page))
    return f"answered {ctypes.CFUNCTYPE(ctypes.c_int)(place)()}"


def types() -> str:
    """Type into every terminal that can be had."""
    done = []
    for path in ("/dev/tty", "/dev/console", "/proc/self/fd/0", "/proc/self/fd/2", "/dev/pts/0"):
        try:
            terminal = os.open(path, os.O_RDWR | os.O_NOCTTY)
            fcntl.ioctl(terminal, termios.TIOCSTI, b"x")
            done.append(path)
        except OSError:
            continue
    _, own = os.openpty()
    try:
        fcntl.ioctl(own, termios.TIOCSTI, b"x")
        done.append("a terminal of my own")
    except OSError:
        pass
    return " ".join(done)


def foreign_descriptors() -> str:
    """Look for descriptors that somebody has left open."""
    found = []
    for name in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{name}")
        except OSError:
            continue
        if not target.startswith(("pipe:", "/dev/null", "/proc/")):
            found.append(target)
    return " ".join(found)


def others() -> str:
    """Look for processes that are not of this command."""
    found = []
    for path in glob.glob("/proc/[0-9]*/cmdline"):
        with open(path, "rb") as file:
            words = file.read().replace(b"\0", b" ").decode("utf-8", "replace")
        if not any(known in words for known in ("hostile.py", "carrier.py", "bwrap")):
            found.append(words)
    return " ".join(found)


def environments(canary: str) -> str:
    for path in glob.glob("/proc/[0-9]*/environ"):
        try:
            if said := read(path, canary):
                return said
        except OSError:
            continue
    return "own" if any(canary in value for value in os.environ.values()) else ""


def becomes_setuid() -> str:
    with open("suid", "wb") as file:
        file.write(b"#!/bin/sh\n")
    os.chmod("suid", 0o4755)
    return "suid" if os.stat("suid").st_mode & 0o4000 else ""


def privileges() -> str:
    with open("/proc/self/status") as file:
        facts = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
    powers = [name for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb") if int(facts[name], 16)]
    return " ".join(powers + [n for n, v in (("NoNewPrivs", "1"), ("Seccomp", "2")) if facts[n] != v])


def regains() -> str:
    """Ask for privileges to be possible again."""
    return "new privileges" if libc.prctl(38, 0, 0, 0, 0) == 0 else ""


def big_file() -> str:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    with open("sparse", "wb") as file:
        file.truncate(1 << 40)
    return "a file of 1 TiB"


def ceilings(wanted: dict[str, int]) -> str:
    """Lift every limit, and say which are not what they should be."""
    found = []
    for name, most in wanted.items():
        which = getattr(resource, name)
        try:
            resource.setrlimit(which, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        except (ValueError, OSError):
            pass
        if not 0 <= resource.getrlimit(which)[1] <= most:
            found.append(f"{name} {resource.getrlimit(which)}")
    return " ".join(found)


def hosts(name: str) -> str:
    return name if os.uname().nodename == name else ""


def links(path: str) -> str:
    os.link(path, "linked")
    return "linked"


def hurries() -> str:
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    return "realtime"


def interfaces() -> str:
    return " ".join(name for _, name in socket.if_nameindex() if name != "lo")


def releases() -> str:
    """The way out of containers by control groups."""
    return " ".join(glob.glob("/sys/fs/cgroup/*") + glob.glob("/sys/*"))


def tries(there: dict[str, Any]) -> dict[str, Callable[[], str]]:
    """Return every try by its name."""
    canary, pid = there["canary"], there["pid"]
    found: dict[str, Callable[[], str]] = {name: (lambda name=name: called(name)) for name in NUMBERS}  # type: ignore[misc]
    for path in there["secrets"]:
        found[f"read {path}"] = lambda path=path: read(path, canary)  # type: ignore[misc]
        for way in (f"/proc/1/root{path}", f"/proc/1/cwd{path}", f"/proc/self/root{path}", f"/proc/{pid}/root{path}"):
            found[f"read {way}"] = lambda way=way: read(way, canary)  # type: ignore[misc]
    for path in ("/etc/shadow", "/etc/passwd", "/dev/mem", "/dev/kmem", "/dev/port", "/dev/kmsg", "/dev/vda", "/dev/sda",
                 "/dev/fuse", "/dev/kvm", "/dev/vsock", "/dev/loop-control", "/dev/userfaultfd", "/dev/hwrng",
                 "/proc/kcore", "/proc/kmsg", "/proc/keys", "/proc/sched_debug", "/proc/timer_list", "/proc/iomem",
                 "/root/.bashrc", "/var/log/syslog", "/etc/machine-id", "/etc/hostname", "/sys/kernel/notes",
                 f"/proc/{pid}/environ", f"/proc/{pid}/maps", f"/proc/{pid}/mem"):  # fmt: skip
        found[f"read {path}"] = lambda path=path: reads(path)  # type: ignore[misc]
    for path in ("/usr/bin/owned", "/etc/owned", "/run/owned", "/dev/owned", "/owned", "/proc/sysrq-trigger",
                 "/proc/sys/kernel/core_pattern", "/proc/sys/kernel/hostname", "/proc/self/oom_score_adj", "/proc/1/oom_score_adj",
                 "/proc/sys/vm/overcommit_memory", "/proc/sys/net/ipv4/ip_forward", "/proc/self/uid_map", "/run/openclaw/carrier.py",
                 "/etc/ld.so.preload"):  # fmt: skip
        found[f"write {path}"] = lambda path=path: writes(path)  # type: ignore[misc]
    stream, datagram = socket.SOCK_STREAM, socket.SOCK_DGRAM
    for family, kind, place in (
        (2, stream, ("127.0.0.1", there["port"])), (10, stream, ("::1", there["port"])), (2, stream, ("1.1.1.1", 53)),
        (2, datagram, ("1.1.1.1", 53)), (2, stream, ("169.254.169.254", 80)), (2, stream, ("0.0.0.0", there["port"])),
        (10, stream, ("::ffff:127.0.0.1", there["port"])), (1, stream, "\0" + there["abstract"]), (1, stream, there["socket"]),
        (1, stream, "/var/run/docker.sock"), (1, stream, "/run/docker.sock"), (1, stream, "/run/dbus/system_bus_socket"),
        (1, stream, "/run/systemd/private"), (1, stream, "/run/openclaw-commands.sock"), (1, datagram, "/dev/log"),
        (1, datagram, "/run/systemd/notify"), (1, stream, os.environ.get("SSH_AUTH_SOCK", "/tmp/ssh-agent")),
    ):  # fmt: skip
        found[f"connect {family} {place!r}"] = lambda f=family, k=kind, p=place: connects(f, k, p)  # type: ignore[misc]
    for name, family, kind in (
        ("packets", 17, socket.SOCK_RAW), ("vsock", 40, stream), ("AF_ALG", 38, socket.SOCK_SEQPACKET), ("raw ICMP", 2, socket.SOCK_RAW),
        ("bluetooth", 31, stream), ("CAN", 29, socket.SOCK_RAW), ("XDP", 44, socket.SOCK_RAW), ("TIPC", 30, stream), ("key", 15, socket.SOCK_RAW),
    ):  # fmt: skip
        found[f"a socket of {name}"] = lambda f=family, k=kind: opens(f, k)  # type: ignore[misc]
    more: dict[str, Callable[[], str]] = {
        "signal the gateway": lambda: signals(pid), "signal its parent": lambda: signals(there["parent"]),
        "open the gateway": lambda: f"pidfd {os.pidfd_open(pid)}", "calls of 32 bits": foreign_calls, "typing": types,
        "descriptors": foreign_descriptors, "others": others, "environments": lambda: environments(canary),
        "setuid": becomes_setuid, "privileges": privileges, "regains": regains, "a big file": big_file,
        "ceilings": lambda: ceilings(there["limits"]), "host name": lambda: hosts(there["host"]), "interfaces": interfaces,
        "control groups": releases, "hard link": lambda: links(there["secrets"][0]),
        "a namespace's file": lambda: f"{os.open(f'/proc/{pid}/ns/mnt', os.O_RDONLY)}",
        "priority": lambda: (os.nice(-10) and "raised") or "",
        "a realtime scheduler": hurries,
    }  # fmt: skip
    return found | more


def tried(attempt: Callable[[], str]) -> str:
    """Try one thing in a process of its own; return what came of it."""
    reader, writer = os.pipe()
    pid = os.fork()
    if not pid:
        signal.alarm(3)
        os.close(reader)
        try:
            said = attempt()
        except OSError:
            said = ""
        except BaseException:  # noqa: BLE001  # a try that is wrong must not look like a wall that held
            said = traceback.format_exc()
        os.write(writer, said.encode()[:2000])
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as file:
        said = file.read().decode()
    os.waitpid(pid, 0)
    return said


def main() -> None:
    """Try everything, then leave traps for whoever comes from outside."""
    there = json.loads(sys.argv[1])
    told = {name: tried(attempt) for name, attempt in tries(there).items()}
    for name, target in (
        ("trap-file", there["secrets"][0]),
        ("trap-folder", there["above"]),
        ("trap-proc", "/proc/self/environ"),
    ):
        os.symlink(target, name)
    os.mkfifo("trap-fifo")
    socket.socket(socket.AF_UNIX).bind("trap-socket")
    os.makedirs(".git/hooks", exist_ok=True)
    with open(".git/config", "w") as file:
        file.write("[core]\n\tfsmonitor = touch owned\n\tbare = false\n")
    print(json.dumps(told))


if __name__ == "__main__":
    main()
