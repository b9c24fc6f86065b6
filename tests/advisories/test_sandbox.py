"""Published ways out of sandboxes: the kernel holds a command, no check of names does."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from openclaw.base.clock import SystemClock
from openclaw.base.errors import Unavailable
from openclaw.config.schema import DockerSandboxConfig, SandboxConfig
from openclaw.processes.sandbox.bubblewrap import Bubblewrap
from openclaw.processes.sandbox.docker import container_options
from openclaw.processes.sandbox.job import Walls
from openclaw.processes.spawner import Spawner
from tests.processes.sandbox.support import names, ran, shell

pytestmark = pytest.mark.anyio


@pytest.fixture
async def walls_up() -> AsyncIterator[Bubblewrap]:
    spawner = Spawner()
    box = Bubblewrap(spawner, SystemClock())
    if problem := await box.problem():
        pytest.skip(f"no walls here: {problem}")
    yield box
    await spawner.close(0.5)


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    folder = tmp_path / "ws"
    (folder / "inner").mkdir(parents=True)
    return folder


@pytest.mark.parametrize(
    "bind",
    [
        "/:/host:ro",
        "/etc:/etc:ro",
        "/var/run/docker.sock:/var/run/docker.sock",
        "WS/../:/up:ro",
        "WS/link:/etc2:ro",
        "WS/inner:/../x:ro",
        "WS:/again",
        "relative:/x",
        "WS/inner",
    ],
)
async def test_cve_2026_27002_no_configuration_gives_containers_other_folders(bind: str, workspace: Path) -> None:
    (workspace / "link").symlink_to("/etc")
    config = SandboxConfig(docker=DockerSandboxConfig(image="x", binds=(bind.replace("WS", str(workspace)),)))
    with pytest.raises(Unavailable, match="is not given to containers"):
        container_options(config, Walls(workspace=workspace))


@pytest.mark.parametrize("network", ["host", "bridge", "container:other", "NONE", ""])
async def test_cve_2026_27002_no_configuration_gives_containers_a_network(network: str) -> None:
    section: dict[str, Any] = {"docker": {"image": "x", "network": network}}
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(section, SandboxConfig)


async def test_cve_2026_27002_a_folder_of_the_workspace_is_given_for_reading(workspace: Path) -> None:
    config = SandboxConfig(docker=DockerSandboxConfig(image="x", binds=(f"{workspace}/inner:/data:ro",)))
    options = container_options(config, Walls(workspace=workspace))
    assert f"type=bind,src={workspace}/inner,dst=/data,readonly" in options
    assert options[options.index("--network") + 1] == "none"


async def test_nemoclaw_1019_a_link_made_after_the_start_leads_nowhere(walls_up: Bubblewrap, workspace: Path) -> None:
    secret = workspace.parent / "secret"
    secret.write_text("s3cret")
    walls = Walls(workspace=workspace)
    assert (await ran(walls_up, shell(workspace, "cat inner/f; true"), walls))[0] == 0
    (workspace / "inner/f").symlink_to(secret)
    text = f"cat inner/f; ln -sf {secret} mine; cat mine; ln -sfn {workspace.parent} up; cat up/secret; echo x > mine"
    _, written = await ran(walls_up, shell(workspace, text), walls)
    assert "s3cret" not in written
    assert secret.read_text() == "s3cret"


async def test_ironclaw_6170_what_a_shell_starts_is_held_as_the_shell_is(walls_up: Bubblewrap, workspace: Path) -> None:
    secret = workspace.parent / "state"
    secret.mkdir()
    (secret / "token").write_text("s3cret")
    text = (
        f"sh -c 'sh -c \"cat {secret}/token\"'; env -i /bin/sh -c 'find / -name token 2>/dev/null'; "
        f"(setsid sh -c 'cat {secret}/token; cp {secret}/token .') ; echo x > {secret}/planted; "
        f"python3 -c 'print(open(\"{secret}/token\").read())'"
    )
    _, written = await ran(walls_up, shell(workspace, text), Walls(workspace=workspace, hidden=(secret,)))
    assert "s3cret" not in written
    assert names(secret) == ["token"]
    assert names(workspace) == ["inner"]
