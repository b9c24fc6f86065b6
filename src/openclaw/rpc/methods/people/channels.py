"""channels.*, send, message.action: chat platforms, of which this version has none, and who asks to be let in there."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal, NoReturn

from msgspec import UNSET, Meta, UnsetType

from openclaw.base.errors import InvalidRequest, Unavailable
from openclaw.policy.senders import CODE_MS, MAX_PENDING, Asked, Senders
from openclaw.protocol.validate import Params
from openclaw.rpc.method import MethodSpec, Rate
from openclaw.rpc.peer import Peer
from openclaw.rpc.room import Room

SENDS = Rate(60, 5)
CODES = Rate(10, 0.1)
"""Answers to strangers' requests; each wrong code also counts against the requests themselves."""

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
    """Only one channel, or one account of it."""

    channel: NotEmpty = ""
    account_id: NotEmpty = ""


class ChannelsPairingDismissParams(Params, frozen=True):
    """`requestId` is the id that the list shows, or the code that the stranger was sent."""

    channel: NotEmpty
    account_id: NotEmpty
    request_id: NotEmpty


class ChannelsPairingApproveParams(ChannelsPairingDismissParams, frozen=True):
    """`notify` has no meaning without a channel; nobody becomes an owner of commands by a chat message."""

    notify: bool = False
    bootstrap_command_owner: bool = False


class ChannelsPairingRemoveParams(Params, frozen=True):
    """Names somebody who was let in."""

    channel: NotEmpty
    account_id: NotEmpty
    sender_id: NotEmpty


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


async def channels_pairing_list(room: Room, peer: Peer, params: ChannelsPairingListParams) -> dict[str, Any]:
    """Return who asks to be let in."""
    senders = room.deps.senders
    asked = await senders.pending(params.channel, params.account_id) if senders else []
    limits = {"pendingPerAccount": MAX_PENDING, "ttlMs": CODE_MS}
    rows = [_asked(each) for each in asked]
    return {"accounts": [], "requests": rows, "commandOwnerConfigured": False, "limits": limits}


async def channels_pairing_approve(room: Room, peer: Peer, params: ChannelsPairingApproveParams) -> dict[str, Any]:
    """Let somebody in to one account of one channel."""
    known = await _senders(room).approve(peer.principal, params.channel, params.account_id, params.request_id)
    return {
        "requestId": params.request_id,
        "senderId": known.sender,
        "notification": "unsupported" if params.notify else "not-requested",
        "commandOwnerBootstrap": "unavailable" if params.bootstrap_command_owner else "not-requested",
    }


async def channels_pairing_dismiss(room: Room, peer: Peer, params: ChannelsPairingDismissParams) -> dict[str, Any]:
    """Turn somebody away."""
    asked = await _senders(room).dismiss(params.channel, params.account_id, params.request_id)
    return {"requestId": asked.id, "senderId": asked.sender}


def channels_pairing_senders(room: Room, peer: Peer, params: ChannelsPairingListParams) -> dict[str, Any]:
    """Return who was let in."""
    found = [
        {
            "channel": each.channel,
            "accountId": each.account,
            "senderId": each.sender,
            "name": each.name,
            "atMs": each.at_ms,
        }
        for each in _senders(room).let_in()
        if params.channel in ("", each.channel) and params.account_id in ("", each.account)
    ]
    return {"senders": found}


async def channels_pairing_remove(room: Room, peer: Peer, params: ChannelsPairingRemoveParams) -> dict[str, Any]:
    """Take back that somebody was let in."""
    known = await _senders(room).remove(peer.principal, params.channel, params.account_id, params.sender_id)
    return {"senderId": known.sender}


def _senders(room: Room) -> Senders:
    if room.deps.senders is None:
        raise Unavailable("this gateway lets nobody in over channels")
    return room.deps.senders


def _asked(asked: Asked) -> dict[str, Any]:
    return {
        "requestId": asked.id,
        "channel": asked.channel,
        "channelLabel": asked.channel,
        "accountId": asked.account,
        "senderId": asked.sender,
        "senderLabel": asked.name or asked.sender,
        "createdAt": _iso(asked.created_at_ms),
        "lastSeenAt": _iso(asked.last_seen_at_ms),
        "expiresAt": _iso(asked.expires_at_ms),
        "notifySupported": False,
    }


def _iso(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


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
        "Lists strangers on channels who ask to be let in. Their codes are in nobody's list.",
        "`{accounts: [], requests: [{requestId, channel, channelLabel, accountId, senderId, senderLabel, createdAt, "
        "lastSeenAt, expiresAt, notifySupported}], commandOwnerConfigured, limits{pendingPerAccount, ttlMs}}`",
        since=4,
    ),
    MethodSpec(
        "channels.pairing.approve",
        ChannelsPairingApproveParams,
        "operator.pairing",
        channels_pairing_approve,
        "Lets a stranger write to one account of one channel directly; groups stay shut. `requestId` may be the code.",
        "`{requestId, senderId, notification, commandOwnerBootstrap}`",
        since=4,
        rate=CODES,
    ),
    MethodSpec(
        "channels.pairing.dismiss",
        ChannelsPairingDismissParams,
        "operator.pairing",
        channels_pairing_dismiss,
        "Turns a stranger away.",
        "`{requestId, senderId}`",
        since=4,
        rate=CODES,
    ),
    MethodSpec(
        "channels.pairing.senders",
        ChannelsPairingListParams,
        "operator.pairing",
        channels_pairing_senders,
        "Lists who was let in by a code.",
        "`{senders: [{channel, accountId, senderId, name, atMs}]}`",
        since=4,
        announced=False,
    ),
    MethodSpec(
        "channels.pairing.remove",
        ChannelsPairingRemoveParams,
        "operator.pairing",
        channels_pairing_remove,
        "Takes back that somebody was let in.",
        "`{senderId}`",
        since=4,
        announced=False,
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
