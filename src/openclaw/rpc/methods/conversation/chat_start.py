"""What a chat page asks for when it opens: chat.startup, chat.metadata, chat.message.get, chat.toolTitles."""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec
from msgspec import UNSET, Meta, UnsetType

from openclaw.base import own_names
from openclaw.base.errors import InvalidRequest
from openclaw.base.ids import SessionKey
from openclaw.protocol.validate import Params
from openclaw.rpc.method import MethodSpec
from openclaw.rpc.methods.agents.models import ModelsListParams, models_list
from openclaw.rpc.methods.conversation.chat import DEFAULT_MESSAGES, MAX_MESSAGES, ChatHistoryParams, chat_history
from openclaw.rpc.methods.conversation.sessions import Key, NotEmpty, message_step
from openclaw.rpc.methods.conversation.transcript import SessionsResolveParams, sessions_resolve
from openclaw.rpc.methods.house.desk import CommandsListParams, commands_list
from openclaw.rpc.peer import Peer
from openclaw.rpc.room import Room
from openclaw.rpc.rows import message_rows

MAX_TITLES: Final = 24


class ChatStartupParams(Params, frozen=True):
    """Names a session by `sessionKey`, or by `shortId` (the beginning of its id) and `agentId`. The newest messages
    that fit into `maxBytes` are returned. A `cursor` is always answered by `{kind: "reset"}`: load the page again."""

    session_key: Key = ""
    short_id: NotEmpty = ""
    slug_hint: NotEmpty = ""
    agent_id: NotEmpty = ""
    session_id: NotEmpty = ""
    limit: Annotated[int, Meta(ge=1, le=MAX_MESSAGES)] = DEFAULT_MESSAGES
    offset: Annotated[int, Meta(ge=0)] = 0
    max_bytes: Annotated[int, Meta(ge=1024)] = 1_048_576
    max_chars: Annotated[int, Meta(ge=1, le=500_000)] = 500_000
    cursor: str | None = None
    message_id: NotEmpty = ""
    pending_before: Annotated[int, Meta(ge=1)] | UnsetType = UNSET
    input_run_ids: Annotated[tuple[NotEmpty, ...], Meta(max_length=50)] = ()


class ChatMetadataParams(Params, frozen=True):
    """What may be said where: the same in every session of an agent."""

    session_key: NotEmpty = ""
    agent_id: NotEmpty = ""
    auth_profile_id: Annotated[str, Meta(min_length=1, max_length=256)] = ""


class ChatMessageGetParams(Params, frozen=True):
    """`messageId` is as histories show it (`__openclaw.id`)."""

    session_key: Key
    message_id: Annotated[str, Meta(min_length=1, max_length=512)]
    agent_id: NotEmpty = ""
    max_chars: Annotated[int, Meta(ge=1, le=2_000_000)] = 2_000_000


class ToolTitleItem(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A tool call that wants a title."""

    id: Annotated[str, Meta(min_length=1, max_length=64)]
    name: Annotated[str, Meta(min_length=1, max_length=200)]
    input: Annotated[str, Meta(min_length=1, max_length=4000)]


class ChatToolTitlesParams(Params, frozen=True):
    """Calls of one session."""

    session_key: Key
    items: Annotated[tuple[ToolTitleItem, ...], Meta(min_length=1, max_length=MAX_TITLES)]
    agent_id: NotEmpty = ""


async def chat_startup(room: Room, peer: Peer, params: ChatStartupParams) -> dict[str, Any]:
    """Return the end of a session's history and what a page shows around it."""
    if params.cursor is not None:
        return {"kind": "reset"}
    key = own_names.called(peer.principal, await _session_key(room, peer, params))
    wanted = ChatHistoryParams(
        session_key=key,
        agent_id=params.agent_id,
        session_id=params.session_id,
        limit=params.limit,
        offset=params.offset,
        max_bytes=params.max_bytes,
        max_chars=params.max_chars,
        input_run_ids=params.input_run_ids,
    )
    return await chat_history(room, peer, wanted)


async def _session_key(room: Room, peer: Peer, params: ChatStartupParams) -> SessionKey:
    if bool(params.session_key) == bool(params.short_id):
        raise InvalidRequest("chat.startup needs sessionKey, or shortId and agentId")
    if params.session_key:
        return room.session_key(peer.principal, params.session_key, params.agent_id)
    found = await sessions_resolve(
        room, peer, SessionsResolveParams(short_id=params.short_id, agent_id=params.agent_id)
    )
    return SessionKey(found["key"])


def chat_metadata(room: Room, peer: Peer, params: ChatMetadataParams) -> dict[str, Any]:
    """Return models and commands."""
    return {
        **models_list(room, peer, ModelsListParams()),
        **commands_list(room, peer, CommandsListParams()),
        "swarmEnabled": False,
        "runtimeSelectionLocked": False,
    }


async def chat_message_get(room: Room, peer: Peer, params: ChatMessageGetParams) -> dict[str, Any]:
    """Return one message whole."""
    key = room.session_key(peer.principal, params.session_key, params.agent_id)
    step, index = await message_step(room, peer.principal, key, params.message_id)
    rows = [] if step is None else list(message_rows((step,)))
    if index >= len(rows):
        return {"ok": False, "unavailableReason": "not_found"}
    if sum(len(str(part.get("text", ""))) for part in rows[index]["content"]) > params.max_chars:
        return {"ok": False, "unavailableReason": "oversized"}
    return {"ok": True, "message": rows[index]}


def chat_tool_titles(room: Room, peer: Peer, params: ChatToolTitlesParams) -> dict[str, Any]:
    """Return no titles."""
    return {"titles": {}, "disabled": True}


METHODS = (
    MethodSpec(
        "chat.startup",
        ChatStartupParams,
        "operator.read",
        chat_startup,
        "Returns the end of a session's history, its row and the defaults: what a chat page opens with.",
        "`{sessionKey, sessionId?, messages[], hasMore, pendingInputs, thinkingLevel, defaults, sessionInfo?}`, or "
        '`{kind: "reset"}`.',
        since=4,
        passing="large",
    ),
    MethodSpec(
        "chat.metadata",
        ChatMetadataParams,
        "operator.read",
        chat_metadata,
        "Returns the models and the slash commands that a message may use.",
        "`{models[], commands[], …}` as in models.list and commands.list.",
        since=4,
    ),
    MethodSpec(
        "chat.message.get",
        ChatMessageGetParams,
        "operator.read",
        chat_message_get,
        "Returns one message whole, by the id that histories show.",
        '`{ok, message}`, or `{ok: false, unavailableReason: "not_found" | "oversized"}`.',
        since=4,
        passing="large",
    ),
    MethodSpec(
        "chat.toolTitles",
        ChatToolTitlesParams,
        "operator.write",
        chat_tool_titles,
        "Names tool calls in a few words: switched off, for it would cost a model call per page.",
        "`{titles: {}, disabled: true}`",
        since=4,
    ),
)
