"""`/hooks/wake`, `/hooks/agent` and the operator's own mappings.

1. A sender proves itself by the hooks' own token in a header, or, where a mapping says so, by signing the raw body.
   The gateway's token is no hook token, and nothing in the URL is ever a credential.
2. Only a wrong credential counts towards the lockout, per client; it never keeps out the right one of a local program.
3. A repeat (same idempotency key, or same signed delivery) is answered like the first and runs nothing again.
4. What the sender wrote reaches the model marked as data, unless a mapping says otherwise.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal, Protocol, TypeVar

import msgspec

from openclaw.agent.api import AgentService
from openclaw.base.clock import Clock
from openclaw.base.errors import InvalidRequest, NotFound, NotSupported, OpenClawError, TooLarge
from openclaw.base.ids import AgentId, RunId, SessionKey, new_id
from openclaw.base.message import user
from openclaw.base.principal import Principal
from openclaw.base.run import Inbound
from openclaw.base.thinking import thinking_level
from openclaw.config.schema import HooksConfig, RateLimitConfig
from openclaw.identity.authenticate import Authenticator
from openclaw.identity.rate_limit import SignInLimiter
from openclaw.listeners.hooks.calls import (
    AgentBody,
    Call,
    Note,
    Task,
    WakeBody,
    agent_call,
    find_mapping,
    mapped_call,
    wake_call,
)
from openclaw.listeners.hooks.signature import BadSignature, verify
from openclaw.listeners.hooks.template import Delivery
from openclaw.listeners.http import Request
from openclaw.listeners.operation import Operation
from openclaw.listeners.router import Route
from openclaw.protocol.wire_errors import to_http
from openclaw.telemetry.metrics import METRICS

MAX_BODY_BYTES: Final = 256 * 1024
MAX_KEY_CHARS: Final = 4096
QUERY_CREDENTIALS: Final = frozenset(("token", "access_token", "key", "secret"))
HOOK_PRINCIPAL: Final = Principal(method="hook", scopes=frozenset(("operator.write",)))
LIMITS: Final = RateLimitConfig(max_attempts=20, window_ms=60_000, lockout_ms=60_000)

_log = logging.getLogger("openclaw.hooks")
_hooks = METRICS.counter("openclaw_hooks", "Webhooks by what they asked for and outcome.", ("action", "outcome"))
T = TypeVar("T")
_wake_decoder = msgspec.json.Decoder(WakeBody)
_agent_decoder = msgspec.json.Decoder(AgentBody)
_any_decoder: Final[msgspec.json.Decoder[Any]] = msgspec.json.Decoder()


class WakePort(Protocol):
    """Takes notes for an agent (automation)."""

    async def wake(self, text: str, *, now: bool, once: str = "") -> Literal["queued", "coalesced"]:
        """Keep a note, durably; `now` also lets the agent look at it. A repeated `once` changes nothing."""
        ...


class Accepted(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """The answer: `runId` of a task, or `mode` and `eventOutcome` of a note."""

    ok: bool
    run_id: str = ""
    mode: str = ""
    event_outcome: str = ""


class Refused(msgspec.Struct, frozen=True):
    """A refusal of what a webhook asked for; one of its credential is plain text."""

    error: str
    ok: Literal[False] = False


_ANSWERED: Final = "`Authorization: Bearer <hooks.token>` or `X-OpenClaw-Token`; off unless `hooks.enabled`."
_ERRORS: Final = (401, 404, 429)
_WAKE = Operation(f"Leaves the agent a note. {_ANSWERED}", Accepted, request=WakeBody, errors=_ERRORS, refusal=Refused)
_AGENT = Operation(
    f"Gives an agent a task; the answer does not wait for it. {_ANSWERED}",
    Accepted,
    request=AgentBody,
    errors=(*_ERRORS, 503),
    refusal=Refused,
)
_MAPPED = Operation(
    f"Takes any JSON and does what the first matching entry of `hooks.mappings` says. {_ANSWERED} A mapping with a"
    " `signature` takes deliveries signed by GitHub, Stripe, Slack or by Standard Webhooks instead.",
    Accepted,
    errors=(*_ERRORS, 503),
    refusal=Refused,
)


class _Denied(Exception):
    """No good credential. `wait_s` is set when there were too many bad ones."""

    def __init__(self, wait_s: float | None = None) -> None:
        super().__init__("denied")
        self.wait_s = wait_s


class _InQuery(Exception):
    """A credential stands in the URL, where logs and proxies keep it."""


@dataclass(frozen=True, slots=True)
class HookDeps:
    """What the hooks need: the study, who takes notes, and their configuration of this moment."""

    agent: AgentService
    wake: WakePort | None
    clock: Clock
    config: Callable[[], HooksConfig]
    path: str = "/hooks"


class HooksApi:
    """The handlers of webhooks."""

    def __init__(self, deps: HookDeps, authenticator: Authenticator) -> None:
        """Hooks have credentials of their own; `authenticator` notes who stays out."""
        self._deps = deps
        self._authenticator = authenticator
        self._limiter = SignInLimiter(lambda: LIMITS, deps.clock)

    def routes(self) -> tuple[Route, ...]:
        """Return the routes; they check the hooks' own credentials."""
        root = self._deps.path

        def route(path: str, handler: Any, doc: Operation) -> Route:
            return Route(("POST",), f"{root}{path}", "hooks", handler, "public", max_body=MAX_BODY_BYTES, doc=doc)

        return (
            route("/wake", self.wake, _WAKE),
            route("/agent", self.run, _AGENT),
            route("/{name}", self.mapped, _MAPPED),
            route("/{name}/{more}", self.mapped, _MAPPED),
        )

    async def wake(self, request: Request) -> None:
        """Take a note."""
        await self._serve(request, "wake", lambda body, config: wake_call(_decoded(_wake_decoder, body)))

    async def run(self, request: Request) -> None:
        """Start a task."""
        given = request.header(b"idempotency-key") or request.header(b"x-openclaw-idempotency-key")
        await self._serve(
            request, "agent", lambda body, config: agent_call(_decoded(_agent_decoder, body), config, given[:512])
        )

    async def mapped(self, request: Request) -> None:
        """Do what the first mapping that matches says."""
        path = "/".join(request.params.values())
        config = self._deps.config()
        signed = any(mapping.signature and mapping.match.path.strip("/") == path for mapping in config.mappings)

        def call(body: bytes, config: HooksConfig) -> Call:
            payload = _decoded(_any_decoder, body)
            mapping = find_mapping(config, path, payload)
            if mapping is None:
                raise NotFound("Not Found")
            once = ""
            if mapping.signature is not None:
                once = self._verified(request, mapping.signature, body)
            elif signed:
                raise _Denied  # another mapping of this path is signed: nobody comes in here without proof
            delivery = Delivery(
                path,
                payload,
                {name.decode("latin-1"): value.decode("latin-1") for name, value in request.headers.items()},
                {name: values[0] for name, values in request.query.items()},
                self._deps.clock.now_ms(),
            )
            given = request.header(b"idempotency-key")[:512]
            return mapped_call(mapping, config, _without_credentials(delivery), once or given)

        await self._serve(request, "mapping", call, by_token=not signed)

    def _verified(self, request: Request, signature: Any, body: bytes) -> str:
        now_s = self._deps.clock.now_ms() / 1000
        locked_s = self._limiter.retry_after_s(request.source.key)
        if locked_s is not None and not request.source.local:
            raise _Denied(locked_s)
        try:
            return verify(signature.scheme, signature.secret, request.headers, body, now_s, signature.tolerance_seconds)
        except BadSignature as error:
            _log.warning("hook_signature_refused", extra={"fields": {"why": str(error)}})
            self._limiter.failed(request.source.key)
            raise _Denied(locked_s) from None

    async def _serve(
        self,
        request: Request,
        action: str,
        read: Callable[[bytes, HooksConfig], Call],
        *,
        by_token: bool = True,
    ) -> None:
        config = self._deps.config()
        try:
            answer = await self._answer(request, config, read, by_token)
        except _Denied as denied:
            await self._deny(request, action, denied)
        except _InQuery:
            _hooks.inc(action, "query")
            await request.text(400, _NOT_IN_QUERY)
        except NotFound:
            _hooks.inc(action, "unknown")
            await request.text(404, "Not Found")
        except OpenClawError as error:
            _hooks.inc(action, "refused")
            status, _, headers = to_http(error)
            await request.json(status, Refused(error.message), tuple(headers))
        else:
            _hooks.inc(action, "ok")
            await request.json(200, answer)

    async def _answer(
        self, request: Request, config: HooksConfig, read: Callable[[bytes, HooksConfig], Call], by_token: bool
    ) -> Accepted:
        if not config.enabled:
            raise NotFound("Not Found")
        if not QUERY_CREDENTIALS.isdisjoint(request.query):
            raise _InQuery
        if by_token:
            self._check_token(request, config)
        call = read(await _body(request), config)
        return await (self._note(call) if isinstance(call, Note) else self._task(call))

    def _check_token(self, request: Request, config: HooksConfig) -> None:
        scheme, _, given = request.header(b"authorization").partition(" ")
        candidate = given.strip() if scheme.lower() == "bearer" else request.header(b"x-openclaw-token")
        locked_s = self._limiter.retry_after_s(request.source.key)
        if locked_s is not None and not request.source.local:
            raise _Denied(locked_s)
        good = config.token is not None and 0 < len(candidate) <= MAX_KEY_CHARS and config.token.matches(candidate)
        if good:
            if locked_s is None:
                self._limiter.succeeded(request.source.key)
            return
        self._limiter.failed(request.source.key)
        raise _Denied(locked_s)

    async def _deny(self, request: Request, action: str, denied: _Denied) -> None:
        _hooks.inc(action, "denied" if denied.wait_s is None else "locked_out")
        reason = "mismatch" if denied.wait_s is None else "rate_limited"
        self._authenticator.refused("hook", reason, request.source)
        if denied.wait_s is None:
            await request.text(401, "Unauthorized")
        else:
            await request.text(429, "Too Many Requests", ((b"retry-after", b"%d" % max(1, round(denied.wait_s))),))

    async def _note(self, note: Note) -> Accepted:
        if self._deps.wake is None:
            raise NotSupported("this gateway takes no notes: nothing of it wakes agents")
        outcome = await self._deps.wake.wake(note.text, now=note.now, once=_short(note.once) if note.once else "")
        return Accepted(True, mode="now" if note.now else "next-heartbeat", event_outcome=outcome)

    async def _task(self, task: Task) -> Accepted:
        service = self._deps.agent
        try:
            agent_id = service.resolve_agent(task.agent_id)
        except NotFound:
            raise InvalidRequest(f'unknown agentId "{task.agent_id[:64]}"') from None
        run_id = RunId(f"hook-{_short(task.name, task.once) if task.once else new_id()}")
        inbound = Inbound(
            run_id=run_id,
            session_key=self._session(task.session_key or f"hook:{run_id}", agent_id),
            agent_id=agent_id,
            message=user(task.message, "webhook"),
            principal=HOOK_PRINCIPAL,
            source="http",
            stream=False,
            model=task.model or None,
            thinking=thinking_level(task.thinking),
            timeout_s=task.timeout_s,
        )
        run = await service.submit(inbound)
        return Accepted(True, run_id=run.id)

    def _session(self, raw: str, agent_id: AgentId) -> SessionKey:
        key = self._deps.agent.resolve_key(HOOK_PRINCIPAL, raw, agent_id)
        if not key.startswith(f"agent:{agent_id}:"):
            raise InvalidRequest(f'sessionKey does not belong to agent "{agent_id}"')
        return key


_NOT_IN_QUERY: Final = (
    "Hook token must be provided via Authorization: Bearer <token> or X-OpenClaw-Token header"
    " (query parameters are not allowed)."
)


async def _body(request: Request) -> bytes:
    try:
        return await request.body()
    except TooLarge:
        raise TooLarge("payload too large") from None


def _decoded(decoder: msgspec.json.Decoder[T], body: bytes) -> T:
    try:
        return decoder.decode(body or b"{}")
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise InvalidRequest(str(error)) from None
    except RecursionError:
        raise InvalidRequest("nested too deeply") from None


_SECRET_HEADERS: Final = ("authorization", "x-openclaw-token", "cookie", "proxy-authorization")


def _without_credentials(delivery: Delivery) -> Delivery:
    headers = {name: value for name, value in delivery.headers.items() if name not in _SECRET_HEADERS}
    return msgspec.structs.replace(delivery, headers=headers)


def _short(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode("utf-8", "replace")).hexdigest()[:32]
