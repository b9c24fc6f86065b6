"""Who listens on a TCP port, as the kernel tells it in /proc: the sockets, and the processes that hold them."""

from __future__ import annotations

import contextlib
import ipaddress
import struct
from itertools import islice
from pathlib import Path
from typing import Final

import msgspec

_LISTEN: Final = "0A"
MAX_PROCESSES: Final = 20_000


class Listener(msgspec.Struct, frozen=True):
    """One listening socket. `pid` is 0 when its process is not ours to see."""

    address: str
    inode: str
    pid: int = 0
    program: str = ""

    @property
    def loopback(self) -> bool:
        """Whether only this machine reaches it."""
        found = ipaddress.ip_address(self.address)
        mapped = getattr(found, "ipv4_mapped", None)
        return (mapped or found).is_loopback


def listeners(port: int, proc: Path = Path("/proc")) -> list[Listener] | None:
    """Return the sockets that listen on a port; None where the system does not tell."""
    found: list[Listener] = []
    known = False
    for name in ("tcp", "tcp6"):
        try:
            text = (proc / "net" / name).read_text()
        except OSError:
            continue
        known = True
        for line in text.splitlines()[1:]:
            fields = line.split()
            if len(fields) < 10 or fields[3] != _LISTEN:
                continue
            host, _, its_port = fields[1].partition(":")
            if int(its_port, 16) == port:
                found.append(Listener(_address(host), fields[9]))
    if not known:
        return None
    owners = _owners({one.inode for one in found}, proc) if found else {}
    return [_named(one, owners.get(one.inode, 0), proc) for one in found]


def _named(one: Listener, pid: int, proc: Path) -> Listener:
    return msgspec.structs.replace(one, pid=pid, program=_program(pid, proc)) if pid else one


def _address(text: str) -> str:
    words = bytes.fromhex(text)
    # The kernel prints each 32-bit word in its own byte order.
    raw = b"".join(struct.pack("!I", word) for word in struct.unpack(f"={len(words) // 4}I", words))
    return str(ipaddress.ip_address(raw))


def _owners(inodes: set[str], proc: Path) -> dict[str, int]:
    wanted = {f"socket:[{inode}]": inode for inode in inodes}
    found: dict[str, int] = {}
    for process in islice((one for one in proc.iterdir() if one.name.isdigit()), MAX_PROCESSES):
        if len(found) == len(wanted):
            break
        # Processes of other users, and those that end meanwhile, refuse.
        with contextlib.suppress(OSError):
            for fd in (process / "fd").iterdir():
                if inode := wanted.get(_target(fd)):
                    found[inode] = int(process.name)
    return found


def _target(fd: Path) -> str:
    try:
        return str(fd.readlink())
    except OSError:
        return ""


def _program(pid: int, proc: Path) -> str:
    try:
        return (proc / str(pid) / "comm").read_text().strip()
    except OSError:
        return ""
