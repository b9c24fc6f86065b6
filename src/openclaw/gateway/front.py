"""The doors in, wired to the rooms behind them."""

from __future__ import annotations

from pathlib import Path

import msgspec

from openclaw import __version__
from openclaw.base.secret import Secret
from openclaw.config.refusal import binds_loopback_only
from openclaw.config.schema import Config, GatewayConfig, HooksConfig
from openclaw.gateway.rooms import Rooms
from openclaw.gateway.setup_desk import SetupDesk
from openclaw.listeners.app import App, build_app
from openclaw.listeners.control_ui.pages import UiDeps
from openclaw.listeners.deps import ListenerDeps
from openclaw.listeners.hooks.api import HookDeps
from openclaw.listeners.origin import host_name, public_authority
from openclaw.listeners.setup.pages import SetupDeps
from openclaw.models.embeddings import Embeddings
from openclaw.processes.environment import CurrentEnvironment
from openclaw.telemetry.metrics import METRICS
from openclaw.telemetry.redact import REDACTOR


def build_front(rooms: Rooms) -> App:
    """Return the app that every socket of the gateway speaks to."""
    hooks = HookDeps(rooms.study, rooms.automation, rooms.clock, lambda: _hooks(rooms.config), rooms.config.hooks.path)
    return build_app(
        ListenerDeps(
            agent=rooms.study,
            counter=rooms.counter,
            hub=rooms.hub,
            authenticator=rooms.authenticator,
            devices=rooms.devices,
            health=rooms.health,
            clock=rooms.clock,
            version=__version__,
            config=lambda: rooms.config.gateway,
            resolve_model=rooms.models.resolve,
            metrics=METRICS.render,
            tools=rooms.tool_desk,
            embedder=Embeddings(
                lambda: rooms.config.models,
                env=CurrentEnvironment(lambda: rooms.loaded.env).get,
                http=rooms.http,
                clock=rooms.clock,
                ledger=rooms.store,
                purse=rooms.purses,
            ),
            hooks=hooks,
            setup=SetupDeps(
                SetupDesk(rooms), rooms.clock, lambda: rooms.config.gateway, lambda: _setup_password(rooms)
            ),
            ui=_ui(rooms),
            loopback_bind=binds_loopback_only(rooms.config.gateway),
        )
    )


def _ui(rooms: Rooms) -> UiDeps | None:
    settings = rooms.config.gateway.control_ui
    if not settings.enabled:
        return None
    root = rooms.paths.config_path.parent / Path(settings.root).expanduser() if settings.root else None
    return UiDeps(rooms.study, lambda: rooms.config.identity, __version__, root, settings.base_path)


def _setup_password(rooms: Rooms) -> Secret | None:
    """Return what opens the set-up, None while it is closed. It never reaches a log."""
    text = rooms.loaded.env.get("SETUP_PASSWORD")
    if not text:
        return None
    password = Secret(text)
    REDACTOR.add(password)
    return password


def _hooks(config: Config) -> HooksConfig:
    """Return the hooks of the moment; one that turned out to have the gateway's own token opens nothing."""
    hooks, auth = config.hooks, config.gateway.auth
    if hooks.token and hooks.token in (auth.token, auth.password):
        return msgspec.structs.replace(hooks, token=None)
    return hooks


def hosts_of(config: Config) -> tuple[str, ...]:
    """Return the addresses to listen on."""
    gateway = config.gateway
    if gateway.bind == "loopback":
        return ("127.0.0.1", "::1")
    if gateway.bind == "lan":
        return ("0.0.0.0", "::")  # noqa: S104  # what `lan` means; a shared secret is required for it
    return (gateway.custom_bind_host.strip("[]"),)


def tls_names(gateway: GatewayConfig) -> tuple[str, ...]:
    """Return the names that a self-signed certificate is made for; none when none is to be made."""
    if not gateway.tls.auto_generate:
        return ()
    public = host_name(public_authority(gateway.public_base_url))
    bound = gateway.custom_bind_host.strip("[]") if gateway.bind == "custom" else ""
    names = dict.fromkeys(("localhost", "127.0.0.1", "::1", public, bound))
    return tuple(name for name in names if name and name.isascii())
