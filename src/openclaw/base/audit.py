"""One row of the audit ledger, as every room may write it; `store.audit` keeps the chain."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

from openclaw.base.ids import DEFAULT_TENANT, OwnerId, TenantId

Kind = Literal[
    "identity",
    "pairing",
    "config",
    "policy",
    "approval",
    "tool",
    "exec",
    "dm",
    "egress",
    "file",
    "content",
    "spend",
    "delivery",
    "node",
    "skill",
    "run",
    "admin",
    "ledger",
]
Fact = str | int | bool


class Entry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """One thing that was decided or done. It names people, places and rules; never what was said or written.

    Shape: `at_ms` is Unix ms; `answer` is the verdict of a door, or empty for what somebody did; `facts` are few.
    """

    at_ms: int
    kind: Kind
    action: str
    target: str = ""
    answer: Literal["", "allow", "deny", "ask"] = ""
    rule: str = ""
    reason: str = ""
    tenant: TenantId = DEFAULT_TENANT
    owner: OwnerId = OwnerId("")
    method: str = ""
    """How the principal proved who it is."""
    device: str = ""
    channel: str = ""
    agent: str = ""
    session: str = ""
    run: str = ""
    request: str = ""
    """The id of the request of a client that led here: a run is asked for by the id that it has."""
    tainted: bool = False
    facts: Mapping[str, Fact] = {}


class Head(msgspec.Struct, frozen=True):
    """The last row's number and hash (hexadecimal); number 0 before the first."""

    seq: int
    hash: str
