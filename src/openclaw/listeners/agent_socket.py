"""`/v1/agent/{name}` over WebSocket: prompts in, the run's frames out, `abort` at any time.

Without an Authorization header the first message must be `{"type":"auth","token":…}`. Prompts of one socket share a
session unless they name another; the agent's lane keeps them in order.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from openclaw.agent.api import AgentService
from openclaw.base.errors import InvalidRequest, OpenClawError, RateLimited, Unauthorized
from openclaw.base.ids import new_id
from openclaw.base.principal import Principal
from openclaw.base.run import Inbound
from openclaw.base.secret import masked
from openclaw.base.tasks import TaskSet
from openclaw.identity.authenticate import RENEWED, Authenticator
from openclaw.identity.locality import Source
from openclaw.listeners.agent_api import Prompt, inbound_of
from openclaw.listeners.agent_frames import error_frame, event_frame, start_frame
from openclaw.listeners.ws_socket import Socket
from openclaw.protocol.limits import CUT, HANDSHAKE_TIMEOUT_MS, MAX_PAYLOAD_BYTES

MAX_RUNNING: Final = 32
_encode = msgspec.json.Encoder().encode


class _Frame(msgspec.Struct, frozen=True):
    """Anything a client sends; a frame without a type is a prompt."""

    type: str = "prompt"
    token: str | None = None
    prompt: str | None = None
    session_id: str | None = None
    model: str | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    id: str | None = None

    __repr__ = masked


_decoder = msgspec.json.Decoder(_Frame)


class AgentSocket:
    """One client's socket."""

    def __init__(
        self,
        agent: AgentService,
        name: str,
        authenticator: Authenticator,
        source: Source,
        principal: Principal | None,
        tasks: TaskSet,
    ) -> None:
        self._agent = agent
        self._name = name
        self._authenticator = authenticator
        self._source = source
        self._principal = principal
        self._tasks = tasks
        self._own_session = new_id()
        self._running: dict[str, Inbound] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._waiting = self._gone = False
        """The credential waits for its key, and what comes meanwhile is not listened to; the client has left."""
        self._socket: Socket

    def opened(self, socket: Socket) -> None:
        """Wait for the credential, unless it came with the upgrade."""
        self._socket = socket
        if self._principal is not None:
            self._let_in()
            return
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(HANDSHAKE_TIMEOUT_MS / 1000, socket.close, 1008, "authentication timeout")

    def binary(self, data: bytes) -> None:
        """Nothing here is binary."""
        self._socket.close(1003, "text frames only")

    def text(self, data: bytes) -> None:
        """Take one frame."""
        try:
            try:
                frame = _decoder.decode(data)
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
                raise InvalidRequest(f"invalid frame: {error}") from None
            self._take(frame)
        except (Unauthorized, RateLimited) as error:
            self._send(error_frame(error))
            self._socket.close(1008, error.message)
        except OpenClawError as error:
            self._send(error_frame(error))
            if self._principal is None:
                self._socket.close(1008, error.message)

    def _take(self, frame: _Frame) -> None:
        principal = self._principal
        if principal is None:
            if self._waiting:
                return
            if frame.type != "auth":
                raise Unauthorized('the first frame must be {"type":"auth","token":…}')
            self._begin(frame.token or "")
        elif frame.type == "abort":
            self._abort(principal, frame.id)
        elif frame.type == "prompt":
            self._prompt(principal, frame)
        elif frame.type != "auth":
            raise InvalidRequest(f"unknown frame type '{frame.type[:32]}'; send a prompt or abort")

    def _begin(self, token: str) -> None:
        headers = {b"authorization": b"Bearer " + token.encode("utf-8", "surrogatepass")}
        source = self._authenticator.carrying(self._source, headers)
        if not self._authenticator.wants(source):
            self._sign_in(headers, source)
            return
        self._waiting = True
        try:
            self._tasks.spawn(self._begin_later(headers, source), "identity-keys")
        except RuntimeError:  # too many wait: it is judged by the keys that there are
            self._sign_in(headers, source)

    async def _begin_later(self, headers: Mapping[bytes, bytes], source: Source) -> None:
        await self._authenticator.prepare(source)
        self._waiting = False
        if self._gone:
            return
        try:
            self._sign_in(headers, source)
        except OpenClawError as error:
            self._send(error_frame(error))
            self._socket.close(1008, error.message)

    def _sign_in(self, headers: Mapping[bytes, bytes], source: Source) -> None:
        self._principal = self._authenticator.http(headers, source)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._let_in()
        self._send({"type": "ready"})

    def _let_in(self) -> None:
        self._authenticator.holders.add(self._shut_out)
        self._socket.set_limit(MAX_PAYLOAD_BYTES)
        if self._principal is not None and (left_s := self._authenticator.left_s(self._principal)) is not None:
            self._timer = asyncio.get_running_loop().call_later(left_s, self._socket.close, CUT, RENEWED)

    def _shut_out(self) -> None:
        if self._principal is None or not self._authenticator.stands(self._principal):
            self._socket.close(CUT, RENEWED)

    def _abort(self, principal: Principal, run_id: str | None) -> None:
        for inbound in list(self._running.values()):
            if run_id is None or inbound.run_id == run_id:
                abort = self._agent.abort(inbound.session_key, principal, inbound.run_id, "abort")
                self._tasks.spawn(abort, "abort")

    def _prompt(self, principal: Principal, frame: _Frame) -> None:
        if len(self._running) >= MAX_RUNNING:
            raise RateLimited("too many prompts are waiting on this socket", retry_after_s=1)
        if frame.prompt is None:
            raise InvalidRequest("prompt: required")
        prompt = Prompt(frame.prompt, max_tokens=frame.max_tokens, temperature=frame.temperature, model=frame.model)
        session_id = frame.session_id or self._own_session
        fresh = frame.session_id is None
        inbound = inbound_of(self._agent, self._name, prompt, principal, session_id, ephemeral=fresh)
        self._running[inbound.run_id] = inbound
        self._tasks.spawn(self._relay(inbound, session_id), "prompt")

    async def _relay(self, inbound: Inbound, session_id: str) -> None:
        try:
            run = await self._agent.submit(inbound)
            self._send(start_frame(inbound, session_id))
            async for batch in run.events():
                for event in batch:
                    told = event_frame(event, session_id)
                    if told is not None:
                        self._send({**told, "id": inbound.run_id})
        except OpenClawError as error:
            self._send({**error_frame(error), "id": inbound.run_id})
        finally:
            self._running.pop(inbound.run_id, None)

    def _send(self, frame: dict[str, Any]) -> None:
        self._socket.send(_encode(frame))

    def lost(self) -> None:
        """Stop what nobody can come back to."""
        self._gone = True
        self._authenticator.holders.discard(self._shut_out)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for inbound in self._running.values():
            if inbound.ephemeral:
                abort = self._agent.abort(inbound.session_key, inbound.principal, inbound.run_id, "disconnect")
                self._tasks.spawn(abort, "abandon")
