"""A DNS server on this machine: UDP, A and AAAA, an answer per question that may change its mind."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import struct
from collections.abc import Sequence

A, AAAA = 1, 28
_NO_SUCH_NAME = 3


class DnsStandIn(asyncio.DatagramProtocol):
    """Answers from a script: each name has a list of answers, used up one lookup after the other; the last stays.

    A lookup is one question for A and one for AAAA, as the system's resolver asks them. `asked` are the names of the
    questions for A.
    """

    def __init__(self, names: dict[str, list[Sequence[str]]], port: int = 0) -> None:
        self.names = names
        self.asked: list[str] = []
        self.port = port
        self._held: dict[str, Sequence[str]] = {}

    async def __aenter__(self) -> DnsStandIn:
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, ("127.0.0.1", self.port))
        self.port = self._transport.get_extra_info("sockname")[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._transport.close()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Answer one question."""
        name, kind, end = _question(data)
        if kind == A:
            self.asked.append(name)
            answers = self.names.get(name)
            if answers:
                self._held[name] = answers.pop(0) if len(answers) > 1 else answers[0]
        held = self._held.get(name)
        records = [] if held is None else [packed for address in held if (packed := _record(address, kind))]
        flags = 0x8180 | (_NO_SUCH_NAME if held is None else 0)
        head = data[:2] + struct.pack("!HHHHH", flags, 1, len(records), 0, 0)
        self._transport.sendto(head + data[12:end] + b"".join(records), addr)

    async def resolve(self, host: str, port: int) -> Sequence[str]:
        """Look a name up by asking over the wire, A first."""
        found = [*await self._ask(host, A), *await self._ask(host, AAAA)]
        if not found:
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        return found

    async def _ask(self, host: str, kind: int) -> list[str]:
        loop = asyncio.get_running_loop()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
            asking.setblocking(False)
            await loop.sock_connect(asking, ("127.0.0.1", self.port))
            labels = b"".join(bytes([len(label)]) + label for label in host.encode().split(b"."))
            await loop.sock_sendall(
                asking, struct.pack("!HHHHHH", 7, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!HH", kind, 1)
            )
            async with asyncio.timeout(5):
                return _addresses(await loop.sock_recv(asking, 4096))


def _question(data: bytes) -> tuple[str, int, int]:
    labels, at = [], 12
    while data[at]:
        labels.append(data[at + 1 : at + 1 + data[at]])
        at += 1 + data[at]
    return b".".join(labels).decode().lower(), struct.unpack("!H", data[at + 1 : at + 3])[0], at + 5


def _record(address: str, kind: int) -> bytes:
    parsed = ipaddress.ip_address(address)
    if (parsed.version == 4) != (kind == A):
        return b""
    return b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, 0, len(parsed.packed)) + parsed.packed


def _addresses(data: bytes) -> list[str]:
    count = struct.unpack("!H", data[6:8])[0]
    at, found = _question(data)[2], []
    for _ in range(count):
        length = struct.unpack("!H", data[at + 10 : at + 12])[0]
        found.append(str(ipaddress.ip_address(data[at + 12 : at + 12 + length])))
        at += 12 + length
    return found
