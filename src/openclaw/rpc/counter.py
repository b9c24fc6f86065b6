"""The counter: one request in, one answer out (or two, for `agent`).

`handle` returns bytes when the answer is there at once, so that cached answers cost no task; else a coroutine that
sends through the peer. Whatever goes wrong becomes a typed error frame; only faults of our own are logged as errors.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Coroutine, Iterable
from contextlib import suppress
from inspect import isawaitable, iscoroutine
from typing import Any, Final

import msgspec

from openclaw.base import own_names
from openclaw.base.errors import Forbidden, InternalError, InvalidRequest, OpenClawError, Unavailable
from openclaw.base.ids import new_id
from openclaw.identity.devices.record import Issued
from openclaw.identity.federated.federation import FEDERATED
from openclaw.identity.scopes import lacking_scope
from openclaw.protocol.frames import Request, Response, encode_error, encode_result, result_with
from openclaw.protocol.validate import convert
from openclaw.protocol.wire_errors import to_wire
from openclaw.rpc.acts import ACTS, Acts
from openclaw.rpc.deps import RpcDeps
from openclaw.rpc.hello import hello_ok
from openclaw.rpc.method import Failed, MethodSpec, holds
from openclaw.rpc.peer import Peer
from openclaw.rpc.reach import check_reach
from openclaw.rpc.room import Room
from openclaw.rpc.turns import Turns
from openclaw.rpc.versions import OLD_PARAMS, error_for, result_for, result_instead
from openclaw.telemetry.metrics import METRICS
from openclaw.telemetry.redact import REDACTOR

_log = logging.getLogger("openclaw.rpc")
_requests = METRICS.counter("openclaw_rpc_requests", "RPC requests by method and outcome.", ("method", "outcome"))

NEEDS_SESSION: Final = frozenset(("chat.send",))
"""Methods for which protocol 4 says SESSION_MUTATION_TARGET_REQUIRED before it looks at anything else."""

VERBATIM: Final = frozenset(("audit.query",))
"""Methods whose answers are told as they are kept: who checks the chain must see what was hashed."""


class _Entry:
    """A method as dispatched: its spec with everything that can be known beforehand."""

    __slots__ = ("empty", "handler", "name", "params", "rate", "spec", "written")

    def __init__(self, spec: MethodSpec) -> None:
        self.name = spec.name
        self.spec = spec
        self.rate = spec.rate
        self.handler = spec.handler
        self.written = spec.name in ACTS
        self.params = {3: OLD_PARAMS.get(spec.name, spec.params), 4: spec.params}
        self.empty = {version: _when_empty(params) for version, params in self.params.items()}

    def serves(self, protocol: int) -> bool:
        """Say whether a protocol has this method."""
        return self.spec.since <= protocol <= self.spec.until


class _Somebody:
    """Stands for whoever else may come to speak."""

    owner = ""


def _when_empty(params: type[Any]) -> Any:
    try:
        return params()
    except TypeError:
        return None


class Counter:
    """Dispatches requests of connected peers."""

    def __init__(self, deps: RpcDeps, methods: Iterable[MethodSpec]) -> None:
        self.room = Room(deps)
        self._entries = {spec.name: _Entry(spec) for spec in methods}
        self._turns = Turns()
        self._acts = Acts(deps.ledger) if deps.ledger is not None else None
        self._passing: dict[str, set[asyncio.Task[None]]] = {}
        """What ends with its connection, by that one's id."""
        deps.hub.health_payload = self.room.health.value
        deps.hub.observe(self)

    def methods(self, protocol: int) -> list[str]:
        """Return the names of the methods that a protocol announces, in table order."""
        return [entry.name for entry in self._entries.values() if entry.spec.announced and entry.serves(protocol)]

    def hello_ok(self, peer: Peer, issued: tuple[Issued, ...] = ()) -> dict[str, Any]:
        """Return the payload of the answer to `connect`; `issued` are the tokens of the peer's device."""
        return hello_ok(peer, self.room, self.methods(peer.protocol), issued)

    async def close(self) -> None:
        """Stop what runs behind answers."""
        await self.room.tasks.close()

    def handle(self, peer: Peer, request: Request) -> bytes | Coroutine[Any, Any, None]:
        """Answer a request. Never raises; a returned coroutine sends its answers itself and must be awaited."""
        try:
            entry = self._entry(peer, request)
            params = entry.empty[peer.protocol] if len(request.params) == 2 and bytes(request.params) == b"{}" else None
            if params is None:
                params = self._params(entry, peer, request)
            if peer.principal.limits is not None:
                check_reach(peer.principal, params, self.room.deps.agent)
            if entry.rate is not None:
                self.room.spend(peer.principal, entry.name, entry.rate)
            if entry.written and self._acts is not None:
                return self._after_its_row(peer, request, entry, params, self._acts)
            result = entry.handler(self.room, peer, params)
            if type(result) is bytes:
                _requests.inc(entry.name, "ok")
                return own_names.told(peer.principal, result_with(request.id, result))
            if isawaitable(result):
                if entry.spec.passing:
                    return self._while_here(peer, request, result, large=entry.spec.passing == "large")
                return self._later(peer, request, result)
            if isinstance(result, AsyncIterator):
                return self._in_stages(peer, request, result)
            return self._answer(peer, request, result)
        except Forbidden as error:
            return self._denial(peer, request, error)
        except Exception as error:  # noqa: BLE001  # the counter supervises: one bad request never breaks a connection
            return self._refusal(peer, request, error)

    def _entry(self, peer: Peer, request: Request) -> _Entry:
        entry = self._entries.get(request.method)
        if entry is None or not entry.serves(peer.protocol):
            if request.method == "connect":
                raise InvalidRequest("connect is only valid as the first request")
            raise InvalidRequest(f"unknown method: {request.method[:128]}")
        spec, role = entry.spec, peer.principal.role
        if spec.role not in (role, "any"):
            raise InvalidRequest(f"unauthorized role: {role}")
        if role != "node" and spec.scope is not None and not holds(peer.principal, spec.scope):
            raise lacking_scope(spec.scope)
        return entry

    def _params(self, entry: _Entry, peer: Peer, request: Request) -> Any:
        try:
            return convert(request.params, entry.params[peer.protocol], entry.name)
        except InvalidRequest as error:
            if peer.protocol >= 4 and entry.name in NEEDS_SESSION and "property 'sessionKey'" in error.message:
                details = {"code": "SESSION_MUTATION_TARGET_REQUIRED", "method": entry.name}
                raise InvalidRequest("session mutation target is unavailable", details=details) from None
            raise

    def _answer(self, peer: Peer, request: Request, result: Any) -> bytes:
        _requests.inc(request.method, "ok")
        frame = self._encoded(peer, request, result)
        return frame if request.method in VERBATIM else own_names.told(peer.principal, frame)

    def _encoded(self, peer: Peer, request: Request, result: Any) -> bytes:
        if type(result) is bytes:
            return result_with(request.id, result)
        if isinstance(result, Failed):
            error = _told(result.error, peer)
            payload = result_for(request.method, result.payload, peer.protocol)
            return msgspec.json.encode(Response(request.id, False, payload, error))
        return encode_result(request.id, result_for(request.method, result, peer.protocol))

    async def _after_its_row(self, peer: Peer, request: Request, entry: _Entry, params: Any, acts: Acts) -> None:
        """Write who does this, then do it."""
        try:
            await acts.doing(peer.principal, entry.name, params, request.id)
            result = entry.handler(self.room, peer, params)
            if isinstance(result, AsyncIterator):
                await self._in_stages(peer, request, result)
                return
            frame = self._answer(peer, request, await result if isawaitable(result) else result)
        except Exception as error:  # noqa: BLE001  # as in handle
            frame = self._refusal(peer, request, error)
        peer.send(frame)

    def _denial(self, peer: Peer, request: Request, error: Forbidden) -> bytes | Coroutine[Any, Any, None]:
        """Refuse what takes another scope, and write it."""
        refusal = self._refusal(peer, request, error)
        missing = error.details.get("missingScope")
        acts, now_s = self._acts, self.room.deps.clock.monotonic_s()
        if acts is None or missing is None or not acts.unheard(peer.principal, request.method, now_s):
            return refusal

        async def written() -> None:
            with suppress(Unavailable):  # refused it is, written or not
                await acts.denied(peer.principal, request.method, missing)
            peer.send(refusal)

        return written()

    async def _later(self, peer: Peer, request: Request, result: Awaitable[Any]) -> None:
        try:
            frame = self._answer(peer, request, await result)
        except Exception as error:  # noqa: BLE001  # as in handle
            frame = self._refusal(peer, request, error)
        peer.send(frame)

    async def _while_here(self, peer: Peer, request: Request, result: Awaitable[Any], *, large: bool) -> None:
        task = asyncio.current_task()
        assert task is not None, "a connection answers in tasks"
        tasks = self._passing.setdefault(peer.conn_id, set())
        tasks.add(task)
        try:
            if large:
                async with self._turns.turn(peer.conn_id):
                    await self._later(peer, request, result)
            else:
                await self._later(peer, request, result)
        finally:
            if iscoroutine(result):
                result.close()  # its turn may never have come
            tasks.discard(task)
            if not tasks and self._passing.get(peer.conn_id) is tasks:
                del self._passing[peer.conn_id]

    def joined(self, peer: Peer) -> None:
        """Where there are other people, an administrator hears of their runs once that is written; see Hub.observe."""
        if peer.principal.may("operator.admin") and self.room.deps.config().config.gateway.auth.mode in FEDERATED:
            self.room.deps.hub.oversee(peer, False)
            with suppress(RuntimeError):  # closing: nothing more is told
                self.room.tasks.spawn(self._oversee(peer), "oversee")

    async def _oversee(self, peer: Peer) -> None:
        with suppress(Unavailable):  # no ledger, no look
            await self.room.overlooked(peer, (_Somebody(),), "event")
            self.room.deps.hub.oversee(peer, True)

    def left(self, peer: Peer) -> None:
        """Give up what only this peer wanted to know; see Hub.observe."""
        for task in self._passing.pop(peer.conn_id, ()):
            task.cancel()

    async def _in_stages(self, peer: Peer, request: Request, stages: AsyncIterator[Any]) -> None:
        try:
            async for result in stages:
                peer.send(self._answer(peer, request, result))
        except Exception as error:  # noqa: BLE001  # as in handle
            peer.send(self._refusal(peer, request, error))

    def _refusal(self, peer: Peer, request: Request, error: Exception) -> bytes:
        if not isinstance(error, OpenClawError):
            incident = new_id()
            _log.error(
                "rpc_failed", exc_info=error, extra={"fields": {"incident": incident, "method": request.method[:128]}}
            )
            error = InternalError(
                f"internal error in {request.method[:128]} (incident {incident})", details={"incident": incident}
            )
        instead = result_instead(request.method, error.details.get("code"), peer.protocol)
        if instead is not None:
            return encode_result(request.id, instead)
        name = request.method if request.method in self._entries else "unknown"
        _requests.inc(name, error.code)
        refusal = encode_error(request.id, error_for(request.method, _told(error, peer), peer.protocol))
        return own_names.told(peer.principal, refusal)


def _told(error: OpenClawError, peer: Peer) -> dict[str, Any]:
    """Return an error as the peer's protocol says it. What others said, and is quoted in it, may hold our secrets."""
    told = to_wire(error, peer.protocol)
    return {**told, "message": own_names.told_text(peer.principal, REDACTOR.clean(told["message"]))}
