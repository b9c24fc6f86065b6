"""A line to a gateway that comes back by itself.

1. After a loss the next try waits: from FIRST_S, doubling to LONGEST_S, each cut by a random part so that a thousand
   clients of one restart do not come at once. A gateway that says when it will be back is believed.
2. A refusal that time does not mend (a wrong credential, an unknown version) ends the link; `ended` says why. A device
   that waits for approval tries again every PAIRING_S.
3. A credential that is given comes first; without one, the token that the gateway gave this device. Where the gateway
   says that the device's token would do, it is tried once, but only over TLS or on this machine.
4. Calls wait for the connection within their time. One that was sent and lost its answer is repeated only when its
   parameters have an `idempotencyKey`: the gateway then answers like the first time.
"""

from __future__ import annotations

import asyncio
import ipaddress
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from types import TracebackType
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from openclaw.base.bounded import BoundedQueue
from openclaw.base.clock import SYSTEM_CLOCK, Clock
from openclaw.base.errors import ConfigError, OpenClawError, Unauthorized, Unavailable
from openclaw.base.tasks import TaskSet
from openclaw.client.device import DeviceStore
from openclaw.client.errors import GatewayDown
from openclaw.client.handshake import Credentials, Role
from openclaw.client.tls import Trust
from openclaw.client.ws import MAX_EVENTS, Event, GatewayClient

FIRST_S: Final = 1.0
LONGEST_S: Final = 30.0
PAIRING_S: Final = 5.0


class Up(msgspec.Struct, frozen=True):
    """The link is up. `hello` is the gateway's answer to `connect`; what was missed meanwhile must be asked for."""

    hello: dict[str, Any]


class Down(msgspec.Struct, frozen=True):
    """The link is down; the next try is `retry_s` seconds away."""

    why: OpenClawError
    retry_s: float


Told = Event | Up | Down


class _Listener:
    """One reader of what the link tells."""

    __slots__ = ("arrived", "queue")

    def __init__(self) -> None:
        self.queue: BoundedQueue[Told] = BoundedQueue("client.link", MAX_EVENTS, "drop-oldest")
        self.arrived = asyncio.Event()

    def put(self, told: Told) -> None:
        self.queue.put(told)
        self.arrived.set()


class GatewayLink:
    """Use `async with GatewayLink(url, role, credentials) as link`. Entering does not wait for the gateway."""

    def __init__(
        self,
        url: str,
        role: Role,
        credentials: Credentials,
        *,
        device: DeviceStore | None = None,
        trust: Trust | None = None,
        subscribe: tuple[str, ...] = (),
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self.url = url
        self._role = role
        self._given = credentials
        self._device = device
        self._trust = trust
        self._subscribe = subscribe
        self._clock = clock
        self._client: GatewayClient | None = None
        self._changed = asyncio.Event()
        self._listeners: list[_Listener] = []
        self._tasks = TaskSet("client.link")
        self._tries = 0
        self._back_in_s = 0.0
        self.ended: OpenClawError | None = None
        """Why the link was given up, or None."""

    async def __aenter__(self) -> GatewayLink:
        self._tasks.spawn(self._keep_up(), "keep-up")
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._tasks.close()
        if self._client is not None:
            await self._client.close()
        self._give_up(Unavailable("the link was closed"))

    async def ready(self) -> GatewayClient:
        """Wait until the link is up and return its connection. Raises: what ended the link."""
        while True:
            if self.ended is not None:
                raise self.ended
            if self._client is not None and self._client.ended is None:
                return self._client
            self._changed.clear()
            await self._changed.wait()

    async def call(
        self, method: str, params: dict[str, Any] | None = None, timeout_s: float = 30.0, *, final: bool = False
    ) -> Any:
        """Ask and return the payload; see rule 4 and GatewayClient.call.

        Raises: RpcError for a refusal, Unavailable when no answer comes in time or the connection is lost on the way.
        """
        repeatable = "idempotencyKey" in (params or {})
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    client = await self.ready()
                    try:
                        return await client.call(method, params, timeout_s, final=final)
                    except GatewayDown:
                        if not repeatable:
                            raise
                        await self._lost(client)
        except TimeoutError as error:
            raise Unavailable(f"{method} was not answered within {timeout_s:g} s") from error

    @asynccontextmanager
    async def listen(self) -> AsyncIterator[AsyncIterator[Told]]:
        """Tell everything from now on, to this block alone. A reader that is far behind loses the oldest."""
        listener = _Listener()
        self._listeners.append(listener)
        if self._client is not None and self._client.ended is None:
            listener.put(Up(self._client.hello))
        try:
            yield self._told(listener)
        finally:
            self._listeners.remove(listener)

    async def _told(self, listener: _Listener) -> AsyncIterator[Told]:
        while True:
            told = listener.queue.get()
            if told is not None:
                yield told
            elif self.ended is not None:
                return
            else:
                listener.arrived.clear()
                await listener.arrived.wait()

    async def _lost(self, client: GatewayClient) -> None:
        """Wait until a connection is no longer the current one."""
        while self._client is client and self.ended is None:
            self._changed.clear()
            await self._changed.wait()

    async def _keep_up(self) -> None:
        while self.ended is None:
            why = await self._once()
            wait_s = self._wait_s(why)
            if wait_s is None:
                self._give_up(why)
                return
            self._tell(Down(why, wait_s))
            await self._clock.sleep(wait_s)

    async def _once(self) -> OpenClawError:
        """Open a connection and follow it to its end; return why there is none any more."""
        try:
            client = await self._open()
        except OpenClawError as error:
            return error
        try:
            for method in self._subscribe:
                await client.call(method)
        except OpenClawError as error:
            await client.close()
            return error
        return await self._follow(client)

    async def _follow(self, client: GatewayClient) -> OpenClawError:
        """Pass on what a connection tells until it ends; return why it did."""
        self._tries = 0
        self._client = client
        self._tell(Up(client.hello))
        self._changed.set()
        async for event in client.events():
            if event.name == "shutdown" and isinstance(event.payload, dict):
                expected_ms = event.payload.get("restartExpectedMs")
                self._back_in_s = expected_ms / 1000 if isinstance(expected_ms, int | float) else 0.0
            self._tell(event)
        self._client = None
        self._changed.set()
        why = client.ended or GatewayDown(f"the connection to {self.url} broke")
        await client.close()
        return why

    async def _open(self) -> GatewayClient:
        credentials = self._credentials()
        try:
            client = await self._dial(credentials)
        except Unauthorized as error:
            spare = self._spare(credentials, error)
            if spare is None:
                raise
            client = await self._dial(spare)
        if self._device is not None and client.device_token is not None:
            self._device.keep_token(self.url, self._role.role, client.device_token)
        return client

    async def _dial(self, credentials: Credentials) -> GatewayClient:
        key = self._device.key() if self._device is not None else None
        try:
            return await GatewayClient.open(self.url, self._role, credentials, device=key, trust=self._trust)
        except Unauthorized as error:
            if self._device is not None and error.details.get("code") == "AUTH_DEVICE_TOKEN_MISMATCH":
                self._device.keep_token(self.url, self._role.role, None)
            raise

    def _credentials(self) -> Credentials:
        given = self._given
        if self._device is None or given.wire():
            return given
        own = self._device.token(self.url, self._role.role)
        return Credentials(device_token=own, source="the device's own token") if own else given

    def _spare(self, used: Credentials, error: Unauthorized) -> Credentials | None:
        """Return the device's own token, when the gateway says that it would do (rule 3)."""
        if self._device is None or not error.details.get("canRetryWithDeviceToken") or used.device_token:
            return None
        if not (self.url.startswith("wss:") or _is_loopback(self.url)):
            return None
        own = self._device.token(self.url, self._role.role)
        return Credentials(device_token=own, source="the device's own token") if own else None

    def _wait_s(self, error: OpenClawError) -> float | None:
        """Return how long to wait before the next try, or None when no try would help."""
        if isinstance(error, Unauthorized):
            code = error.details.get("code")
            if code == "PAIRING_REQUIRED":
                return PAIRING_S
            if code != "AUTH_RATE_LIMITED":
                return None
        elif isinstance(error, ConfigError) or error.details.get("code") == "PROTOCOL_MISMATCH":
            return None
        elif 4001 <= int(error.details.get("closeCode", 0)) < 4100:
            return None  # the gateway took back what let us in
        wait_s = min(FIRST_S * 2.0**self._tries, LONGEST_S) * random.uniform(0.5, 1.0)  # noqa: S311  # no secret
        self._tries = min(self._tries + 1, 16)
        announced_s, self._back_in_s = self._back_in_s, 0.0
        return max(wait_s, announced_s, error.retry_after_s or 0.0)

    def _give_up(self, why: OpenClawError) -> None:
        if self.ended is None:
            self.ended = why
        self._changed.set()
        for listener in self._listeners:
            listener.arrived.set()

    def _tell(self, told: Told) -> None:
        for listener in self._listeners:
            listener.put(told)


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"
