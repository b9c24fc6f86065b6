"""How the house calls models: failover over credentials and providers, routes and tiers, money."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Protocol

from openclaw.agent.announced import Announcements
from openclaw.agent.asking import Workshop
from openclaw.agent.conversation import Recent
from openclaw.agent.prompt import PromptRoom
from openclaw.base.clock import Clock
from openclaw.base.model import Purpose
from openclaw.base.principal import Limits
from openclaw.base.run import Inbound
from openclaw.config.paths import StatePaths
from openclaw.config.schema import ModelsConfig
from openclaw.models.calling.credentials import Credentials
from openclaw.models.calling.failover import Failover
from openclaw.models.registry import ModelRegistry
from openclaw.models.routing import Facts, choose
from openclaw.models.spend.caps import Budget, budgets_of, spender_of
from openclaw.models.spend.purse import StorePurse
from openclaw.rpc.hub import Hub
from openclaw.store.api import Spender, Store
from openclaw.telemetry.redact import REDACTOR

_log = logging.getLogger("openclaw.models")


class Purses(Protocol):
    """Returns what pays for a spender's calls; None while no budget applies. `limits` are those of its roles."""

    def __call__(self, spender: Spender, limits: Limits | None = None) -> StorePurse | None: ...


def open_purses(config: Callable[[], ModelsConfig], store: Store, clock: Clock, hub: Hub) -> Purses:
    """Return the purses of the house. A notice is logged, and told to its spender's clients and to administrators."""

    def notice(spender: Spender, budget: Budget, text: str) -> None:
        scope, subject = budget.cap.scope, budget.cap.subject
        _log.warning("budget_notice", extra={"fields": {"run": spender.run_id, "scope": scope, "text": text}})
        payload = {"scope": scope, "subject": subject, "window": budget.window, "text": text}
        hub.broadcast("usage.notice", payload, owner=spender)

    def purse(spender: Spender, limits: Limits | None = None) -> StorePurse | None:
        if not budgets_of(config().budgets, limits):
            return None
        return StorePurse(store, clock, lambda: budgets_of(config().budgets, limits), spender, notice)

    return purse


def open_workshop(
    config: Callable[[], ModelsConfig],
    store: Store,
    models: ModelRegistry,
    credentials: Credentials,
    clock: Clock,
    purse: Purses,
    announcements: Announcements,
) -> tuple[Workshop, Failover]:
    """Return what runs need to call models; routes, tiers, budgets and review follow the configuration."""
    failover = Failover(models, credentials, clock)

    def route(inbound: Inbound, purpose: Purpose, tokens: Callable[[], int]) -> str | None:
        now = config()
        if not now.routes:
            return getattr(now.tiers, purpose, "") or None
        facts = Facts(
            purpose=purpose,
            agent=inbound.agent_id,
            channel=inbound.source,
            group=":group:" in inbound.session_key,
            text=inbound.message.text,
            tokens=tokens(),
        )
        return choose(now.routes, now.tiers, facts)

    shop = Workshop(
        store=store,
        models=models,
        caller=failover,
        prompts=PromptRoom(),
        clock=clock,
        route=route,
        purse=lambda inbound: purse(spender_of(inbound), inbound.principal.limits),
        recent=Recent(),
        review=lambda: config().review,
        announcements=announcements,
    )
    return shop, failover


def open_credentials(paths: StatePaths, clock: Clock) -> Credentials:
    """Return the credentials of auth-profiles.json; what is wrong with the files is in the log."""
    credentials = Credentials(paths.state_dir, clock=clock, on_secret=REDACTOR.add)
    read_credentials(credentials)
    return credentials


def read_credentials(credentials: Credentials) -> None:
    """Read the files again, and log what is wrong with them."""
    for issue in credentials.load():
        fields = {"path": issue.path, "problem": issue.message, "hint": issue.hint}
        _log.warning("credentials_issue", extra={"fields": fields})
