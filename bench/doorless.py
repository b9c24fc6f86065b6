"""`openclaw`, with its doors taken out of the walls: what `python -m bench --only doors` compares the real one with.

Nothing else may run it. Gone are: who calls (names of the gateway, forwarding headers, credentials, their lockout, the
watch over what was revoked), the gatekeeper's verdicts and their rows, the rows that the store writes of runs and spend
(and so the hash chain), and the egress door. What stays is what a gateway without doors would have, too: routing,
limits of size, sessions, the durable turn, the budgets' own tables.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from openclaw.base.audit import Head
from openclaw.base.ids import OwnerId
from openclaw.base.principal import Principal
from openclaw.cli.entry import main
from openclaw.identity.authenticate import Authenticator
from openclaw.identity.locality import Source
from openclaw.identity.scopes import OPERATOR_ALLOWED
from openclaw.listeners import app
from openclaw.policy.egress.way import EgressGate
from openclaw.policy.gatekeeper import Gatekeeper, Verdict
from openclaw.store import audit

_SOMEBODY: Final = Principal(owner=OwnerId("operator"), method="none", scopes=OPERATOR_ALLOWED)
_SOMEWHERE: Final = Source(key="127.0.0.1", direct=True)
_ALLOWED: Final = Verdict("allow", "none", "")
_NO_ROW: Final = Head(0, "")


class _OpenWay:
    def judge(self, address: str) -> str:
        return ""

    async def refuse(self, address: str) -> None:
        raise AssertionError("nothing is refused without a door")


class _NoWatch:
    def __init__(self, *watched: object) -> None:
        pass

    def end(self) -> None:
        pass


_WAY: Final = _OpenWay()


async def _allow(self: object, *asked: object, **options: object) -> Verdict:
    return _ALLOWED


async def _let_out(self: object, *asked: object, **options: object) -> _OpenWay:
    return _WAY


def _admit(self: object, headers: Mapping[bytes, bytes], peer: str, *, tls: bool = False) -> Source:
    return _SOMEWHERE


def _http(self: object, headers: Mapping[bytes, bytes], source: Source) -> Principal:
    return _SOMEBODY


def _append(db: object, entries: Sequence[object]) -> Head:
    return _NO_ROW


TAKEN_OUT: Final[tuple[tuple[Any, str, Any], ...]] = (
    (app.App, "_admit", _admit),
    (app, "_Watch", _NoWatch),
    (Authenticator, "http", _http),
    (Gatekeeper, "admit", _allow),
    (Gatekeeper, "require", _allow),
    (EgressGate, "leave", _let_out),
    (EgressGate, "house", _let_out),
    (audit, "append", _append),
)
"""Where each door stands, and what is there instead."""


def take_out() -> None:
    """Take out every door. Raises: AttributeError for one that is no more where it stood."""
    for room, name, nothing in TAKEN_OUT:
        getattr(room, name)
        setattr(room, name, nothing)


if __name__ == "__main__":
    take_out()
    main()
