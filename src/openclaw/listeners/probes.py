"""Is it alive, is it ready, what does it count: the routes of load balancers and monitors."""

from __future__ import annotations

from collections.abc import Callable

from openclaw.base.errors import OpenClawError
from openclaw.identity.authenticate import Authenticator
from openclaw.listeners.http import Request
from openclaw.listeners.router import Route
from openclaw.telemetry.health import HealthBoard

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
            Route(_GET, "/health", "probes", self.live, access="public"),
            Route(_GET, "/healthz", "probes", self.live, access="public"),
            Route(_GET, "/v1/health", "probes", self.balancer, access="public"),
            Route(_GET, "/startupz", "probes", self.started, access="local"),
            Route(_GET, "/ready", "probes", self.ready, access="local"),
            Route(_GET, "/readyz", "probes", self.ready, access="local"),
            Route(_GET, "/metrics", "probes", self.metrics, access="local", scope="operator.read"),
            Route(_GET, "/api/auth/check", "control", self.auth_check),
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
                body = {
                    "ok": True,
                    "status": "ok",
                    "version": self._version,
                    "uptimeMs": health.uptime_ms(),
                    "phase": health.phase,
                    "failing": health.failing(),
                }
                await request.json(200, body)
                return
        await request.json(200, {"ok": True, "status": "live"})

    async def balancer(self, request: Request) -> None:
        """For load balancers: no detail."""
        await request.json(200, {"status": "ok"})

    async def started(self, request: Request) -> None:
        """Whether the start is over."""
        done = self._health.phase != "starting"
        await request.json(200 if done else 503, {"started": done}, () if done else _RETRY)

    async def ready(self, request: Request) -> None:
        """Whether work may be sent here, check by check."""
        health = self._health
        checks = health.results()
        failing = sorted(name for name, problem in checks.items() if problem is not None)
        body = {
            "ready": not failing,
            "failing": failing,
            "checks": {name: problem or "ok" for name, problem in checks.items()},
            "phase": health.phase,
            "uptimeMs": health.uptime_ms(),
            "eventLoop": {
                "degraded": "eventLoop" in failing,
                "delayMs": round(health.loop_lag_ms(), 1),
                "delayMaxMs": round(health.worst_loop_lag_ms(), 1),
            },
        }
        await request.json(503 if failing else 200, body, _RETRY if failing else ())

    async def metrics(self, request: Request) -> None:
        """Everything counted, in the Prometheus text format."""
        await request.text(200, self._metrics())

    async def auth_check(self, request: Request) -> None:
        """For a proxy's `auth_request`: reached only with a good credential."""
        await request.json(200, {"ok": True, "role": request.caller.role, "method": request.caller.method})
