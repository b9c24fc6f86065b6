"""Is it alive, is it ready, what does it count: the routes of load balancers and monitors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

from openclaw.base.errors import OpenClawError
from openclaw.identity.authenticate import Authenticator
from openclaw.listeners.http import Request
from openclaw.listeners.operation import TEXT_MEDIA, Operation
from openclaw.listeners.router import Route
from openclaw.telemetry.health import HealthBoard


class Live(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """The process answers. With a good credential it also says what it is."""

    ok: bool
    status: Literal["live", "ok"]
    version: str = ""
    uptime_ms: int | UnsetType = UNSET
    phase: str = ""
    failing: list[str] | UnsetType = UNSET
    restart_required: tuple[str, ...] = ()
    """Settings that take effect at the next start."""
    reload_problem: str = ""
    """Why the latest change of the configuration was not taken up."""


class Balanced(msgspec.Struct, frozen=True):
    """For load balancers."""

    status: Literal["ok"] = "ok"


class Started(msgspec.Struct, frozen=True):
    """Whether the start is over."""

    started: bool


class EventLoop(msgspec.Struct, frozen=True, rename="camel"):
    """How late the event loop is, in milliseconds: now, by the last half minute's 99th percentile, and at worst."""

    degraded: bool
    delay_ms: float
    delay_p99_ms: float
    delay_max_ms: float


class Ready(msgspec.Struct, frozen=True, rename="camel"):
    """Whether work may be sent here; `checks` has "ok" or the problem, by name."""

    ready: bool
    failing: list[str]
    checks: dict[str, str]
    phase: str
    uptime_ms: int
    event_loop: EventLoop


class Checked(msgspec.Struct, frozen=True):
    """The credential is good."""

    ok: bool
    role: str
    method: str


_LIVE = Operation("Says that the process answers; with a good credential, also what it is.", Live)
_BALANCER = Operation("Says that the process answers, for load balancers.", Balanced)
_STARTED = Operation("Says whether the start is over.", Started, statuses=(200, 503))
_READY = Operation("Says whether work may be sent here, check by check.", Ready, statuses=(200, 503))
_METRICS = Operation("Gives everything counted, in the Prometheus text format.", media=TEXT_MEDIA)
_CHECKED = Operation("Says that the credential is good, for a proxy's `auth_request`.", Checked)
_GET = ("GET", "HEAD")
_RETRY = ((b"retry-after", b"1"),)


class Probes:
    """Handlers of the probe routes. Without a credential they say no more than a word."""

    def __init__(
        self, health: HealthBoard, authenticator: Authenticator, metrics: Callable[[], str], version: str
    ) -> None:
        self._health = health
        self._authenticator = authenticator
        self._metrics = metrics
        self._version = version

    def routes(self) -> tuple[Route, ...]:
        """Return the probe routes."""
        return (
            Route(_GET, "/health", "probes", self.live, access="public", doc=_LIVE),
            Route(_GET, "/healthz", "probes", self.live, access="public", doc=_LIVE),
            Route(_GET, "/v1/health", "probes", self.balancer, access="public", doc=_BALANCER),
            Route(_GET, "/startupz", "probes", self.started, access="local", doc=_STARTED),
            Route(_GET, "/ready", "probes", self.ready, access="local", doc=_READY),
            Route(_GET, "/readyz", "probes", self.ready, access="local", doc=_READY),
            Route(_GET, "/metrics", "probes", self.metrics, access="local", scope="operator.read", doc=_METRICS),
            Route(_GET, "/api/auth/check", "control", self.auth_check, doc=_CHECKED),
        )

    async def live(self, request: Request) -> None:
        """The process answers; with a good credential, also what it is."""
        if b"authorization" in request.headers:
            try:
                self._authenticator.http(request.headers, request.source)
            except OpenClawError:
                pass  # a probe with a wrong token still asks only whether we live
            else:
                health = self._health
                body = Live(
                    True,
                    "ok",
                    self._version,
                    health.uptime_ms(),
                    health.phase,
                    health.failing(),
                    health.configuration.waiting,
                    health.configuration.problem,
                )
                await request.json(200, body)
                return
        await request.json(200, Live(True, "live"))

    async def balancer(self, request: Request) -> None:
        """For load balancers: no detail."""
        await request.json(200, Balanced())

    async def started(self, request: Request) -> None:
        """Whether the start is over."""
        done = self._health.phase != "starting"
        await request.json(200 if done else 503, Started(done), () if done else _RETRY)

    async def ready(self, request: Request) -> None:
        """Whether work may be sent here, check by check."""
        health = self._health
        await health.look()
        checks = health.results()
        failing = sorted(name for name, problem in checks.items() if problem is not None)
        lags = (health.loop_lag_ms(), health.p99_loop_lag_ms(), health.worst_loop_lag_ms())
        lag = EventLoop("eventLoop" in failing, *(round(one, 1) for one in lags))
        told = {name: problem or "ok" for name, problem in checks.items()}
        body = Ready(not failing, failing, told, health.phase, health.uptime_ms(), lag)
        await request.json(503 if failing else 200, body, _RETRY if failing else ())

    async def metrics(self, request: Request) -> None:
        """Everything counted, in the Prometheus text format."""
        await request.text(200, self._metrics())

    async def auth_check(self, request: Request) -> None:
        """For a proxy's `auth_request`: reached only with a good credential."""
        await request.json(200, Checked(True, request.caller.role, request.caller.method))
