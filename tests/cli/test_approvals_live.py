"""`openclaw approvals`, `channels` and `skills` against a gateway that is a process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import msgspec
import pytest

from openclaw.base.tasks import TaskSet
from openclaw.client.ws import GatewayClient
from tests.cli.gateway_process import Place

pytestmark = [pytest.mark.slow, pytest.mark.anyio]


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    place = Place(tmp_path_factory.mktemp("approvals"))
    place.state.mkdir(mode=0o700)
    skill = place.state / "workspace" / "skills" / "weather"
    skill.mkdir(parents=True)
    (skill / "SKILL.md").write_text(
        '---\nname: weather\ndescription: Looks out\nmetadata: {"openclaw": {"requires": {"bins": ["no-such"]}}}\n---\n'
    )
    with place.serving("gateway"):
        yield place


@asynccontextmanager
async def asked(place: Place, command: str, protocol: int) -> AsyncIterator[tuple[str, Any]]:
    """A command that waits for a decision, and the future of its answer; a second client is there to be asked."""
    token = (place.state / "credentials" / "gateway-token").read_text().strip()
    url = f"ws://127.0.0.1:{place.port}"
    async with (
        await GatewayClient.connect(url, token=token, min_protocol=protocol, max_protocol=protocol) as asker,
        await GatewayClient.connect(url, token=token) as watcher,
    ):
        tasks = TaskSet("test")
        params = {"command": command, "timeoutMs": 30_000}
        answer = tasks.spawn(asker.call("exec.approval.request", params, 30), "ask")
        async for event in watcher.events():
            if event.name == "exec.approval.requested":
                yield event.payload["id"], answer
                break
        await tasks.close()


async def run(place: Place, *arguments: str) -> Any:
    return await anyio.to_thread.run_sync(lambda: place.run(*arguments))


@pytest.mark.parametrize("protocol", [3, 4])
@pytest.mark.parametrize(("command", "decision"), [("approve", "allow-once"), ("deny", "deny")])
async def test_a_person_decides_at_the_terminal(live: Place, protocol: int, command: str, decision: str) -> None:
    async with asked(live, "echo \x1b[2Jhi\u202e", protocol) as (approval_id, answer):
        listed = await run(live, "approvals", "list")
        assert approval_id in listed.stdout
        assert r"echo \x1b[2Jhi\u202e" in listed.stdout
        shown = await run(live, "approvals", "get", approval_id)
        assert "pending" in shown.stdout
        decided = await run(live, "approvals", command, approval_id)
        assert decided.stdout == f"{approval_id}: {decision}.\n", decided.stderr
        assert (await answer)["decision"] == decision
    again = await run(live, "approvals", command, approval_id)
    assert (again.returncode, "CONFLICT" in again.stderr) == (1, True)
    history = msgspec.json.decode((await run(live, "approvals", "list", "--history", "--json")).stdout)
    assert (history[0]["id"], history[0]["decision"]) == (approval_id, decision)
    assert (await run(live, "approvals", "list")).stdout == "Nothing waits for an approval.\n"


def test_the_allowlist_is_kept_through_the_gateway(live: Place) -> None:
    assert live.run("approvals", "allowlist", "add", "/usr/bin/uptime", "--agent", "main").stdout == "Done.\n"
    assert (
        live.run("approvals", "allowlist", "add", "/usr/bin/uptime", "--agent", "main").stdout == "Nothing to change.\n"
    )
    listed = live.run("approvals", "allowlist", "list").stdout.splitlines()
    assert listed[1].split() == ["main", "/usr/bin/uptime"]
    assert live.run("approvals", "get").stdout.splitlines()[-1].split() == ["agents", "with", "rules", "main"]
    assert (live.state / "exec-approvals.json").stat().st_mode & 0o777 == 0o600
    assert live.run("approvals", "allowlist", "remove", "/usr/bin/uptime", "--agent", "main").stdout == "Done.\n"
    assert msgspec.json.decode(live.run("approvals", "allowlist", "list", "--json").stdout) == []
    assert msgspec.json.decode(live.run("approvals", "grants", "--json").stdout) == {"grants": []}
    missing = live.run("approvals", "revoke", "nope")
    assert (missing.returncode, "NOT_FOUND" in missing.stderr) == (1, True)


def test_channels_and_skills_are_shown(live: Place) -> None:
    assert live.run("channels", "status").stdout == "There are no channels: this version has none yet.\n"
    assert msgspec.json.decode(live.run("channels", "list", "--json").stdout)["channelOrder"] == []
    lines = live.run("skills", "list").stdout.splitlines()
    assert lines[1].split()[:2] == ["weather", "openclaw-workspace"]
    assert "audited" in lines[1], "nothing of a skill is loaded before that"
    assert msgspec.json.decode(live.run("skills", "list", "--eligible", "--json").stdout)["skills"] == []
