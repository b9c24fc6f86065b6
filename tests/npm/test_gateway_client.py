"""The field's own client library against a real gateway: what its documentation says happens."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.gateway.people import house
from tests.gateway.process import TOKEN, GatewayProcess, free_port, gateway, write_config
from tests.npm.client import Driver, NpmClient, Refused, Seen

pytestmark = pytest.mark.anyio

ALL = ["operator.admin", "operator.read", "operator.write", "operator.approvals", "operator.pairing"]


async def connected(driver: Driver, gateway: GatewayProcess, protocol: int = 4, **options: Any) -> NpmClient:
    """Return a client that has been let in."""
    chosen = {"token": TOKEN, "scopes": ALL, "minProtocol": protocol, "maxProtocol": protocol, **options}
    client = await driver.open(gateway.ws_url, **chosen)
    hello = await client.hello()
    assert hello["protocol"] == protocol
    return client


async def refusal(driver: Driver, gateway: GatewayProcess, **options: Any) -> tuple[NpmClient, dict[str, Any]]:
    """Return a client that was not let in, and the error that it was given."""
    client = await driver.open(gateway.ws_url, **options)
    with pytest.raises(Refused) as caught:
        await client.hello()
    return client, caught.value.error


def no_gap(client: NpmClient) -> bool:
    """Say whether every event came, in order."""
    numbers = [seen["frame"]["seq"] for seen in client.reports if seen["what"] == "event" and "seq" in seen["frame"]]
    return numbers == list(range(numbers[0], numbers[0] + len(numbers))) and not any(
        seen["what"] == "gap" for seen in client.reports
    )


async def test_the_quickstart_of_its_readme_works(driver: Driver, served: GatewayProcess) -> None:
    client = await driver.open(served.ws_url, token=TOKEN, minProtocol=4, maxProtocol=4)
    hello = await client.hello()
    assert {"health", "chat.send", "sessions.subscribe"} <= set(hello["features"]["methods"])
    assert hello["policy"]["tickIntervalMs"] == 30_000
    status = await client.request("status", {})
    assert status["runtimeVersion"] == hello["server"]["version"]
    await client.stop()
    assert (await client.report("close"))["code"] in (1000, 1005)


@pytest.mark.parametrize("protocol", [3, 4])
async def test_it_chats_and_sees_the_answer_stream_in_order(
    driver: Driver, served: GatewayProcess, protocol: int
) -> None:
    client = await connected(driver, served, protocol)
    words = " ".join(f"word{number}" for number in range(40))
    run = f"npm-chat-{protocol}"
    started = await client.request(
        "chat.send", {"sessionKey": f"chat-{protocol}", "message": words, "idempotencyKey": run}
    )
    assert started == {"runId": run, "status": "started"}
    final = await client.event("chat", runId=run, state="final")
    assert final["message"]["content"] == [{"type": "text", "text": f"fake: {words}"}]
    deltas = [
        seen["frame"]["payload"]
        for seen in client.reports
        if seen["what"] == "event" and seen["frame"]["event"] == "chat" and seen["frame"]["payload"]["state"] == "delta"
    ]
    told = [delta["message"]["content"][0]["text"] for delta in deltas]
    assert all(later.startswith(earlier) for earlier, later in itertools.pairwise(told))
    if protocol == 4:
        assert "".join(delta["deltaText"] for delta in deltas) == told[-1]
    history = await client.request("chat.history", {"sessionKey": f"chat-{protocol}"})
    assert [message["role"] for message in history["messages"]] == ["user", "assistant"]
    assert no_gap(client)
    await client.stop()


@pytest.mark.parametrize("protocol", [3, 4])
async def test_an_agent_run_is_accepted_then_answered(driver: Driver, served: GatewayProcess, protocol: int) -> None:
    client = await connected(driver, served, protocol)
    run = f"npm-agent-{protocol}"
    ask = {"message": "hi", "sessionKey": f"agent:main:npm-agent-{protocol}", "idempotencyKey": run}
    accepted, answer = await client.in_stages("agent", ask, expectFinal=True)
    assert (accepted["runId"], accepted["status"]) == (run, "accepted")
    assert (answer["runId"], answer["status"], answer["summary"]) == (run, "ok", "completed")
    assert answer["result"]["payloads"] == [{"text": "fake: hi", "mediaUrl": None}]
    waited = await client.request("agent.wait", {"runId": run, "timeoutMs": 1000})
    assert waited["status"] == "ok"
    await client.stop()


async def test_it_lists_and_is_told_of_changes_it_subscribed_to(driver: Driver, served: GatewayProcess) -> None:
    client = await connected(driver, served)
    other = await connected(driver, served, 3)
    assert await client.request("sessions.subscribe") == {"subscribed": True}
    await other.request("chat.send", {"sessionKey": "listed", "message": "hello", "idempotencyKey": "listed-1"})
    message = await client.event("session.message", sessionKey="agent:main:listed")
    assert message["message"]["role"] == "user"
    await other.event("chat", runId="listed-1", state="final")
    await other.request("sessions.patch", {"key": "agent:main:listed", "label": "renamed"})
    assert (await client.event("sessions.changed", sessionKey="agent:main:listed"))["agentId"] == "main"
    listed = await client.request("sessions.list", {"search": "renamed"})
    assert [row["key"] for row in listed["sessions"]] == ["agent:main:listed"]
    assert [agent["id"] for agent in (await client.request("agents.list"))["agents"]] == ["main"]
    assert (await client.request("models.list", {"view": "default"}))["models"]
    assert not [
        seen for seen in other.reports if seen["what"] == "event" and seen["frame"]["event"] == "session.message"
    ]
    await client.stop()
    await other.stop()


async def test_two_versions_on_one_session_see_one_conversation(driver: Driver, served: GatewayProcess) -> None:
    old, new = await connected(driver, served, 3), await connected(driver, served, 4)
    for number, client in enumerate((old, new, old)):
        run = f"both-{number}"
        await client.request("chat.send", {"sessionKey": "both", "message": run, "idempotencyKey": run})
        finals = [await each.event("chat", runId=run, state="final") for each in (old, new)]
        assert finals[0]["message"]["content"] == finals[1]["message"]["content"]
        assert "agentId" not in finals[0]
        assert finals[1]["agentId"] == "main"
    told = [(await each.request("chat.history", {"sessionKey": "both"}))["messages"] for each in (old, new)]
    said = [[(message["role"], message["content"]) for message in messages] for messages in told]
    assert said[0] == said[1]
    assert len(said[0]) == 6
    assert no_gap(old)
    assert no_gap(new)
    await old.stop()
    await new.stop()


async def test_a_screen_shows_each_message_once_whether_it_came_live_or_with_the_history(
    driver: Driver, served: GatewayProcess
) -> None:
    client = await connected(driver, served)
    await client.request("sessions.subscribe")
    key = "agent:main:screen"
    steps: list[dict[str, Any]] = []
    for run in ("screen-0", "screen-1", "screen-2"):
        before = len(client.reports)
        await client.request("chat.send", {"sessionKey": key, "message": run, "idempotencyKey": run})
        await client.seen(lambda seen: role_of(seen) == "assistant", before)
        message = {"role": "user", "content": run, "idempotencyKey": run}
        steps.append({"pending": {"runId": run, "idempotencyKey": run, "message": message}})
        steps += [seen["frame"] for seen in client.reports[before:] if seen["what"] == "event"]
    history = await client.request("chat.history", {"sessionKey": key})
    shown = await driver.do(
        "project",
        scope={"sessionKey": key, "agentId": "main"},
        steps=steps,
        history=history["messages"],
    )
    await client.stop()
    said = ["screen-0", "fake: screen-0", "screen-1", "fake: screen-1", "screen-2", "fake: screen-2"]
    assert [text_of(message) for message in shown["live"]] == said
    assert [text_of(message) for message in shown["loaded"]] == said
    assert {run["status"] for run in shown["runs"].values()} == {"completed"}


async def test_it_follows_the_messages_of_one_session_and_no_others(driver: Driver, served: GatewayProcess) -> None:
    client, writer = await connected(driver, served), await connected(driver, served, 3)
    assert (await client.follow("followed"))["key"] == "agent:main:followed"
    for name in ("unfollowed", "followed"):
        send = {"sessionKey": name, "message": "hello", "idempotencyKey": f"in-{name}"}
        await writer.request("chat.send", send)
        await writer.event("chat", runId=f"in-{name}", state="final")
    await client.seen(lambda seen: role_of(seen) == "assistant")
    told = [seen["frame"]["payload"]["sessionKey"] for seen in client.reports if role_of(seen)]
    assert set(told) == {"agent:main:followed"}
    await client.leave("followed")
    await client.stop()
    await writer.stop()


def role_of(seen: Seen) -> str | None:
    """Return whose message a report is about, None when it is about none."""
    is_message = seen["what"] == "event" and seen["frame"]["event"] == "session.message"
    return str(seen["frame"]["payload"]["message"]["role"]) if is_message else None


def text_of(message: dict[str, Any]) -> str:
    """Return what a message says, in either of its two forms."""
    content = message["content"]
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content)


REFUSED: list[tuple[str, dict[str, Any], str, str, int, bool]] = [
    # what, options, gateway code, details.code, close code, gives up
    ("a wrong token", {"token": "wrong"}, "INVALID_REQUEST", "AUTH_TOKEN_MISMATCH", 1008, True),
    ("no credential", {}, "NOT_PAIRED", "DEVICE_IDENTITY_REQUIRED", 1008, True),
    (
        "a browser client without an origin",
        {"token": TOKEN, "clientName": "webchat", "mode": "webchat"},
        "INVALID_REQUEST",
        "CONTROL_UI_ORIGIN_NOT_ALLOWED",
        1008,
        False,
    ),
    (
        "a protocol of the future",
        {"token": TOKEN, "minProtocol": 5, "maxProtocol": 9},
        "INVALID_REQUEST",
        "PROTOCOL_MISMATCH",
        1002,
        True,
    ),
    (
        "a terminal UI without a device",
        {"token": TOKEN, "clientName": "openclaw-tui", "mode": "ui"},
        "INVALID_REQUEST",
        "CONTROL_UI_DEVICE_IDENTITY_REQUIRED",
        1008,
        True,
    ),
    ("a bad setup code", {"bootstrapToken": "nope"}, "INVALID_REQUEST", "AUTH_BOOTSTRAP_TOKEN_INVALID", 1008, True),
]


@pytest.mark.parametrize(
    ("options", "code", "detail", "close", "gives_up"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED]
)
async def test_it_understands_why_it_is_refused(
    driver: Driver,
    served: GatewayProcess,
    options: dict[str, Any],
    code: str,
    detail: str,
    close: int,
    gives_up: bool,
) -> None:
    client, error = await refusal(driver, served, scopes=ALL, **options)
    assert (error["gatewayCode"], error["details"]["code"]) == (code, detail)
    closed = await client.report("close")
    assert (closed["code"], closed["phase"]) == (close, "pre-hello")
    assert closed["reason"]
    if gives_up:
        assert (await client.report("paused"))["detailCode"] == detail
    await client.stop()


@pytest.mark.parametrize(("protocol", "code"), [(3, "INVALID_REQUEST"), (4, "FORBIDDEN")])
async def test_a_missing_scope_is_said_in_the_words_of_its_version(
    driver: Driver, served: GatewayProcess, protocol: int, code: str
) -> None:
    client = await connected(driver, served, protocol, scopes=["operator.read"])
    with pytest.raises(Refused) as caught:
        await client.request("chat.send", {"sessionKey": "main", "message": "x", "idempotencyKey": "no"})
    assert caught.value.error["gatewayCode"] == code
    assert "operator.write" in caught.value.error["message"]
    assert (await client.request("health"))["ok"]
    await client.stop()


async def test_bad_parameters_and_unknown_methods_leave_the_connection_alone(
    driver: Driver, served: GatewayProcess
) -> None:
    client = await connected(driver, served)
    for method, params, message in (
        ("nope.method", {}, "unknown method: nope.method"),
        ("sessions.list", {"limit": "x"}, "invalid sessions.list params: at /limit: must be integer"),
        ("connect", {}, "connect is only valid as the first request"),
    ):
        with pytest.raises(Refused, match=message):
            await client.request(method, params)
    assert (await client.request("health"))["ok"]
    await client.stop()


async def test_an_aborted_run_ends_for_it(driver: Driver, tmp_path: Path) -> None:
    async with gateway(tmp_path / "state", "fake/fake-n200-d20") as slow:
        client = await connected(driver, slow)
        send = {"sessionKey": "main", "message": "x", "idempotencyKey": "slow"}
        assert (await client.request("chat.send", send))["status"] == "started"
        await client.event("chat", runId="slow", state="delta")
        assert (await client.request("chat.send", send))["status"] == "in_flight"
        assert await client.request("chat.abort", {"sessionKey": "main"}) == {
            "ok": True,
            "aborted": True,
            "runIds": ["slow"],
        }
        await client.event("chat", runId="slow", state="aborted")
        assert (await client.request("chat.send", send))["status"] == "timeout"
        assert no_gap(client)
        await client.stop()


async def test_it_comes_back_after_a_restart(driver: Driver, tmp_path: Path) -> None:
    folder, port = tmp_path / "state", free_port()
    write_config(folder, port)
    async with started(folder, port) as first:
        client = await connected(driver, first)
    shutdown = await client.event("shutdown")
    assert shutdown["restartExpectedMs"] >= 0
    closed = await client.report("close")
    assert (closed["code"], closed["reason"], closed["phase"]) == (1012, "service restart", "post-hello")
    seen = len(client.reports)
    async with started(folder, port):
        await client.report("hello", after=seen)  # an attempt that found nobody yet is no end
        assert (await client.request("health"))["ok"]
        assert not [report for report in client.reports if report["what"] == "gap"]
        await client.stop()


@asynccontextmanager
async def started(folder: Path, port: int) -> AsyncIterator[GatewayProcess]:
    """Run a gateway on a port for the length of the block."""
    running = await GatewayProcess.start(folder, port)
    try:
        yield await running.ready()
    finally:
        await running.stop()


async def test_it_comes_back_after_its_connection_broke(driver: Driver, served: GatewayProcess) -> None:
    cut: list[asyncio.StreamWriter] = []

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, here = await asyncio.open_connection("127.0.0.1", served.port)
        cut.append(writer)

        async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
            while data := await source.read(65536):
                sink.write(data)
            sink.close()

        try:
            await asyncio.gather(pump(reader, here), pump(there, writer))
        except OSError:
            here.close()

    server = await asyncio.start_server(relay, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    client = await driver.open(f"ws://127.0.0.1:{port}", token=TOKEN, scopes=ALL)
    await client.hello()
    seen = len(client.reports)
    cut[-1].transport.abort()
    assert (await client.report("close", after=seen))["code"] == 1006
    await client.report("hello", after=seen)
    assert (await client.request("health"))["ok"]
    await client.stop()
    server.close()


async def test_it_gives_up_on_a_gateway_that_has_gone_silent_and_connects_anew(
    driver: Driver, served: GatewayProcess
) -> None:
    await driver.do("hold")
    try:
        client = await connected(driver, served)
        await driver.do("advance", ms=31_000)
        assert (await client.request("health"))["ok"]  # any frame of ours counts as life
        await driver.do("advance", ms=59_000)
        assert not [seen for seen in client.reports if seen["what"] == "close"]
        await driver.do("advance", ms=31_000)
        closed = await client.report("close")
        assert closed["code"] == 4000
        await client.hello(after=client.reports.index(closed))
        await client.stop()
    finally:
        await driver.do("release")


async def test_two_people_have_a_main_session_each(driver: Driver, tmp_path: Path) -> None:
    async with house(tmp_path, agents={"defaults": {"model": "fake/echo"}}) as here:
        people = {}
        for name in ("alice", "bob"):
            scopes = ["operator.read", "operator.write"]
            people[name] = await driver.open(here.running.ws_url, token=here.token(name), scopes=scopes, maxProtocol=4)
            hello = await people[name].hello()
            assert hello["snapshot"]["sessionDefaults"]["mainSessionKey"] == "agent:main:main"
            await people[name].follow("agent:main:main")
        for name, client in people.items():
            said = {"sessionKey": "main", "message": f"{name} is here", "idempotencyKey": "hello"}
            assert (await client.request("chat.send", said))["runId"] == "hello"
        for name, client in people.items():
            await client.event("chat", runId="hello", sessionKey="agent:main:main", state="final")
            history = await client.request("chat.history", {"sessionKey": "agent:main:main"})
            texts = [message["content"][0]["text"] for message in history["messages"]]
            assert texts == [f"{name} is here", f"fake: {name} is here"]
            listed = await client.request("sessions.list", {})
            assert [row["key"] for row in listed["sessions"]] == ["agent:main:main"]
            other = {"alice": "bob", "bob": "alice"}[name]
            assert f"{other} is here" not in str(client.reports)
