"""Two people of one gateway: by no method, route, tool or command does one reach what is the other's.

Whatever there is to call is called by Bob with Alice's names for things. A method, route or tool that is new here is
called too, or makes a test fail until somebody says how.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any, Final

import pytest
from websockets.asyncio.client import ClientConnection

from openclaw.protocol.validate import _schema
from openclaw.rpc.build import METHODS
from openclaw.rpc.commands import COMMANDS
from tests.gateway.people import Here, house
from tests.rpc.good import GOOD

pytestmark = pytest.mark.anyio

MARK: Final = "alices-marker-4711"
KEY: Final = "agent:main:alices-room"
HELD: Final = "agent:slow:alices-run"
TEAM: Final = {
    "team": {
        "groups": ["staff"],
        "scopes": [
            *("operator.read", "operator.write", "operator.approvals", "operator.pairing", "operator.questions"),
        ],
    },
    "admin": {"groups": ["boss"]},
}
AGENTS: Final = {
    "defaults": {"model": "fake/echo"},
    "list": [{"id": "main"}, {"id": "slow", "model": "fake/fake-l999999", "queue": {"mode": "interrupt"}}],
}


class Wire:
    """A connection whose every frame is kept."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.frames: list[str] = []
        self._next = 0

    async def ask(self, method: str, params: Any) -> dict[str, Any]:
        """Ask, and return the last answer."""
        self._next += 1
        number = str(self._next)
        await self.socket.send(json.dumps({"type": "req", "id": number, "method": method, "params": params}))
        async with asyncio.timeout(20):
            while True:
                text = str(await self.socket.recv())
                self.frames.append(text)
                frame: dict[str, Any] = json.loads(text)
                if frame.get("id") == number:
                    return frame

    async def get(self, method: str, **params: Any) -> Any:
        """Ask for what must be answered well."""
        answer = await self.ask(method, params)
        assert answer["ok"], answer
        return answer["payload"]


async def enter(here: Here, name: str, group: str = "staff") -> Wire:
    socket, hello = await here.open(here.token(name, group))
    assert hello["ok"], hello
    return Wire(socket)


async def furnish(here: Here, alice: Wire) -> dict[str, str]:
    """Give Alice a conversation, a run that goes on, a request for approval and a response; return their names."""
    await alice.get("agent", message=f"{MARK} says", sessionKey=KEY, idempotencyKey="alice-1")
    await alice.get("agent.wait", runId="alice-1", timeoutMs=10_000)
    await alice.get("sessions.patch", key=KEY, label=f"{MARK} label")
    await alice.get("sessions.groups.put", names=[f"{MARK} group"])
    await alice.get("users.prefs.set", entries={"theme": MARK})
    await alice.get("agent", message=f"{MARK} waits", agentId="slow", sessionKey=HELD, idempotencyKey="alice-run")
    asked = {"title": MARK, "description": MARK, "timeoutMs": 600_000, "twoPhase": True}
    await alice.get(
        "exec.approval.request", command=f"echo {MARK}", id="alice-approval", timeoutMs=600_000, twoPhase=True
    )
    await alice.ask("plugin.approval.request", asked)
    questions = [{"questionId": "q", "header": MARK, "question": MARK, "options": []}]
    await alice.ask("question.request", {"questions": questions, "id": "alice-question", "twoPhase": True})
    bearer = {"Authorization": f"Bearer {here.token('alice')}"}
    url = here.running.http_url + "/v1/responses"
    async with here.http.post(url, json={"model": "openclaw", "input": MARK}, headers=bearer) as answer:
        response = (await answer.json())["id"]
    history = await alice.get("chat.history", sessionKey=KEY)
    session = (await alice.get("sessions.describe", key=KEY))["session"]
    return {
        "response": response,
        "session_id": session["sessionId"],
        "message_id": str(history["messages"][0].get("id") or f"{session['sessionId']}-1"),
    }


def aimed(name: str, names: dict[str, str], key: str) -> dict[str, Any]:
    """Return parameters of a method that name what is Alice's wherever they can."""
    spec = next(each for each in METHODS if each.name == name)
    schema, definitions = _schema(spec.params)
    fields = definitions[schema["$ref"].rsplit("/", 1)[-1]]["properties"]
    approval = "alice-question" if name.startswith("question.") else "alice-approval"
    hers: dict[str, Any] = {
        "sessionKey": key,
        "key": key,
        "sessionKeys": [key],
        "keys": [key],
        "parentSessionKey": key,
        "runId": "alice-run",
        "sessionId": names["session_id"],
        "targets": [{"key": key}],
        "entryId": names["message_id"],
        "messageId": names["message_id"],
        "query": MARK,
        "search": MARK,
        "id": approval,
    }
    asked = {**GOOD.get(name, {}), **{field: value for field, value in hers.items() if field in fields}}
    if "timeoutMs" in fields:
        asked["timeoutMs"] = 50
    if name in ("exec.approval.request", "plugin.approval.request", "question.request"):
        asked.pop("id", None)
    return asked


QUIET: Final = frozenset(("gateway.restart.request", "logs.tail"))
"""Not called: it would end the gateway (an administrator's act), or tells of the gateway as a whole."""


LISTS: Final = frozenset(
    (
        *("health", "status", "sessions.list", "sessions.usage", "sessions.groups.list", "agents.list", "tasks.list"),
        *("artifacts.list", "usage.cost", "usage.totals", "system-presence", "diagnostics.lanes"),
        *("diagnostics.stability", "sessions.storage.status", "commands.list", "memory.search"),
        *("users.list", "mentions.list", "cron.list", "exec.approval.grants.list"),
    )
)
"""Methods that list things without being asked about one: what is Alice's is not there at all."""


async def look(alice: Wire) -> dict[str, Any]:
    """Return all of Alice's things as she sees them."""
    session = (await alice.get("sessions.describe", key=KEY))["session"]
    approvals = await alice.get("exec.approval.list")
    held = (await alice.get("sessions.describe", key=HELD))["session"]
    return {
        "session": {name: session.get(name) for name in ("sessionId", "label", "updatedAt", "model", "thinkingLevel")},
        "history": (await alice.get("chat.history", sessionKey=KEY))["messages"],
        "approvals": sorted(row["id"] for row in approvals),
        "plugin": len(await alice.get("plugin.approval.list")),
        "questions": len((await alice.get("question.list"))["questions"]),
        "groups": await alice.get("sessions.groups.list"),
        "prefs": await alice.get("users.prefs.get"),
        "held": held["sessionId"],
    }


def said(wire: Wire, mine: str) -> list[str]:
    """Return the frames that hold the mark and do not merely give back what was asked for."""
    return [frame[:400] for frame in wire.frames if MARK in frame and mine not in frame]


async def test_by_no_method_and_no_command(tmp_path: Path) -> None:
    async with house(tmp_path, TEAM, agents=AGENTS) as here:
        alice, bob = await enter(here, "alice"), await enter(here, "bob")
        names = await furnish(here, alice)
        before = await look(alice)
        await bob.get("sessions.subscribe")
        for spec in METHODS:
            if spec.name in QUIET or spec.role == "node":
                continue
            for key in (KEY, HELD):
                answer = await bob.ask(spec.name, aimed(spec.name, names, key))
                if answer["ok"] and spec.name in LISTS:
                    assert "alices-" not in json.dumps(answer["payload"]), spec.name
                if spec.name not in ("sessions.search", "memory.search"):
                    assert MARK not in json.dumps(answer), (spec.name, answer)
                else:
                    assert not answer["payload"]["results"], spec.name
        for command in (*COMMANDS, "stop", "approve alice-approval allow-once"):
            for key in (KEY, HELD):
                params = {"sessionKey": key, "message": f"/{command}", "idempotencyKey": f"{command}-{key}"}
                assert MARK not in json.dumps(await bob.ask("chat.send", params))
        await alice.get("sessions.describe", key=KEY)
        assert said(bob, f'"query": "{MARK}"') == []
        assert await look(alice) == before
        assert (await alice.get("agent.wait", runId="alice-run", timeoutMs=1))["status"] == "timeout"
        aborted = await alice.get("chat.abort", sessionKey=HELD, runId="alice-run")
        assert aborted["aborted"] is True


ROUTES: Final[dict[tuple[str, str], list[tuple[str, str, Any]]]] = {
    ("POST", "/v1/chat/completions"): [
        (
            "POST",
            "/v1/chat/completions",
            {"model": "openclaw", "messages": [{"role": "user", "content": "what was said?"}]},
        )
    ],
    ("POST", "/v1/responses"): [
        ("POST", "/v1/responses", {"model": "openclaw", "input": "what was said?"}),
        ("POST", "/v1/responses", {"model": "openclaw", "input": "on", "previous_response_id": "{response}"}),
    ],
    ("GET", "/v1/responses/{id}"): [("GET", "/v1/responses/{response}", None)],
    ("DELETE", "/v1/responses/{id}"): [("DELETE", "/v1/responses/{response}", None)],
    ("POST", "/v1/responses/{id}/cancel"): [
        ("POST", "/v1/responses/{response}/cancel", None),
        ("POST", "/v1/responses/resp_alice-run/cancel", None),
    ],
    ("POST", "/v1/agent/{name}"): [
        ("POST", "/v1/agent/main", {"prompt": "what was said?", "session_id": "alices-room"}),
    ],
    ("POST", "/v1/embeddings"): [("POST", "/v1/embeddings", {"input": "x"})],
    ("POST", "/tools/invoke"): [],
}
"""What is the caller's own at a route; the other routes know nothing of anybody."""

NOBODYS: Final = frozenset(
    (
        *("/health", "/healthz", "/v1/health", "/startupz", "/ready", "/readyz", "/metrics", "/api/auth/check"),
        *("/api/mirror", "/api/mirror/stream", "/openapi.json", "/docs", "/v1/models", "/v1/models/{model}"),
        *("/v1/models/openclaw/{agent}", "/v1/agents", "/avatar/{agent}", "/", "/index.html"),
    )
)
NOBODYS_BELOW: Final = ("/setup", "/hooks", "/assets", "/ui", "/control-ui-config", "/__openclaw")

TOOLS: Final[dict[str, dict[str, Any]]] = {
    "sessions_list": {},
    "sessions_history": {"session": KEY},
    "sessions_send": {"session": KEY, "text": "hello", "wait_seconds": 1},
    "session_status": {},
    "memory_search": {"query": MARK},
    "memory_store": {"text": "bob was here"},
    "memory_forget": {"id": "m1"},
    "list_files": {},
    "read_file": {"path": "notes.md"},
    "search_files": {"pattern": MARK},
    "write_file": {"path": "bob.txt", "content": "x"},
}


async def test_by_no_route_and_no_tool(tmp_path: Path) -> None:
    async with house(tmp_path, TEAM, agents=AGENTS) as here:
        alice = await enter(here, "alice")
        names = await furnish(here, alice)
        before = await look(alice)
        token = here.token("bob")
        document = await (await here.http.get(here.running.http_url + "/openapi.json", headers=_bearer(token))).json()
        for path, operations in document["paths"].items():
            for method in operations:
                if path in NOBODYS or path.startswith(NOBODYS_BELOW) or method == "head":
                    continue
                place = (method.upper(), path)
                assert place in ROUTES, f"say what Bob would do at {place}"
                for verb, where, body in ROUTES[place]:
                    for key in ("", KEY, HELD):
                        extra = {"x-openclaw-session-key": key} if key else {}
                        text = json.dumps(body).replace("{response}", names["response"]) if body is not None else None
                        url = here.running.http_url + where.replace("{response}", names["response"])
                        headers = _bearer(token) | extra | ({"Content-Type": "application/json"} if text else {})
                        async with here.http.request(verb, url, data=text, headers=headers) as answer:
                            assert MARK not in await answer.text(), (place, key)
                            if key and "agent" not in path and "embed" not in path and "{id}" not in path:
                                assert answer.status in (400, 404), (place, key, await answer.text())
        tools = (await (await enter(here, "bob")).get("tools.catalog"))["groups"]
        offered = {tool["id"] for group in tools for tool in group["tools"]}
        for name in sorted(offered):
            for key in (KEY, HELD, "agent:main:bobs-own"):
                call = {"tool": name, "args": TOOLS.get(name, {}), "sessionKey": key}
                url = here.running.http_url + "/tools/invoke"
                async with here.http.post(url, json=call, headers=_bearer(token)) as answer:
                    found = (await answer.text()).replace(f"search for {MARK}", "")
                    assert MARK not in found or name in ("memory_search", "search_files"), (name, found)
                    assert "says" not in found, (name, found)
        assert await look(alice) == before
        assert (await alice.get("agent.wait", runId="alice-run", timeoutMs=1))["status"] == "timeout"
        assert TOOLS.keys() & offered
        await alice.ask("chat.abort", {"sessionKey": HELD, "runId": "alice-run"})  # the gateway would wait for its end


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def test_an_administrator_sees_all_and_that_is_written(tmp_path: Path) -> None:
    async with house(tmp_path, TEAM, agents=AGENTS) as here:
        alice, root = await enter(here, "alice"), await enter(here, "root", "boss")
        await furnish(here, alice)
        assert MARK in json.dumps(await root.get("chat.history", sessionKey=KEY))
        assert MARK in json.dumps(await root.get("sessions.list"))
        rows = (await root.get("audit.query", kinds=["admin"]))["rows"]
        told = {(row["target"], row["owner"].rpartition(":")[2]) for row in rows if row["action"] == "session.read"}
        assert {(KEY, "root"), ("*", "root")} <= told
        assert {owner for _, owner in told} == {"root"}
        await alice.ask("chat.abort", {"sessionKey": HELD, "runId": "alice-run"})  # the gateway would wait for its end


async def test_a_role_keeps_to_its_agents_and_models_everywhere(tmp_path: Path) -> None:
    roles = {
        "user": {"groups": ["staff"], "agents": ["main"], "models": ["fake/echo"]},
        "team": {"groups": ["poor"], "scopes": ["operator.write"], "models": ["other/*"]},
    }
    async with house(tmp_path, roles, agents=AGENTS) as here:
        bob, poor = await enter(here, "bob"), await enter(here, "poor", "poor")
        assert (await bob.ask("agent", {"message": "x", "agentId": "main", "idempotencyKey": "1"}))["ok"]
        refused = await bob.ask("agent", {"message": "x", "agentId": "slow", "idempotencyKey": "2"})
        assert refused["error"]["code"] == "FORBIDDEN"
        headers = _bearer(here.token("bob"))
        said = [{"role": "user", "content": "x"}]
        for body, extra, status in (
            ({"model": "openclaw"}, {}, 200),
            ({"model": "openclaw/slow"}, {}, 403),
            ({"model": "openclaw"}, {"x-openclaw-agent-id": "slow"}, 403),
            ({"model": "openclaw"}, {"x-openclaw-model": "fake/fake-n3"}, 403),
        ):
            url = here.running.http_url + "/v1/chat/completions"
            async with here.http.post(url, json={**body, "messages": said}, headers=headers | extra) as answer:
                assert answer.status == status, (body, extra, await answer.text())
        url = here.running.http_url + "/tools/invoke"
        async with here.http.post(url, json={"tool": "list_files", "agentId": "slow"}, headers=headers) as answer:
            assert answer.status == 404
        await shows_no_more_than_the_role_allows(here, bob)
        await poor.ask("agent", {"message": "x", "agentId": "main", "idempotencyKey": "3", "sessionKey": "poor"})
        done = await poor.get("agent.wait", runId="3", timeoutMs=10_000)
        assert done["status"] == "error"
        assert "none of your roles" in done["error"]


async def shows_no_more_than_the_role_allows(here: Here, bob: Wire) -> None:
    told = await bob.get("agents.list")
    assert ([agent["id"] for agent in told["agents"]], told["defaultId"]) == (["main"], "main")
    assert [f"{each['provider']}/{each['id']}" for each in (await bob.get("models.list"))["models"]] == ["fake/echo"]
    for method, params in (
        ("agent.identity.get", {"agentId": "slow"}),
        ("agents.files.list", {"agentId": "slow"}),
        ("tools.catalog", {"agentId": "slow"}),
        ("chat.history", {"sessionKey": HELD}),
        ("sessions.preview", {"keys": [HELD]}),
        ("sessions.patch", {"key": KEY, "model": "fake/fake-n3"}),
    ):
        assert not (await bob.ask(method, params))["ok"], method
    for method in ("status", "health", "projects.list", "sessions.list"):
        assert "slow" not in json.dumps(await bob.get(method)), method
    headers = _bearer(here.token("bob"))
    for path, names in (("/v1/models", ["openclaw", "openclaw/default", "openclaw/main"]), ("/v1/agents", ["main"])):
        async with here.http.get(here.running.http_url + path, headers=headers) as answer:
            assert [each["id"] for each in (await answer.json())["data"]] == names
    async with here.http.get(here.running.http_url + "/v1/models/openclaw/slow", headers=headers) as answer:
        assert answer.status == 404


async def test_a_roles_cap_holds_and_is_told(tmp_path: Path) -> None:
    roles = {"user": {"groups": ["staff"], "usdPerDay": 0.101}, "admin": {"groups": ["boss"]}}
    priced = {"id": "echo", "maxTokens": 1000, "cost": {"input": 0, "output": 100}}
    models = {"providers": {"fake": {"api": "fake", "models": [priced]}}}
    async with house(tmp_path, roles, agents=AGENTS, models=models) as here:
        bob, root = await enter(here, "bob"), await enter(here, "root", "boss")
        (cap,) = (await bob.get("usage.status"))["budgets"]
        assert (cap["scope"], cap["limit"], cap["spent"]) == ("principal", 0.101, 0)
        assert "budgets" not in await root.get("usage.status")
        ends = []
        for number in range(2):
            run = {"message": "a long text " * 40, "idempotencyKey": f"b{number}"}
            await bob.ask("agent", run)
            ends.append(await bob.get("agent.wait", runId=run["idempotencyKey"], timeoutMs=10_000))
        assert [end["status"] for end in ends] == ["ok", "error"]
        assert "budget" in ends[1]["error"].lower()
        (cap,) = (await bob.get("usage.status"))["budgets"]
        assert 0.001 < cap["spent"] < 0.101
        await root.get("agent", message="x", sessionKey="roots-own", idempotencyKey="r1")
        assert (await root.get("agent.wait", runId="r1", timeoutMs=10_000))["status"] == "ok"
