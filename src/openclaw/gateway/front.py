"""The doors in, wired to the rooms behind them."""

from __future__ import annotations

from openclaw import __version__
from openclaw.config.refusal import binds_loopback_only
from openclaw.config.schema import Config
from openclaw.gateway.rooms import Rooms
from openclaw.identity.authenticate import Authenticator
from openclaw.listeners.app import App, build_app
from openclaw.listeners.deps import ListenerDeps
from openclaw.models.embeddings import Embeddings
from openclaw.telemetry.metrics import METRICS


def build_front(rooms: Rooms) -> App:
    """Return the app that every socket of the gateway speaks to."""
    auth = rooms.config.gateway.auth
    return build_app(
        ListenerDeps(
            agent=rooms.study,
            counter=rooms.counter,
            hub=rooms.hub,
            authenticator=Authenticator(auth.mode, auth.token, auth.password, auth.rate_limit, rooms.clock),
            health=rooms.health,
            clock=rooms.clock,
            version=__version__,
            config=lambda: rooms.config.gateway,
            resolve_model=rooms.models.resolve,
            metrics=METRICS.render,
            tools=rooms.tool_desk,
            embedder=Embeddings(
                lambda: rooms.config.models,
                env=rooms.loaded.env.get,
                http=rooms.http,
                clock=rooms.clock,
                ledger=rooms.store,
                purse=rooms.purses,
            ),
            loopback_bind=binds_loopback_only(rooms.config.gateway),
        )
    )


def hosts_of(config: Config) -> tuple[str, ...]:
    """Return the addresses to listen on."""
    gateway = config.gateway
    if gateway.bind == "loopback":
        return ("127.0.0.1", "::1")
    if gateway.bind == "lan":
        return ("0.0.0.0", "::")  # noqa: S104  # what `lan` means; a shared secret is required for it
    return (gateway.custom_bind_host.strip("[]"),)
