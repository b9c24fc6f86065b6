"""Opens the way in: who may come, what is remembered of them, and what they are told."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

from openclaw import __version__
from openclaw.gateway.archive import Archive
from openclaw.gateway.doors import Doors
from openclaw.gateway.federations import Federations
from openclaw.gateway.grace import Grace
from openclaw.gateway.present import Site
from openclaw.identity.authenticate import Authenticator
from openclaw.identity.devices.book import Devices
from openclaw.identity.grace import grace_file
from openclaw.identity.rate_limit import Lockouts
from openclaw.net.http import HttpClient
from openclaw.policy.sign_ins import SignIns
from openclaw.rpc.device_events import DeviceEvents
from openclaw.rpc.hub import Hub
from openclaw.rpc.nodes.desk import Nodes


class Entrance(NamedTuple):
    """The hub of those who are here, and what lets them in."""

    hub: Hub
    devices: Devices
    federations: Federations
    authenticator: Authenticator
    grace: Grace
    nodes: Nodes


async def open_entrance(site: Site, archive: Archive, doors: Doors, http: HttpClient) -> Entrance:
    """Open it. Raises: Unavailable."""
    stack, present, paths, clock = site
    shelf, settings = archive.store.shelf, present.config.gateway
    hub = Hub(clock, __version__)
    devices = await Devices.open(shelf, clock, paths.identity)
    stack.push_async_callback(devices.close)
    federations = Federations(http, clock)
    authenticator = Authenticator(
        settings.auth.mode,
        settings.auth.token,
        settings.auth.password,
        lambda: present.config.gateway.auth.rate_limit,
        clock,
        devices,
        federation=federations.federation(settings),
    )
    devices.observer = DeviceEvents(hub, authenticator.recheck)
    sign_ins = authenticator.sign_ins = SignIns(archive.ledger, clock)
    stack.push_async_callback(sign_ins.close)
    lockouts = Lockouts(shelf, clock)
    stack.push_async_callback(lockouts.close)
    await lockouts.follow(authenticator.limiter)
    grace = Grace(grace_file(paths.state_dir), authenticator, hub, clock)
    stack.push_async_callback(grace.close)
    nodes = await Nodes.open(hub, doors.gate, clock, shelf, partial(_paired_at_ms, devices))
    stack.push_async_callback(nodes.close)
    return Entrance(hub, devices, federations, authenticator, grace, nodes)


def _paired_at_ms(devices: Devices, device_id: str) -> int:
    device = devices.get(device_id)
    return device.created_at_ms if device is not None else 0
