"""Opens the desks at which people decide: approvals, the configuration, and what agents propose for it."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

from openclaw.gateway.archive import Archive
from openclaw.gateway.config_desk import ConfigDesk
from openclaw.gateway.config_rows import ConfigRows
from openclaw.gateway.doors import Doors
from openclaw.gateway.entrance import Entrance
from openclaw.gateway.present import Site
from openclaw.gateway.proposals import Proposals
from openclaw.policy.approval import Approval, may_review
from openclaw.policy.approvals import Approvals
from openclaw.policy.consent import Consent
from openclaw.rpc.approval_rows import SCOPES
from openclaw.rpc.hub import Hub
from openclaw.secrets.room import SecretRoom


class Desks(NamedTuple):
    """Where people decide, and where secrets are looked up."""

    approvals: Approvals
    secrets: SecretRoom
    config_desk: ConfigDesk
    proposals: Proposals


async def open_desks(site: Site, archive: Archive, doors: Doors, entrance: Entrance, secrets: SecretRoom) -> Desks:
    """Open them. Raises: Unavailable."""
    stack, present, paths, clock = site
    shelf, hub = archive.store.shelf, entrance.hub
    approvals = Approvals(shelf, clock)
    await approvals.open()
    stack.push_async_callback(approvals.close)
    doors.gate.consent = Consent(approvals, partial(_can_be_asked, hub))
    rows, stands = ConfigRows(shelf, clock), entrance.authenticator.stands
    config_desk = ConfigDesk(paths, lambda: present.loaded, hub, clock, secrets, stands, rows)
    stack.push_async_callback(config_desk.close)
    proposals = Proposals(config_desk, approvals, archive.ledger)
    stack.push_async_callback(proposals.close)
    return Desks(approvals, secrets, config_desk, proposals)


def _can_be_asked(hub: Hub, approval: Approval) -> bool:
    return hub.has_hearer(SCOPES[approval.kind], lambda peer: may_review(peer.principal, approval))
