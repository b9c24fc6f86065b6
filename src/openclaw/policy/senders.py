"""Strangers on chat channels who ask to be let in, and those who were.

1. A stranger gets a code; nothing but the code's hash is kept. An operator lets in who sent it, once, within CODE_MS.
2. A code that nobody has counts as a try against every request of that account; MAX_TRIES make a request void.
3. Everything is kept under channel and account: who is let in to one account is a stranger to the others.
4. An account keeps MAX_PENDING requests; the same stranger gets no second code while one holds.
5. Who was let in, and who no longer is, is a row of the audit ledger in the same transaction.
"""

from __future__ import annotations

import asyncio
import hmac
import secrets
from hashlib import sha256
from typing import Final

import msgspec

from openclaw.base.audit import Entry
from openclaw.base.clock import Clock
from openclaw.base.errors import Conflict, NotFound, Unavailable
from openclaw.base.ids import OwnerId
from openclaw.base.principal import Principal
from openclaw.policy.dm_door import Message
from openclaw.store.shelf import ABSENT, Change, Record, Shelf

REQUEST: Final = "dm-request"
SENDER: Final = "dm-sender"
CODE_CHARS: Final = 8
CODE_MS: Final = 600_000
SEEN_EVERY_MS: Final = 10_000
"""Who keeps writing is noted so often at most: a flood of messages is not one of writes."""
MAX_TRIES: Final = 5
MAX_PENDING: Final = 3
MAX_SENDERS: Final = 5_000
ALPHABET: Final = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
"""Without what is easily misread."""


class Asked(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A stranger's request. Times are Unix ms; `name` is what they call themselves, shown only."""

    id: str
    channel: str
    account: str
    sender: str
    code_hash: str
    created_at_ms: int
    expires_at_ms: int
    last_seen_at_ms: int
    name: str = ""
    tries: int = 0

    def holds(self, now_ms: int) -> bool:
        """Say whether it may still be answered. A clock that was set back ends it too."""
        return self.created_at_ms <= now_ms < self.expires_at_ms and self.tries < MAX_TRIES


class LetIn(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Somebody who may write directly to one account of one channel."""

    channel: str
    account: str
    sender: str
    name: str = ""
    at_ms: int
    by: OwnerId


class Senders:
    """One tenant's strangers and acquaintances. `open` before anything else."""

    def __init__(self, shelf: Shelf, clock: Clock) -> None:
        self._shelf = shelf
        self._clock = clock
        self._let_in: dict[str, LetIn] = {}
        self._asking = asyncio.Lock()
        """Two messages at once make one request."""

    async def open(self) -> None:
        """Read who was let in."""
        records = await self._shelf.list(SENDER, limit=MAX_SENDERS)
        self._let_in = {record.id: msgspec.json.decode(record.body, type=LetIn) for record in records}

    def is_paired(self, message: Message) -> bool:
        """Say whether the sender was let in to this account of this channel."""
        return message.place in self._let_in

    def let_in(self) -> list[LetIn]:
        """Return everybody who was let in."""
        return list(self._let_in.values())

    async def ask(self, message: Message, name: str = "") -> str:
        """Note that a stranger asks to be let in. Return the code to send them; "" when they are to hear nothing."""
        async with self._asking:
            return await self._ask(message, name)

    async def _ask(self, message: Message, name: str) -> str:
        now_ms = self._clock.now_ms()
        of_account = await self._requests(f"{message.channel}:{message.account}:")
        held = [(record, asked) for record, asked in of_account if asked.holds(now_ms)]
        for record, asked in held:
            if asked.sender == message.sender:
                if now_ms - asked.last_seen_at_ms >= SEEN_EVERY_MS:
                    await self._put(msgspec.structs.replace(asked, last_seen_at_ms=now_ms), record.version)
                return ""
        if len(held) >= MAX_PENDING:
            return ""
        code = "".join(secrets.choice(ALPHABET) for _ in range(CODE_CHARS))
        asked_id = secrets.token_hex(8)
        asked = Asked(
            id=asked_id,
            channel=message.channel,
            account=message.account,
            sender=message.sender,
            name=name[:128],
            code_hash=_hash(asked_id, code),
            created_at_ms=now_ms,
            expires_at_ms=now_ms + CODE_MS,
            last_seen_at_ms=now_ms,
        )
        over = [Change(REQUEST, record.id, None) for record, each in of_account if not each.holds(now_ms)]
        await self._shelf.apply([*over, Change(REQUEST, _place(asked), msgspec.json.encode(asked), ABSENT)], now_ms)
        return code

    async def pending(self, channel: str = "", account: str = "") -> list[Asked]:
        """Return the requests that may be answered, the oldest first."""
        now_ms = self._clock.now_ms()
        found = [asked for _, asked in await self._requests(_prefix(channel, account))]
        wanted = [each for each in found if each.holds(now_ms) and account in ("", each.account)]
        return sorted(wanted, key=lambda each: each.created_at_ms)

    async def approve(self, by: Principal, channel: str, account: str, named: str) -> LetIn:
        """Let in whom a request's id or code names. Raises: NotFound, Conflict, Unavailable."""
        record, asked = await self._named(channel, account, named)
        now_ms = self._clock.now_ms()
        known = LetIn(
            channel=asked.channel,
            account=asked.account,
            sender=asked.sender,
            name=asked.name,
            at_ms=now_ms,
            by=by.owner,
        )
        place = _sender_place(known)
        if place not in self._let_in and len(self._let_in) >= MAX_SENDERS:
            raise Unavailable(
                f"{MAX_SENDERS} senders were let in already", hint="Take some back: openclaw pairing remove."
            )
        changes = [Change(REQUEST, record.id, None, record.version), Change(SENDER, place, msgspec.json.encode(known))]
        await self._shelf.apply(changes, now_ms, [_row(by, "sender let in", place, now_ms)])
        self._let_in[place] = known
        return known

    async def dismiss(self, channel: str, account: str, named: str) -> Asked:
        """Turn away whom a request's id or code names. Raises: NotFound, Conflict."""
        record, asked = await self._named(channel, account, named)
        await self._shelf.apply([Change(REQUEST, record.id, None, record.version)], self._clock.now_ms())
        return asked

    async def remove(self, by: Principal, channel: str, account: str, sender: str) -> LetIn:
        """Take back that somebody was let in. Raises: NotFound."""
        place = f"{channel}:{account}:{sender}"
        known = self._let_in.get(place)
        if known is None:
            raise NotFound(f"{channel}:{sender} was not let in to the account {account}")
        now_ms = self._clock.now_ms()
        await self._shelf.apply([Change(SENDER, place, None)], now_ms, [_row(by, "sender removed", place, now_ms)])
        self._let_in.pop(place, None)
        return known

    async def _named(self, channel: str, account: str, named: str) -> tuple[Record, Asked]:
        now_ms, code = self._clock.now_ms(), named.strip().upper()
        requests = await self._requests(_prefix(channel, account))
        held = [(record, asked) for record, asked in requests if asked.holds(now_ms)]
        found = [(record, asked) for record, asked in held if asked.id == named or _opens(asked, code)]
        if found:
            return found[0]
        for record, asked in held if len(code) == CODE_CHARS else ():
            await self._put(msgspec.structs.replace(asked, tries=asked.tries + 1), record.version)
        raise NotFound(
            "no request has this id or code", hint="`openclaw pairing list` shows who waits; codes last 10 min."
        )

    async def _put(self, asked: Asked, version: int) -> None:
        try:
            change = Change(REQUEST, _place(asked), msgspec.json.encode(asked), version)
            await self._shelf.apply([change], self._clock.now_ms())
        except Conflict:
            pass  # answered meanwhile, or counted by somebody else who tried at the same moment

    async def _requests(self, prefix: str) -> list[tuple[Record, Asked]]:
        records = await self._shelf.list(REQUEST, prefix=prefix)
        return [(record, msgspec.json.decode(record.body, type=Asked)) for record in records]


def _row(by: Principal, action: str, place: str, now_ms: int) -> Entry:
    return Entry(
        at_ms=now_ms,
        kind="pairing",
        action=action,
        target=place,
        tenant=by.tenant,
        owner=by.owner,
        method=by.method,
        device=by.device,
    )


def _hash(asked_id: str, code: str) -> str:
    return sha256(f"{asked_id}:{code}".encode("utf-8", "surrogatepass")).hexdigest()


def _opens(asked: Asked, code: str) -> bool:
    return hmac.compare_digest(asked.code_hash, _hash(asked.id, code))


def _prefix(channel: str, account: str) -> str:
    return f"{channel}:{account}:" if channel and account else f"{channel}:" if channel else ""


def _place(asked: Asked) -> str:
    return f"{asked.channel}:{asked.account}:{asked.id}"


def _sender_place(known: LetIn) -> str:
    return f"{known.channel}:{known.account}:{known.sender}"
