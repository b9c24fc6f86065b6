"""Opens the gates out: the one HTTP client, the one spawner, and the models that are reached by them."""

from __future__ import annotations

from typing import NamedTuple

from openclaw import __version__
from openclaw.gateway.calls import open_credentials
from openclaw.gateway.doors import Doors
from openclaw.gateway.present import Site
from openclaw.models.calling.credentials import Credentials
from openclaw.models.embedded.factory import embedded_factory
from openclaw.models.refresh import FILE_NAME as CATALOG_FILE
from openclaw.models.registry import ModelRegistry
from openclaw.net.http import HttpClient
from openclaw.net.onward import onward
from openclaw.net.pinned import Carrier
from openclaw.processes.environment import CurrentEnvironment
from openclaw.processes.spawner import Spawner


class Gates(NamedTuple):
    """What leaves the house leaves by these. `carrier` is the operator's proxy, which `http` knows of already."""

    http: HttpClient
    carrier: Carrier | None
    spawner: Spawner
    credentials: Credentials
    models: ModelRegistry


def open_gates(site: Site, doors: Doors) -> Gates:
    """Open them."""
    stack, present, paths, clock = site
    carrier = onward(present.loaded)
    http = HttpClient(door=doors.egress.house, user_agent=f"openclaw/{__version__}", carrier=carrier)
    stack.push_async_callback(http.close)
    spawner = Spawner(CurrentEnvironment(lambda: present.loaded.env))
    stack.push_async_callback(spawner.close)
    credentials = open_credentials(paths, clock)
    models = ModelRegistry(
        present.config.models,
        env=present.loaded.env.get,
        http=http,
        embedded=embedded_factory(paths.cache_dir, http, spawner, clock),
        clock=clock,
        credentials=credentials.first,
        catalog_path=paths.state_dir / CATALOG_FILE,
    )
    stack.push_async_callback(models.close)
    return Gates(http, carrier, spawner, credentials, models)
