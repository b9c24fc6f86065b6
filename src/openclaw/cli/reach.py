"""How commands reach a gateway: which one, with which credential, and one connection per command."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager
from functools import cached_property, wraps
from typing import TYPE_CHECKING, Any, TypeVar

import click

from openclaw import __version__
from openclaw.base.errors import OpenClawError
from openclaw.cli.desk import Desk, run

if TYPE_CHECKING:
    from openclaw.base.secret import Secret
    from openclaw.client.resolve import Target
    from openclaw.client.ws import GatewayClient

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])
TIMEOUT_MS = 10_000
ALIVE_TIMEOUT_S = 2.0


class Reach:
    """One gateway as one command wants it. Nothing is read or opened before it is asked for."""

    def __init__(
        self,
        desk: Desk | None = None,
        *,
        url: str = "",
        token: str = "",
        port: int | None = None,
        fingerprint: str = "",
        timeout_s: float = TIMEOUT_MS / 1000,
    ) -> None:
        self.desk = desk or Desk()
        self._port = port
        self._fingerprint = fingerprint
        self.timeout_s = timeout_s
        self._url = url
        self._token = token

    @cached_property
    def target(self) -> Target:
        """Where the gateway is and what opens it: flags, then environment, then configuration."""
        from msgspec.structs import replace

        from openclaw.client.resolve import target

        loaded, certificate = self.desk.loaded, None
        if (tls := loaded.config.gateway.tls).enabled:
            from openclaw.config.paths import tls_files

            certificate = tls_files(tls, self.desk.paths)[0]
        url, token = self._url or None, self._token or None
        found = target(loaded, loaded.env, url, token, port=self._port, certificate=certificate)
        return replace(found, tls_fingerprint=self._fingerprint) if self._fingerprint else found

    def of_service(self, port: int) -> Reach:
        """Return the way to the gateway of a service that was given a port of its own; a URL that was said counts."""
        if not port or self._url or self.desk.env.get("OPENCLAW_GATEWAY_URL"):
            return self
        return Reach(
            self.desk,
            token=self._token,
            port=port,
            fingerprint=self._fingerprint,
            timeout_s=self.timeout_s,
        )

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a command's coroutine to its end."""
        return run(work)

    @asynccontextmanager
    async def connect(self, *, scopes: Sequence[str] = ()) -> AsyncIterator[GatewayClient]:
        """Open a connection for the block, with all scopes or those alone. Raises: GatewayDown, Unauthorized."""
        from openclaw.client.handshake import ALL_SCOPES, Credentials, Role
        from openclaw.client.tls import Trust
        from openclaw.client.ws import GatewayClient

        to = self.target
        asked = tuple(scopes) or ALL_SCOPES
        client = await GatewayClient.open(
            to.url,
            Role(client_id="cli", mode="cli", version=__version__, caps=("tool-events",), scopes=asked),
            Credentials(token=to.token, password=to.password, source=to.token_source),
            trust=Trust(fingerprint=to.tls_fingerprint),
            timeout_s=self.timeout_s,
        )
        async with client:
            yield client

    def call(self, method: str, params: dict[str, Any] | None = None) -> Any:
        """Open a connection, call one method, close it, and return the answer."""

        async def once() -> Any:
            async with self.connect() as line:
                return await line.call(method, params, self.timeout_s)

        return self.run(once())

    def stream_chat(self, question: str) -> Iterator[str]:
        """Yield the pieces of an answer from the gateway's OpenAI-compatible API, outside any kept session."""
        from openclaw.client.http import stream_chat

        to = self.target
        return stream_chat(
            to.http_url,
            to.bearer,
            [{"role": "user", "content": question}],
            token_source=to.token_source,
            fingerprint=to.tls_fingerprint,
        )

    def get(self, path: str, credential: Secret | None = None, *, timeout_s: float | None = None) -> Any:
        """GET a JSON document of the gateway. Raises: GatewayDown, and as client.http does."""
        from openclaw.client.http import get_json

        to = self.target
        return get_json(
            f"{to.http_url}{path}",
            credential,
            timeout_s=timeout_s or self.timeout_s,
            token_source=to.token_source,
            fingerprint=to.tls_fingerprint,
        )

    def health(self) -> dict[str, Any]:
        """Return what `/health` answers to this credential. Raises: GatewayDown, and as client.http does."""
        body = self.get("/health", self.target.bearer, timeout_s=ALIVE_TIMEOUT_S)
        return body if isinstance(body, dict) else {}

    def is_alive(self) -> bool:
        """Say whether a gateway runs there that takes our credential."""
        try:
            return "version" in self.health()
        except OpenClawError:
            return False


def gateway_options(command: F) -> F:
    """Add `--url`, `--token` and `--timeout` to a command and give it the `reach` that they describe."""

    @click.option("--url", default="", help="Gateway to talk to, e.g. ws://host:18789; default: the configured one.")
    @click.option("--token", default="", help="Token of that gateway; default: the environment's or configured one.")
    @click.option(
        "--timeout", type=click.IntRange(1), default=TIMEOUT_MS, show_default=True, help="Milliseconds to wait for it."
    )
    @wraps(command)
    def wrapper(*args: Any, url: str, token: str, timeout: int, **kwargs: Any) -> Any:
        try:
            return command(*args, reach=Reach(url=url, token=token, timeout_s=timeout / 1000), **kwargs)
        except OpenClawError as error:
            if not error.hint:  # refusals of a request come without one, as the protocol has it
                error.hint = f"`{click.get_current_context().command_path} --help` says what it takes."
            raise

    return wrapper  # type: ignore[return-value]
