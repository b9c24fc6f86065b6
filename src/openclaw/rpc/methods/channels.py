"""channels.*, send, message.action: the doors to chat platforms. This version has none, and says so."""

from __future__ import annotations

from typing import Annotated, Any, Literal, NoReturn

from msgspec import UNSET, Meta, UnsetType

from openclaw.base.errors import InvalidRequest
from openclaw.protocol.validate import Params
from openclaw.rpc.method import MethodSpec, Rate
from openclaw.rpc.peer import Peer
from openclaw.rpc.room import Room

SENDS = Rate(60, 5)
PENDING_PER_ACCOUNT = 3
PAIRING_TTL_MS = 600_000

NotEmpty = Annotated[str, Meta(min_length=1, max_length=512)]
Key = Annotated[str, Meta(min_length=1, max_length=512)]


class ChannelsStatusParams(Params, frozen=True):
    """`probe` and `timeoutMs` matter where there is a channel to ask."""

    probe: bool = False
    timeout_ms: Annotated[int, Meta(ge=0)] = 10_000
    channel: NotEmpty = ""


class ChannelParams(Params, frozen=True):
    """Names a channel and an account of it."""

    channel: NotEmpty
    account_id: str = ""


class ChannelsPairingListParams(Params, frozen=True):
    """Filters of an empty list."""

    channel: NotEmpty = ""
    account_id: NotEmpty = ""


class SendParams(Params, frozen=True):
    """A message to somebody on a channel. A refused one may be sent again under its key."""

    to: NotEmpty
    idempotency_key: Key
    message: str = ""
    media_url: str = ""
    media_urls: Annotated[tuple[str, ...], Meta(max_length=32)] = ()
    buffer: str = ""
    filename: str = ""
    content_type: str = ""
    as_voice: bool = False
    gif_playback: bool = False
    channel: str = ""
    account_id: str = ""
    agent_id: str = ""
    reply_to_id: str = ""
    thread_id: str = ""
    force_document: bool = False
    silent: bool = False
    parse_mode: Literal["HTML"] | UnsetType = UNSET
    session_key: str = ""


class MessageActionParams(Params, frozen=True):
    """An act on a channel: `send`, `react`, …; who asks is taken from the connection, never from here."""

    channel: NotEmpty
    action: NotEmpty
    params: dict[str, Any]
    idempotency_key: Key
    reply: dict[str, Any] | UnsetType = UNSET
    account_id: str = ""
    requester_account_id: str = ""
    requester_sender_id: str = ""
    sender_is_owner: bool = False
    session_key: str = ""
    session_id: str = ""
    inbound_turn_kind: Literal["user_request", "room_event"] | UnsetType = UNSET
    agent_id: str = ""
    tool_context: dict[str, Any] | UnsetType = UNSET
    conversation_read_origin: Literal["direct-operator"] | UnsetType = UNSET


def channels_status(room: Room, peer: Peer, params: ChannelsStatusParams) -> dict[str, Any]:
    """Return the whole shape, with no channel in it."""
    return {
        "ts": room.deps.clock.now_ms(),
        "channelOrder": [],
        "channelLabels": {},
        "channelDetailLabels": {},
        "channelSystemImages": {},
        "channelMeta": [],
        "channels": {},
        "channelAccounts": {},
        "channelDefaultAccountId": {},
        "eventLoop": room.health.value(4)["eventLoop"],
    }


def channels_logout(room: Room, peer: Peer, params: ChannelParams) -> NoReturn:
    """Refuse."""
    raise _unknown("channels.logout", params.channel)


def channels_start(room: Room, peer: Peer, params: ChannelParams) -> NoReturn:
    """Refuse."""
    raise _unknown("channels.start", params.channel)


def channels_stop(room: Room, peer: Peer, params: ChannelParams) -> NoReturn:
    """Refuse."""
    raise _unknown("channels.stop", params.channel)


def channels_pairing_list(room: Room, peer: Peer, params: ChannelsPairingListParams) -> dict[str, Any]:
    """Return no requests: nobody can write to us."""
    limits = {"pendingPerAccount": PENDING_PER_ACCOUNT, "ttlMs": PAIRING_TTL_MS}
    return {"accounts": [], "requests": [], "commandOwnerConfigured": False, "limits": limits}


def send(room: Room, peer: Peer, params: SendParams) -> NoReturn:
    """Refuse: there is no channel to send on."""
    if params.channel:
        raise _unsupported(params.channel)
    raise InvalidRequest("send: no channel is configured", details={"code": "NO_CHANNEL"})


def message_action(room: Room, peer: Peer, params: MessageActionParams) -> NoReturn:
    """Refuse, for the same reason."""
    raise _unsupported(params.channel)


def _unknown(method: str, channel: str) -> InvalidRequest:
    return InvalidRequest(
        f"invalid {method} channel", hint=f"There is no channel {channel[:64]}.", details={"code": "UNKNOWN_CHANNEL"}
    )


def _unsupported(channel: str) -> InvalidRequest:
    return InvalidRequest(
        f"unsupported channel: {channel[:64]}",
        hint="This version has no chat channels; people reach agents through the Gateway protocol and HTTP.",
        details={"code": "UNKNOWN_CHANNEL"},
    )


_REFUSED = "An error with `details.code` UNKNOWN_CHANNEL."

METHODS = (
    MethodSpec(
        "channels.status",
        ChannelsStatusParams,
        "operator.read",
        channels_status,
        "Says which chat channels there are and how they stand: none in this version.",
        "`{ts, channelOrder[], channelLabels{}, channelDetailLabels{}, channelSystemImages{}, channelMeta[], "
        "channels{}, channelAccounts{}, channelDefaultAccountId{}}`; protocol 4 adds `eventLoop`.",
    ),
    MethodSpec(
        "channels.logout",
        ChannelParams,
        "operator.admin",
        channels_logout,
        "Signs an account of a channel out: there is none.",
        _REFUSED,
    ),
    MethodSpec(
        "channels.start",
        ChannelParams,
        "operator.admin",
        channels_start,
        "Starts a channel: there is none.",
        _REFUSED,
        since=4,
    ),
    MethodSpec(
        "channels.stop",
        ChannelParams,
        "operator.admin",
        channels_stop,
        "Stops a channel: there is none.",
        _REFUSED,
        since=4,
    ),
    MethodSpec(
        "channels.pairing.list",
        ChannelsPairingListParams,
        "operator.pairing",
        channels_pairing_list,
        "Lists strangers on channels who ask to be let in: none.",
        "`{accounts: [], requests: [], commandOwnerConfigured, limits{pendingPerAccount, ttlMs}}`",
        since=4,
    ),
    MethodSpec(
        "send",
        SendParams,
        "operator.write",
        send,
        "Sends a message on a channel: there is none.",
        _REFUSED,
        rate=SENDS,
    ),
    MethodSpec(
        "message.action",
        MessageActionParams,
        "operator.write",
        message_action,
        "Sends, reacts and so on, on a channel: there is none.",
        _REFUSED,
        rate=SENDS,
        since=4,
    ),
)
