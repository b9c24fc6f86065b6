"""Starts bubblewrap in a service of its own, where the gateway's unit lets nobody make namespaces: a script of its own.

1. `entrance.py SOCKET PROGRAM …` asks whoever listens on a Unix socket to start the program with our three standard
   streams, waits for it, and ends as it did. When we end, so does the program.
2. Without arguments it is who was asked: the service manager gives the connection as standard input. Nothing but
   bubblewrap with all of its namespaces is started, and for nobody but the same user and root.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import struct
import subprocess
import sys

PROGRAMS = ("/usr/bin/bwrap", "/bin/bwrap", "/usr/local/bin/bwrap")
ALL_NAMESPACES = "--unshare-all"
REFUSED = 126
MAX_BYTES = 1 << 20
_HEAD = struct.Struct(">I")
_STATUS = struct.Struct(">i")


def enter(path: str, argv: list[str]) -> int:
    """Have a program started with our streams; return its status."""
    with socket.socket(socket.AF_UNIX) as door:
        try:
            door.connect(path)
            asked = json.dumps(argv).encode()
            socket.send_fds(door, [_HEAD.pack(len(asked))], [0, 1, 2])
            door.sendall(asked)
        except OSError as error:
            said = (
                f"commands cannot be shut in: {path}: {error.strerror}; `openclaw gateway install` mends the service\n"
            )
            for stream in (1, 2):  # for whoever called, and for the log
                os.write(stream, said.encode("utf-8", "replace"))
            return REFUSED
        nowhere = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):  # whoever reads what the program writes is to notice its end
            os.dup2(nowhere, stream)
        answer = _exactly(door, _STATUS.size)
    return _STATUS.unpack(answer)[0] if answer else REFUSED


def serve(door: socket.socket) -> None:
    """Start what a connection asks for, once; end it with the connection."""
    head, streams, _, _ = socket.recv_fds(door, _HEAD.size, 3)
    if len(head) != _HEAD.size or len(streams) != 3 or not _is_ours(door):
        return
    size = _HEAD.unpack(head)[0]
    argv = json.loads(_exactly(door, size)) if size <= MAX_BYTES else []
    if not _is_walled(argv):
        os.write(streams[2], b"nothing but bubblewrap with all of its namespaces is started here\n")
        door.sendall(_STATUS.pack(REFUSED))
        return
    child = subprocess.Popen(
        argv, stdin=streams[0], stdout=streams[1], stderr=streams[2], env={}, cwd="/", start_new_session=True
    )
    for stream in streams:
        os.close(stream)
    ended = os.pidfd_open(child.pid)
    ready, _, _ = select.select([ended, door.fileno()], [], [])
    if ended not in ready:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
    status = child.wait()
    with contextlib.suppress(OSError):
        door.sendall(_STATUS.pack(status if status >= 0 else 128 - status))


def _is_ours(door: socket.socket) -> bool:
    """Say whether the same user has called; others become somebody else in a namespace of users."""
    size = struct.calcsize("3i")
    _, user, _ = struct.unpack("3i", door.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
    return user in (0, os.getuid())


def _is_walled(argv: object) -> bool:
    if not isinstance(argv, list) or not all(isinstance(word, str) for word in argv):
        return False
    return argv[:1] != [] and argv[0] in PROGRAMS and argv[1:2] == [ALL_NAMESPACES]


def _exactly(door: socket.socket, size: int) -> bytes:
    """Return that many bytes, none when the connection ends before."""
    whole = bytearray()
    while len(whole) < size:
        block = door.recv(size - len(whole))
        if not block:
            return b""
        whole += block
    return bytes(whole)


if __name__ == "__main__":
    if len(sys.argv) > 2:
        sys.exit(enter(sys.argv[1], sys.argv[2:]))
    serve(socket.socket(fileno=0))
