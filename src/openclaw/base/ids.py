"""Identifiers: a NewType each, and the functions that make fresh ones."""

from __future__ import annotations

import uuid
from typing import NewType

AgentId = NewType("AgentId", str)
RunId = NewType("RunId", str)
SessionId = NewType("SessionId", str)
SessionKey = NewType("SessionKey", str)
"""`agent:<agentId>:<rest>`, see openclaw.agent.session_key."""
TenantId = NewType("TenantId", str)
OwnerId = NewType("OwnerId", str)
"""The subject of the principal that a row belongs to."""

DEFAULT_TENANT = TenantId("default")
OPERATOR = OwnerId("operator")
"""Everyone who holds the shared token is the one operator."""


def new_id() -> str:
    """Return a fresh random UUID as text."""
    return str(uuid.uuid4())


def new_run_id() -> RunId:
    """Return a fresh run id."""
    return RunId(new_id())


def new_session_id() -> SessionId:
    """Return a fresh session id."""
    return SessionId(new_id())
