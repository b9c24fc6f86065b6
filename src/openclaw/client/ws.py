"""One connection that speaks the Gateway protocol. `link.GatewayLink` keeps one up across losses."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

import msgspec

from openclaw.base.bounded import BoundedQueue
from openclaw.base.errors import OpenClawError, Unavailable
from openclaw.base.ids import new_id
from openclaw.base.secret import Secret
from openclaw.base.tasks import TaskSet
from openclaw.client.errors import GatewayDown, RpcError, from_wire, other_scheme, refused_token
from openclaw.client.handshake import ALL_SCOPES, Credentials, Role, connect_params
from openclaw.client.tls import Trust, context, require_pinned
from openclaw.protocol.limits import MAX_PAYLOAD_BYTES

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection

    from openclaw.protocol.device_auth import DeviceKey

__all__ = ("ALL_SCOPES", "Event", "GatewayClient")

MAX_EVENTS: Final = 10_000
"""Events kept for a reader that is behind; beyond it the oldest go."""

SILENT: Final = 4000
"""Close code of a client that has heard nothing for two ticks."""

_AUTH_CODES: Final = ("AUTH_", "NOT_PAIRED", "DEVICE_", "PAIRING")
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


class Event(msgspec.Struct, frozen=True):
    """Something the gateway told. `seq` counts per connection; 0 when absent."""

    name: str
    payload: Any
    seq: int = 0


class _Call:
    """A request that waits; with `final` the `accepted` stage is no answer yet."""

    __slots__ = ("final", "future")

    def __init__(self, final: bool, future: asyncio.Future[Any]) -> None:
        self.final = final
        self.future = future


class GatewayClient:
    """One connection. Use `async with await GatewayClient.connect(…) as client`.

    Cancels: closing fails every open call with Unavailable and ends `events`.
    """

    def __init__(self, connection: ClientConnection, url: str) -> None:
        self.hello: dict[str, Any] = {}
        self.url = url
        self.missed = 0
        """Events that never came, by the gaps in `seq`."""
        self._connection = connection
        self._calls: dict[str, _Call] = {}
        self._events: BoundedQueue[Event] = BoundedQueue("client.events", MAX_EVENTS, "drop-oldest")
        self._arrived = asyncio.Event()
        self._closed: OpenClawError | None = None
        self._tasks = TaskSet("client")
        self._seq = 0

    @classmethod
    async def connect(
        cls,
        url: str,
        *,
        token: Secret | str | None = None,
        password: Secret | str | None = None,
        token_source: str = "",
        client_id: str = "cli",
        mode: str = "cli",
        version: str = "",
        scopes: tuple[str, ...] = ALL_SCOPES,
        min_protocol: int = 3,
        max_protocol: int = 4,
        timeout_s: float = 10.0,
    ) -> GatewayClient:
        """Open a connection with a shared credential, as commands do. See `open`."""
        role = Role(
            client_id=client_id,
            mode=mode,
            version=version or "dev",
            scopes=scopes,
            min_protocol=min_protocol,
            max_protocol=max_protocol,
        )
        credentials = Credentials(token=_secret(token), password=_secret(password), source=token_source)
        return await cls.open(url, role, credentials, timeout_s=timeout_s)

    @classmethod
    async def open(
        cls,
        url: str,
        role: Role,
        credentials: Credentials,
        *,
        device: DeviceKey | None = None,
        trust: Trust | None = None,
        timeout_s: float = 10.0,
    ) -> GatewayClient:
        """Open a connection and shake hands.

        Raises: GatewayDown when nothing answers there or the certificate is not the pinned one, Unauthorized naming the
        credential and its source, RpcError for any other refusal, ConfigError for a `trust` that makes no sense.
        """
        client = cls(await _dial(url, trust or Trust(), timeout_s), url)
        try:
            async with asyncio.timeout(timeout_s):
                await client._shake_hands(role, credentials, device)
        except TimeoutError as error:
            await client.close()
            raise GatewayDown(f"{url} did not finish the handshake in {timeout_s:g} s") from error
        except RpcError as error:
            await client.close()
            code = str(error.details.get("code") or error.wire_code)
            if code.startswith(_AUTH_CODES) or "unauthorized" in error.message:
                raise refused_token(url, credentials.source, error) from error
            raise
        except BaseException:
            await client.close()
            raise
        client._tasks.spawn(client._read(), "read")
        return client

    async def _shake_hands(self, role: Role, credentials: Credentials, device: DeviceKey | None) -> None:
        challenge = await self._receive()
        if challenge.get("event") != "connect.challenge":
            raise GatewayDown(f"{self.url} does not speak the Gateway protocol")
        payload = challenge.get("payload")
        nonce = str(payload.get("nonce", "")) if isinstance(payload, dict) else ""
        request_id = new_id()
        params = connect_params(role, credentials, device, nonce)
        await self._send({"type": "req", "id": request_id, "method": "connect", "params": params})
        while True:
            frame = await self._receive()
            if frame.get("type") == "res" and frame.get("id") == request_id:
                break
        if not frame.get("ok"):
            raise from_wire(frame.get("error"))
        payload = frame.get("payload")
        self.hello = payload if isinstance(payload, dict) else {}

    @property
    def protocol(self) -> int:
        """The version that was agreed on."""
        return int(self.hello.get("protocol", 0))

    @property
    def device_token(self) -> Secret | None:
        """The token that the gateway gave this device in its answer to `connect`."""
        auth = self.hello.get("auth")
        token = auth.get("deviceToken") if isinstance(auth, dict) else None
        return Secret(token) if isinstance(token, str) and token else None

    @property
    def tick_interval_s(self) -> float:
        """How often the gateway says that it is there."""
        policy = self.hello.get("policy")
        interval_ms = policy.get("tickIntervalMs") if isinstance(policy, dict) else None
        return interval_ms / 1000 if isinstance(interval_ms, int | float) and interval_ms > 0 else 30.0

    async def call(
        self, method: str, params: dict[str, Any] | None = None, timeout_s: float = 30.0, *, final: bool = False
    ) -> Any:
        """Ask and return the payload. With `final`, skip an `accepted` stage and return the last answer.

        Raises: RpcError for a refusal, Unavailable when the connection ends or nothing comes in time.
        """
        if self._closed is not None:
            raise self._closed
        request_id = new_id()
        call = _Call(final, asyncio.get_running_loop().create_future())
        self._calls[request_id] = call
        try:
            async with asyncio.timeout(timeout_s):
                await self._send({"type": "req", "id": request_id, "method": method, "params": params or {}})
                return await call.future
        except TimeoutError as error:
            raise Unavailable(f"{method} was not answered within {timeout_s:g} s") from error
        finally:
            del self._calls[request_id]
            if call.future.done() and not call.future.cancelled():
                call.future.exception()  # the connection may have failed the call while it was still being sent

    async def events(self) -> AsyncIterator[Event]:
        """Yield events as they come, from the handshake on; ends when the connection does."""
        while True:
            event = self._events.get()
            if event is not None:
                yield event
            elif self._closed is not None:
                return
            else:
                self._arrived.clear()
                await self._arrived.wait()

    @property
    def ended(self) -> OpenClawError | None:
        """Why the connection is over; None while it is up."""
        return self._closed

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close the connection and end everything that waits on it."""
        await self._connection.close(code, reason)
        await self._tasks.close()
        self._end(Unavailable("the connection was closed"))

    async def __aenter__(self) -> GatewayClient:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _send(self, frame: dict[str, Any]) -> None:
        from websockets.exceptions import ConnectionClosed

        try:
            await self._connection.send(_encode(frame).decode())
        except ConnectionClosed as error:
            raise self._gone(error.rcvd) from error

    async def _receive(self) -> dict[str, Any]:
        from websockets.exceptions import ConnectionClosed

        try:
            frame = _decode(await self._connection.recv())
        except ConnectionClosed as error:
            raise self._gone(error.rcvd) from error
        except msgspec.DecodeError as error:
            raise GatewayDown(f"{self.url} does not speak the Gateway protocol") from error
        return frame if isinstance(frame, dict) else {}

    def _gone(self, close: Any) -> OpenClawError:
        if close is None:
            return GatewayDown(f"the connection to {self.url} broke")
        details = {"closeCode": close.code, "closeReason": close.reason}
        return GatewayDown(f"{self.url} closed the connection: {close.code} {close.reason}".rstrip(), details=details)

    async def _read(self) -> None:
        """Take frames until the connection ends. Two silent ticks end it too: the way may be dead without a word."""
        try:
            while True:
                async with asyncio.timeout(self.tick_interval_s * 2 + 1):
                    frame = await self._receive()
                self._take(frame)
        except TimeoutError:
            self._end(GatewayDown(f"{self.url} has been silent for two ticks", details={"closeCode": SILENT}))
            await self._connection.close(SILENT, "tick timeout")
        except OpenClawError as error:
            self._end(error)

    def _take(self, frame: dict[str, Any]) -> None:
        if frame.get("type") == "event":
            seq = frame.get("seq")
            event = Event(str(frame.get("event")), frame.get("payload"), seq if isinstance(seq, int) else 0)
            if event.seq:
                self.missed += max(0, event.seq - self._seq - 1)
                self._seq = event.seq
            self._events.put(event)
            self._arrived.set()
            return
        call = self._calls.get(str(frame.get("id")))
        if call is None or call.future.done():
            return
        if not frame.get("ok"):
            call.future.set_exception(from_wire(frame.get("error")))
            return
        payload = frame.get("payload")
        if call.final and isinstance(payload, dict) and payload.get("status") == "accepted":
            return
        call.future.set_result(payload)

    def _end(self, error: OpenClawError) -> None:
        if self._closed is None:
            self._closed = error
        for call in self._calls.values():
            if not call.future.done():
                call.future.set_exception(error)
        self._arrived.set()


async def _dial(url: str, trust: Trust, timeout_s: float) -> ClientConnection:
    from websockets.asyncio.client import connect
    from websockets.exceptions import InvalidHandshake, InvalidURI

    secure = url.startswith("wss:")
    if trust.fingerprint and not secure:
        raise GatewayDown(f"{url} is not encrypted, but a TLS fingerprint is pinned", hint="Use a wss:// URL.")
    try:
        connection = await connect(
            url,
            compression=None,
            max_size=MAX_PAYLOAD_BYTES,
            open_timeout=timeout_s,
            proxy=None,
            ping_interval=None,
            ssl=context(trust) if secure else None,
        )
    except InvalidURI as error:
        raise GatewayDown(f"not a WebSocket URL: {url}") from error
    except InvalidHandshake as error:
        raise other_scheme(url, error) or GatewayDown(f"{url} does not speak the Gateway protocol: {error}") from error
    except (OSError, TimeoutError) as error:
        raise other_scheme(url, error) or GatewayDown(f"no gateway answers at {url}: {_reason(error)}") from error
    if trust.fingerprint:
        try:
            require_pinned(url, trust.fingerprint, connection.transport.get_extra_info("ssl_object"))
        except GatewayDown:
            await connection.close()
            raise
    return connection


def _secret(value: Secret | str | None) -> Secret | None:
    return (Secret(value) if value else None) if isinstance(value, str) else value


def _reason(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, OSError) and error.strerror:
        if error.errno and error.strerror.startswith("Connect call failed"):  # asyncio names the address again
            return os.strerror(error.errno).lower()
        return error.strerror.lower()
    return str(error) or type(error).__name__
