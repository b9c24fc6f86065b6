"""The system calls that no command of an agent gets, as a program for the kernel's filter. Pure.

1. A call of another architecture ends the process; on x86-64 the x32 calls do not exist.
2. The calls in the tables fail with EPERM; so do sockets of other families than SOCKETS, and typing into a terminal.
3. No file becomes setuid or setgid: where the gateway is root, it would be root's for everybody outside the walls.
   `openat2`, whose mode a filter cannot see, does not exist.
4. `clone` makes no namespace; `clone3`, whose flags a filter cannot see, does not exist, and libraries use `clone`.
5. `memfd_create` does not exist: memory without a process or a file system to it is in nobody's account.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Final, NamedTuple

SOCKETS: Final = (1, 2, 10, 16)
"""AF_UNIX, AF_INET, AF_INET6, AF_NETLINK. Of the others some, as AF_VSOCK, know nothing of network namespaces."""

_COMMON: Final = {
    "io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427, "open_tree": 428, "move_mount": 429,
    "fsopen": 430, "fsconfig": 431, "fsmount": 432, "fspick": 433, "clone3": 435, "openat2": 437, "pidfd_getfd": 438,
    "process_madvise": 440, "mount_setattr": 442, "quotactl_fd": 443, "memfd_secret": 447,
    "open_tree_attr": 467,
}  # fmt: skip
_X86_64: Final = {
    **_COMMON, "ioctl": 16, "socket": 41, "clone": 56,
    "ptrace": 101, "syslog": 103, "uselib": 134, "vhangup": 153, "modify_ldt": 154, "pivot_root": 155, "_sysctl": 156,
    "adjtimex": 159, "chroot": 161, "acct": 163, "settimeofday": 164, "mount": 165, "umount2": 166, "swapon": 167,
    "swapoff": 168, "reboot": 169, "sethostname": 170, "setdomainname": 171, "iopl": 172, "ioperm": 173,
    "create_module": 174, "init_module": 175, "delete_module": 176, "quotactl": 179, "nfsservctl": 180,
    "lookup_dcookie": 212, "clock_settime": 227, "kexec_load": 246, "add_key": 248, "request_key": 249, "keyctl": 250,
    "migrate_pages": 256, "unshare": 272, "move_pages": 279, "perf_event_open": 298, "fanotify_init": 300,
    "name_to_handle_at": 303, "open_by_handle_at": 304, "clock_adjtime": 305, "setns": 308, "process_vm_readv": 310,
    "process_vm_writev": 311, "kcmp": 312, "finit_module": 313, "memfd_create": 319, "kexec_file_load": 320, "bpf": 321,
    "userfaultfd": 323,
}  # fmt: skip
_AARCH64: Final = {
    **_COMMON, "ioctl": 29, "socket": 198, "clone": 220,
    "lookup_dcookie": 18, "umount2": 39, "mount": 40, "pivot_root": 41, "nfsservctl": 42, "chroot": 51, "vhangup": 58,
    "quotactl": 60, "acct": 89, "unshare": 97, "kexec_load": 104, "init_module": 105, "delete_module": 106,
    "clock_settime": 112, "syslog": 116, "ptrace": 117, "reboot": 142, "sethostname": 161, "setdomainname": 162,
    "settimeofday": 170, "adjtimex": 171, "add_key": 217, "request_key": 218, "keyctl": 219, "swapon": 224,
    "swapoff": 225, "migrate_pages": 238, "move_pages": 239, "perf_event_open": 241, "fanotify_init": 262,
    "name_to_handle_at": 264, "open_by_handle_at": 265, "clock_adjtime": 266, "setns": 268, "process_vm_readv": 270,
    "process_vm_writev": 271, "kcmp": 272, "finit_module": 273, "memfd_create": 279, "bpf": 280, "userfaultfd": 282,
    "kexec_file_load": 294,
}  # fmt: skip
_MODES_X86_64: Final = {
    "open": (2, 2), "mkdir": (83, 1), "creat": (85, 1), "chmod": (90, 1), "fchmod": (91, 1), "mknod": (133, 1),
    "openat": (257, 3), "mkdirat": (258, 2), "mknodat": (259, 2), "fchmodat": (268, 2), "fchmodat2": (452, 2),
}  # fmt: skip
_MODES_AARCH64: Final = {
    "mknodat": (33, 2), "mkdirat": (34, 2), "fchmod": (52, 1), "fchmodat": (53, 2), "openat": (56, 3),
    "fchmodat2": (452, 2),
}  # fmt: skip
"""Calls that give a file its mode, and the place of the mode among what they are given. `open` has flags before it."""
_MISSING: Final = ("clone3", "openat2", "memfd_create")
"""Calls that do not exist: libraries do without."""
_JUDGED: Final = frozenset(("ioctl", "socket", "clone", *_MISSING))
"""Calls that are denied otherwise, or by what they are given."""


class _Machine(NamedTuple):
    arch: int
    calls: Mapping[str, int]
    modes: Mapping[str, tuple[int, int]]
    x32: bool = False


_MACHINES: Final = {
    "x86_64": _Machine(0xC000003E, _X86_64, _MODES_X86_64, x32=True),
    "aarch64": _Machine(0xC00000B7, _AARCH64, _MODES_AARCH64),
}

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCH, _ARGUMENTS = 0, 4, 16
"""Offsets in what the filter is shown; of each argument, 8 bytes, we look at the lower half (little-endian)."""
_SETID, _CREATES = 0o6000, 0o20000100
"""The bits of setuid and setgid; O_CREAT and O_TMPFILE, without which a mode means nothing."""
_ALLOW, _KILL, _EPERM, _ENOSYS = 0x7FFF0000, 0x80000000, 0x00050001, 0x00050026
_NAMESPACES: Final = 0x7E020000
"""CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET; `clone` knows no other."""
_TYPING: Final = (0x5412, 0x541C)
"""TIOCSTI and TIOCLINUX."""


def program(machine: str) -> bytes:
    """Return the filter for a machine as `platform.machine()` names it; empty where we have no table."""
    known = _MACHINES.get(machine)
    if known is None:
        return b""
    calls = known.calls
    steps = [_step(_LOAD, _ARCH), *_unless_equal(known.arch, _KILL), _step(_LOAD, _NUMBER)]
    if known.x32:
        steps += [_step(_AT_LEAST, 0x40000000, 0, 1), _step(_RETURN, _ENOSYS)]
    for name, number in calls.items():
        if name not in _JUDGED:
            steps += _if_equal(number, _EPERM)
    for name in _MISSING:
        steps += _if_equal(calls[name], _ENOSYS)
    for name, (number, place) in known.modes.items():
        steps += _about(number, place, _if_setid(place - 1 if name.startswith("open") else None, place))
    steps += _about(calls["clone"], 0, [_step(_ANY_BIT, _NAMESPACES, 0, 1), _step(_RETURN, _EPERM)])
    steps += _about(calls["ioctl"], 1, [step for each in _TYPING for step in _if_equal(each, _EPERM)])
    families = [step for each in SOCKETS for step in _if_equal(each, _ALLOW)]
    steps += _about(calls["socket"], 0, [*families, _step(_RETURN, _EPERM)])
    return b"".join([*steps, _step(_RETURN, _ALLOW)])


def _about(number: int, argument: int, steps: list[bytes]) -> list[bytes]:
    """Return steps that look at an argument of one call, and let it pass when none of them has returned."""
    whole = [_step(_LOAD, _ARGUMENTS + 8 * argument), *steps, _step(_RETURN, _ALLOW)]
    return [_step(_EQUAL, number, 0, len(whole)), *whole]


def _if_setid(flags: int | None, mode: int) -> list[bytes]:
    """Return steps that refuse a mode which is loaded; where there are flags, only if something is made."""
    refuse = [_step(_ANY_BIT, _SETID, 0, 1), _step(_RETURN, _EPERM)]
    if flags is None:
        return refuse
    again = [_step(_LOAD, _ARGUMENTS + 8 * mode), *refuse]
    return [_step(_LOAD, _ARGUMENTS + 8 * flags), _step(_ANY_BIT, _CREATES, 0, len(again)), *again]


def _if_equal(value: int, answer: int) -> list[bytes]:
    return [_step(_EQUAL, value, 0, 1), _step(_RETURN, answer)]


def _unless_equal(value: int, answer: int) -> list[bytes]:
    return [_step(_EQUAL, value, 1, 0), _step(_RETURN, answer)]


def _step(code: int, value: int, then: int = 0, otherwise: int = 0) -> bytes:
    return struct.pack("<HBBI", code, then, otherwise, value)
