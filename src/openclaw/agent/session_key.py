"""Session keys: `agent:<agentId>:<rest>`. Pure; one function per way that a key comes about."""

from __future__ import annotations

import re

from openclaw.base.errors import InvalidRequest
from openclaw.base.ids import AgentId, SessionKey

MAX_LENGTH = 512
MAIN = "main"
_AGENT_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


def session_key(agent_id: AgentId, rest: str) -> SessionKey:
    """Return the key of an agent's session; `rest` is anything printable.

    Raises: InvalidRequest for an empty, overlong or unprintable name.
    """
    if not rest or rest != rest.strip() or _FORBIDDEN.search(rest):
        raise InvalidRequest(
            "a session name must be printable and not empty", hint="Use letters, digits and punctuation."
        )
    key = f"agent:{agent_id}:{rest}"
    if len(key) > MAX_LENGTH:
        raise InvalidRequest(f"a session key has at most {MAX_LENGTH} characters, this one has {len(key)}")
    return SessionKey(key)


def main_key(agent_id: AgentId) -> SessionKey:
    """Return the key of an agent's main session."""
    return SessionKey(f"agent:{agent_id}:{MAIN}")


def parse_key(raw: str, default_agent: AgentId) -> tuple[AgentId, SessionKey]:
    """Read what clients send: a whole key, `main`, or any name within the default agent.

    Raises: InvalidRequest.
    """
    if raw.startswith("agent:"):
        parts = raw.split(":", 2)
        if len(parts) != 3 or not _AGENT_ID.fullmatch(parts[1]):
            raise InvalidRequest(
                "invalid session key: expected agent:<agentId>:<name>", hint="`main` names the main session."
            )
        agent_id = AgentId(parts[1])
        return agent_id, session_key(agent_id, parts[2])
    return default_agent, session_key(default_agent, raw or MAIN)
