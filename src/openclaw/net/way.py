"""What stands between a request and its connection: a door that lets it out, and the judge of its addresses."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Literal, Protocol

from openclaw.net.egress import Place, refusal, refusal_of_named
from openclaw.net.target import Target

Purpose = Literal["inference", "tools", "download", "local", "mcp", "secrets", "identity", "backup", "telemetry"]
"""Why a request is made. All but `tools` go to a server that the operator named; `local` is a child of ours."""


class Way(Protocol):
    """One request's leave to go out."""

    def judge(self, address: str) -> str:
        """Say why this address is refused, "" when it may be reached."""
        ...

    async def refuse(self, address: str) -> None:
        """Write down that the host stands for an address that is refused. Raises: PolicyDenied, Unavailable."""
        ...


Door = Callable[[Target, Purpose], Awaitable[Way]]
"""The policy's egress door. Raises: PolicyDenied, Unavailable."""
ChildDoor = Callable[[Place], Awaitable[Way]]
"""The same door for one child process, whose run asks. Raises: as Door."""


class PublicWay:
    """For what no door has judged: public addresses only."""

    def judge(self, address: str) -> str:
        """See Way."""
        return refusal(address)

    async def refuse(self, address: str) -> None:
        """See Way: nobody keeps a record here."""


class NamedWay(PublicWay):
    """To a server that a setting names, wherever it is but where machines ask who they are."""

    def __init__(self, host: str) -> None:
        self._host = host

    def judge(self, address: str) -> str:
        """See Way."""
        return refusal_of_named(self._host, address)


class OwnWay(PublicWay):
    """To a child of ours on this machine."""

    def judge(self, address: str) -> str:
        """See Way."""
        return "" if refusal(address) == "loopback" else "not this machine"


def undirected(where: Target, purpose: Purpose) -> Way:
    """Return the way of a request for which there is no door: the CLI's own, before the gateway is built."""
    if purpose == "local":
        return OwnWay()
    return PublicWay() if purpose == "tools" else NamedWay(where.host)
