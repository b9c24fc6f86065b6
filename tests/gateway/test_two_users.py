"""People of one gateway: by no method, route, tool or command does one reach what is the other's, or learn that it is.

Whatever there is to call is called with Alice's names for things, and again with names of nobody's that look alike: the
answers must be the same. A method, route or tool that is new here is called too, or makes a test fail until somebody
says how.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final

import pytest
from openai import AsyncOpenAI
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from openclaw.protocol.validate import _schema
from openclaw.rpc.build import METHODS
from openclaw.rpc.commands import COMMANDS
from tests.gateway.people import Here, house
from tests.gateway.process import GatewayProcess
from tests.rpc.good import GOOD

pytestmark = pytest.mark.anyio

MARK: Final = "alices-marker-4711"
KEY: Final = "agent:main:alices-room"
HELD: Final = "agent:slow:alices-run"
MAIN: Final = "main"
TEAM: Final = {
    "team": {
        "groups": ["staff"],
        "scopes": [
            *("operator.read", "operator.write", "operator.approvals", "operator.pairing", "operator.questions"),
        ],
    },
    "viewer": {"groups": ["guests"]},
    "approver": {"groups": ["deciders"]},
    "admin": {"groups": ["boss"]},
}
AGENTS: Final = {
    "defaults": {"model": "fake/echo"},
    "list": [{"id": "main"}, {"id": "slow", "model": "fake/fake-l999999", "queue": {"mode": "interrupt"}}],
}


class Wire:
    """A connection that is read all the time and whose every frame is kept."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.frames: list[str] = []
        self._next = 0
        self._last: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        with suppress(ConnectionClosed):
            async for text in self.socket:
                self.frames.append(str(text))
                frame: dict[str, Any] = json.loads(text)
                waiting = self._last.pop(frame["id"], None) if frame["type"] == "res" else None
                if waiting is not None:
                    waiting.set_result(frame)

    async def ask(self, method: str, params: Any) -> dict[str, Any]:
        """Ask, and return the first answer."""
        self._next += 1
        number = str(self._next)
        self._last[number] = asyncio.get_running_loop().create_future()
        await self.socket.send(json.dumps({"type": "req", "id": number, "method": method, "params": params}))
        return await asyncio.wait_for(asyncio.shield(self._last[number]), 20)

    async def get(self, method: str, **params: Any) -> Any:
        """Ask for what must be answered well."""
        answer = await self.ask(method, params)
        assert answer["ok"], answer
        return answer["payload"]

    async def leave(self) -> None:
        """Go, and let what was begun go too."""
        for key in (HELD, HELD.replace("alice", "nobod")):
            await self.ask("chat.abort", {"sessionKey": key})
        await self.socket.close()
        await self._reading


class Party(Here):
    """A gateway and the people in it."""

    wires: list[Wire]

    async def enter(self, name: str, group: str = "staff") -> Wire:
        """Let somebody in."""
        socket, hello = await self.open(self.token(name, group))
        assert hello["ok"], hello
        self.wires.append(Wire(socket))
        return self.wires[-1]

    async def again(self) -> None:
        """End the gateway and start it again; everybody is out then."""
        await self.running.stop()
        self.wires.clear()
        folder, port = self.running.folder, self.running.port
        self.running = await (await GatewayProcess.start(folder, port)).ready()


@asynccontextmanager
async def party(folder: Path, roles: dict[str, Any] | None = None, **sections: Any) -> AsyncIterator[Party]:
    """Run a gateway; everybody who entered leaves in the end."""
    async with house(folder, roles or TEAM, agents=AGENTS, **sections) as here:
        made = Party(here.running, here.provider, here.http)
        made.wires = []
        yield made
        for wire in made.wires:
            await wire.leave()
        await made.running.stop()


async def furnish(here: Party, alice: Wire) -> dict[str, str]:
    """Give Alice conversations, a run that goes on, requests to people, a memory and a response; return their names."""
    for run, key in (("alice-1", KEY), ("alice-2", MAIN)):
        await alice.get("agent", message=f"{MARK} says", sessionKey=key, idempotencyKey=run)
        await alice.get("agent.wait", runId=run, timeoutMs=10_000)
    await alice.get("sessions.patch", key=KEY, label=f"{MARK} label")
    await alice.get("sessions.groups.put", names=[f"{MARK} group"])
    await alice.get("users.prefs.set", entries={"theme": MARK})
    await alice.get("tools.invoke", name="memory_store", args={"text": MARK})
    await alice.get("agent", message=f"{MARK} waits", agentId="slow", sessionKey=HELD, idempotencyKey="alice-run")
    await alice.get("exec.approval.request", command=f"echo {MARK}", id="alice-asks", timeoutMs=600_000, twoPhase=True)
    asked = {"title": MARK, "description": MARK, "timeoutMs": 600_000, "twoPhase": True}
    plugin = (await alice.get("plugin.approval.request", **asked))["id"]
    questions = [{"questionId": "q", "header": "?", "question": MARK, "options": []}]
    await alice.get("question.request", questions=questions, id="alice-query")
    bearer = {"Authorization": f"Bearer {here.token('alice')}"}
    url = here.running.http_url + "/v1/responses"
    async with here.http.post(url, json={"model": "openclaw", "input": MARK}, headers=bearer) as answer:
        response = (await answer.json())["id"]
    root = await here.enter("root", "boss")
    schedule = {"name": MARK, "schedule": {"kind": "every", "everyMs": 3_600_000}, "wakeMode": "next-heartbeat"}
    payload = {"kind": "agentTurn", "message": MARK}
    job = (await root.get("cron.add", **schedule, sessionTarget="isolated", payload=payload))["id"]
    listed = {row["sessionId"]: row["key"] for row in (await root.get("sessions.list"))["sessions"]}
    session = (await alice.get("sessions.describe", key=KEY))["session"]
    main = (await alice.get("sessions.describe", key=MAIN))["session"]
    assert (session["key"], main["key"]) == (KEY, "agent:main:main"), "her own names are what she sees"
    return {
        "response": response,
        "session_id": session["sessionId"],
        "short_id": session["sessionId"][:8],
        "main_id": main["sessionId"],
        "message_id": f"{session['sessionId']}-1",
        "whole": listed[session["sessionId"]],
        "whole_main": listed[main["sessionId"]],
        "plugin": plugin,
        "job": job,
        "key": KEY,
        "held": HELD,
        "run": "alice-run",
        "approval": "alice-asks",
        "question": "alice-query",
        "query": MARK,
    }


def nobodys(names: dict[str, str]) -> dict[str, str]:
    """Return names that look like Alice's, of things that are not there."""
    swapped = {name: value.replace("alice", "nobod") for name, value in names.items()}
    for name in ("response", "session_id", "main_id", "plugin", "job"):
        tail = names[name][-6:]
        swapped[name] = names[name][:-6] + "".join("0" if letter == "1" else "1" for letter in tail)
    swapped["short_id"], swapped["message_id"] = swapped["session_id"][:8], f"{swapped['session_id']}-1"
    if swapped["short_id"] == names["short_id"]:
        swapped["short_id"] = "f" * 8
    return swapped


def aims(names: dict[str, str]) -> list[tuple[str, str]]:
    """Return session keys and message ids that a method is aimed at by."""
    return [
        (names["key"], names["message_id"]),
        (names["whole_main"], f"{names['main_id']}-1"),
        (names["held"], f"{names['run']}:user"),
    ]


def aimed(name: str, names: dict[str, str], key: str, message: str) -> dict[str, Any]:
    """Return parameters of a method that name what is Alice's wherever they can."""
    spec = next(each for each in METHODS if each.name == name)
    schema, definitions = _schema(spec.params)
    fields = definitions[schema["$ref"].rsplit("/", 1)[-1]]["properties"]
    family = name.split(".")[0]
    one = {"question": names["question"], "plugin": names["plugin"], "cron": names["job"]}.get(family)
    hers: dict[str, Any] = {
        "sessionKey": key,
        "key": key,
        "sessionKeys": [key],
        "keys": [key],
        "parentSessionKey": key,
        "spawnedBy": key,
        "runId": names["run"],
        "inputRunIds": [names["run"]],
        "sessionId": names["session_id"],
        "targets": [{"key": key}],
        "entryId": message,
        "messageId": message,
        "query": names["query"],
        "search": names["query"],
        "id": one or names["approval"],
        "jobId": names["job"],
    }
    if name == "sessions.resolve":
        return {"key": key} if key != names["held"] else {"sessionId": names["session_id"]}
    if name == "chat.startup" and key == names["held"]:
        return {"shortId": names["short_id"], "agentId": "main"}
    if family == "cron":  # which of them names the job differs by method, and only one may
        hers.pop("jobId" if "id" in fields else "id", None)
    asked = {**GOOD.get(name, {}), **{field: value for field, value in hers.items() if field in fields}}
    if "timeoutMs" in fields:  # what is asked stays asked while others wait for it
        asked["timeoutMs"] = 600_000 if name == "question.request" else 20
    if "idempotencyKey" in fields:
        asked["idempotencyKey"] = f"{name} {key}"
    if "label" in asked:
        asked["label"] = key
    if name == "plugin.approval.request" or (name.endswith(".request") and key != names["key"]):
        asked.pop("id", None)  # it is the caller's own by then
    return asked


QUIET: Final = frozenset(("gateway.restart.request",))
"""Not called: it would end the gateway (an administrator's act)."""

OWN_GROWS: Final = frozenset(
    (
        *("health", "status", "sessions.list", "sessions.usage", "sessions.groups.list", "usage.cost", "usage.totals"),
        *("logs.tail", "diagnostics.lanes", "diagnostics.stability", "sessions.storage.status", "memory.search"),
        *(
            "system-presence",
            "sessions.create",
            "sessions.search",
            "usage.status",
            "chat.send",
            "agent",
            "sessions.send",
        ),
        *("exec.approval.list", "plugin.approval.list", "approval.history", "question.list", "sessions.groups.put"),
    )
)
"""What the caller's own earlier calls change the answers of: of these only what is told is looked at."""

SPEAK: Final = ("agent", "sessions.create", "sessions.send")
"""Methods that begin runs, of the caller's own."""

_SHIFTING: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}|\b[0-9a-f]{32,}|\b[0-9a-f]{8}\b|[0-9]+")


def alike(answer: dict[str, Any], names: dict[str, str]) -> str:
    """Return an answer without what differs between any two calls, and without what was asked by."""
    text = json.dumps({name: answer.get(name) for name in ("ok", "payload", "error")}, sort_keys=True)
    for value in sorted({*names.values()}, key=len, reverse=True):
        text = text.replace(value, "~")
    text = text.replace("nobod", "alice")
    return _SHIFTING.sub("#", text)


async def look(alice: Wire) -> dict[str, Any]:
    """Return all of Alice's things as she sees them."""
    session = (await alice.get("sessions.describe", key=KEY))["session"]
    approvals = await alice.get("exec.approval.list")
    held = (await alice.get("sessions.describe", key=HELD))["session"]
    return {
        "session": {name: session.get(name) for name in ("sessionId", "label", "updatedAt", "model", "thinkingLevel")},
        "history": (await alice.get("chat.history", sessionKey=KEY))["messages"],
        "main": (await alice.get("chat.history", sessionKey=MAIN))["messages"],
        "approvals": sorted(row["id"] for row in approvals),
        "plugin": len(await alice.get("plugin.approval.list")),
        "questions": len((await alice.get("question.list"))["questions"]),
        "groups": await alice.get("sessions.groups.list"),
        "prefs": await alice.get("users.prefs.get"),
        "memory": len((await alice.get("memory.search", query=MARK))["results"]),
        "held": held["sessionId"],
    }


def strangers_words(wire: Wire, names: dict[str, str]) -> list[str]:
    """Return the frames that tell what only Alice's things say. What was asked by may be given back."""
    asked = f'"{MARK}"'
    secrets = (MARK, names["main_id"], "alices-marker")
    return [frame[:400] for frame in wire.frames if any(each in frame.replace(asked, "") for each in secrets)]


async def try_everything(other: Wire, names: dict[str, str], nobody: dict[str, str]) -> None:
    """Call every method and command with Alice's names and with nobody's, and compare what is told."""
    pairs = tuple(zip(aims(names), aims(nobody), strict=True))
    for spec in METHODS:
        if spec.name in QUIET or spec.role == "node":
            continue
        for (key, message), (no_key, no_message) in pairs:
            if spec.name in SPEAK and key == HELD:
                continue  # a run of the caller's own would go on for ever
            params, no_params = aimed(spec.name, names, key, message), aimed(spec.name, nobody, no_key, no_message)
            hers = await other.ask(spec.name, params)
            if params == no_params or (hers.get("error") or {}).get("message", "").startswith("missing scope"):
                break  # it names nothing; or it is refused whatever it names: tests/authorisation has the scopes
            none = await other.ask(spec.name, no_params)
            if spec.name in SPEAK and "runId" in (hers.get("payload") or {}):
                for each in (key, no_key):
                    await other.ask("agent.wait", {"runId": f"{spec.name} {each}", "timeoutMs": 5000})
            paced = "RATE_LIMITED" in json.dumps((hers.get("error"), none.get("error")))
            assert not paced or key != names["key"], "the first pair is always answered"
            if spec.name not in OWN_GROWS and not paced:
                assert alike(hers, names) == alike(none, nobody), (spec.name, key)
    for command in (*COMMANDS, "stop", "approve alice-asks allow-once"):
        for (key, _), (no_key, _) in pairs:
            said, once = {"message": f"/{command}"}, command.partition(" ")[0]
            hers = await other.ask("chat.send", {"sessionKey": key, **said, "idempotencyKey": f"{once} {key}"})
            if not hers["ok"] and hers["error"]["message"].startswith("missing scope"):
                break
            none = await other.ask("chat.send", {"sessionKey": no_key, **said, "idempotencyKey": f"{once} {no_key}"})
            assert alike(hers, names) == alike(none, nobody), (command, key)
    her_mark = names["whole"].split(":")[2]
    lines = (await other.get("logs.tail"))["lines"]
    assert [line for line in lines if her_mark in line] == []


OTHERS: Final = {"bob": "staff", "vera": "guests", "april": "deciders"}


async def test_by_no_method_and_no_command(tmp_path: Path) -> None:
    async with party(tmp_path) as here:
        alice = await here.enter("alice")
        names = await furnish(here, alice)
        before = await look(alice)
        others = [await here.enter(name, group) for name, group in OTHERS.items()]
        for other in others:
            await other.get("sessions.subscribe")
            for key, _ in aims(names):
                await other.ask("sessions.messages.subscribe", {"key": key})
        await asyncio.gather(*(try_everything(other, names, nobodys(names)) for other in others))
        assert [strangers_words(other, names) for other in others] == [[], [], []]
        assert await look(alice) == before
        assert (await alice.get("agent.wait", runId="alice-run", timeoutMs=1))["status"] == "timeout"
        aborted = await alice.get("chat.abort", sessionKey=HELD, runId="alice-run")
        assert aborted["aborted"] is True
        assert aborted["runIds"] == ["alice-run"]


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
    async with party(tmp_path) as here:
        alice = await here.enter("alice")
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
                    for key in ("", KEY, HELD, names["whole"]):
                        extra = {"x-openclaw-session-key": key} if key else {}
                        text = json.dumps(body).replace("{response}", names["response"]) if body is not None else None
                        url = here.running.http_url + where.replace("{response}", names["response"])
                        headers = _bearer(token) | extra | ({"Content-Type": "application/json"} if text else {})
                        async with here.http.request(verb, url, data=text, headers=headers) as answer:
                            assert MARK not in await answer.text(), (place, key)
                            told = (place, key, await answer.text())
                            if key == names["whole"] and place[1] in ("/v1/chat/completions", "/v1/responses"):
                                assert answer.status == 404, told
                            assert ("{id}" not in path) or answer.status == 404, told
        tools = (await (await here.enter("bob")).get("tools.catalog"))["groups"]
        offered = {tool["id"] for group in tools for tool in group["tools"]}
        for name in sorted(offered):
            for key in (KEY, HELD, names["whole"], "agent:main:bobs-own"):
                call = {"tool": name, "args": TOOLS.get(name, {}), "sessionKey": key}
                url = here.running.http_url + "/tools/invoke"
                async with here.http.post(url, json=call, headers=_bearer(token)) as answer:
                    found = (await answer.text()).replace(f"search for {MARK}", "")
                    assert MARK not in found or name in ("memory_search", "search_files"), (name, found)
                    assert "says" not in found, (name, found)
        assert await look(alice) == before
        assert (await alice.get("agent.wait", runId="alice-run", timeoutMs=1))["status"] == "timeout"
        assert TOOLS.keys() & offered


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def test_an_administrator_sees_all_and_that_is_written(tmp_path: Path) -> None:
    async with party(tmp_path) as here:
        alice, root = await here.enter("alice"), await here.enter("root", "boss")
        names = await furnish(here, alice)
        assert MARK not in json.dumps(await root.get("chat.history", sessionKey=KEY)), "it is his own of that name"
        assert MARK in json.dumps(await root.get("chat.history", sessionKey=names["whole"]))
        assert MARK in json.dumps(await root.get("sessions.list"))
        rows = (await root.get("audit.query", kinds=["admin"]))["rows"]
        told = {(row["target"], row["owner"].rpartition(":")[2]) for row in rows if row["action"] == "session.read"}
        assert {(names["whole"], "root"), ("*", "root")} <= told
        assert {owner for _, owner in told} == {"root"}
        for method in ("exec.approval.list", "question.list", "cron.list"):
            assert MARK in json.dumps(await operator_sees(here, method)), method
        actions = {row["action"] for row in (await root.get("audit.query", kinds=["admin"]))["rows"]}
        assert {"session.read", "approval.read", "job.read", "event.read"} <= actions
        async with await here.running.connect(scopes=("operator.admin",)) as operator:
            await operator.call("chat.inject", {"sessionKey": names["whole"], "message": "from above"})
            await operator.call("agent", {"message": "mine", "sessionKey": MAIN, "idempotencyKey": "alice-2"})
        assert "from above" in json.dumps(await alice.get("chat.history", sessionKey=KEY))
        keys = {row["key"] for row in (await root.get("sessions.list"))["sessions"]}
        assert {names["whole"], names["whole_main"], "agent:main:@operator:main"} <= keys
        theirs = await root.get("chat.history", sessionKey="agent:main:@operator:main")
        assert "mine" in json.dumps(theirs["messages"])
        await root.get("agent", message="roots", sessionKey=MAIN, idempotencyKey="alice-2")
        mine = await root.get("chat.history", sessionKey="agent:main:main")
        assert (mine["sessionKey"], "mine" in json.dumps(mine["messages"])) == ("agent:main:main", False)
        refused = await root.ask(
            "chat.send", {"sessionKey": names["whole_main"], "message": "as her", "idempotencyKey": "as-her"}
        )
        assert not refused["ok"], "who sees all still speaks for himself alone"


async def operator_sees(here: Party, method: str) -> Any:
    """Ask as the one who holds the shared token."""
    async with await here.running.connect(scopes=("operator.admin",)) as operator:
        return await operator.call(method)


async def test_a_role_keeps_to_its_agents_and_models_everywhere(tmp_path: Path) -> None:
    roles = {
        "user": {"groups": ["staff"], "agents": ["main"], "models": ["fake/echo"]},
        "team": {"groups": ["poor"], "scopes": ["operator.write"], "models": ["other/*"]},
    }
    async with party(tmp_path, roles) as here:
        bob, poor = await here.enter("bob"), await here.enter("poor", "poor")
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


async def test_two_people_on_main_at_once_have_two_conversations(tmp_path: Path) -> None:
    async with party(tmp_path) as here:
        people = {name: await here.enter(name) for name in ("alice", "bob")}
        for wire in people.values():
            await wire.get("sessions.subscribe")
        await asyncio.gather(*(converse(here, wire, name) for name, wire in people.items()))
        told = await histories(people)
        for name, other in (("alice", "bob"), ("bob", "alice")):
            assert f"{name} 4 by socket" in told[name]
            assert f"{name} by http" in told[name]
            assert f"fake: {name}" in told[name]
            assert other not in told[name]
            events = [json.loads(frame) for frame in people[name].frames if '"event":"chat"' in frame]
            assert {event["payload"]["sessionKey"] for event in events} == {"agent:main:main"}
            assert {f"same-{number}" for number in range(5)} <= {event["payload"]["runId"] for event in events}
            assert other not in "".join(people[name].frames)
        await lanes_are_apart(people)
        await here.again()
        people = {name: await here.enter(name) for name in people}
        assert await histories(people) == told


async def converse(here: Party, wire: Wire, name: str) -> None:
    """Speak on `main` by the socket and by a real client of the OpenAI API, under names that the other uses too."""
    client = AsyncOpenAI(base_url=f"{here.running.http_url}/v1", api_key=here.token(name), max_retries=0)
    for number in range(5):
        said = {"sessionKey": "main", "message": f"{name} {number} by socket", "idempotencyKey": f"same-{number}"}
        assert (await wire.get("chat.send", **said))["runId"] == f"same-{number}"
        assert (await wire.get("agent.wait", runId=f"same-{number}", timeoutMs=10_000))["status"] == "ok"
    for headers in ({"x-openclaw-session-key": "main"}, {"x-openclaw-session-key": "agent:main:main"}):
        asked = [{"role": "user", "content": f"{name} by http"}]
        answer = await client.chat.completions.create(
            model="openclaw",
            messages=asked,  # type: ignore[arg-type]  # a dict of the shape
            user="team",
            extra_headers=headers,
        )
        assert answer.choices[0].message.content == f"fake: {name} by http"
    await client.close()


async def histories(people: dict[str, Wire]) -> dict[str, str]:
    """Return what each sees of `main`."""
    return {
        name: json.dumps((await wire.get("chat.history", sessionKey="main"))["messages"])
        for name, wire in people.items()
    }


async def lanes_are_apart(people: dict[str, Wire]) -> None:
    """One's run on a session does not make the other's wait, and stopping it stops one's own."""
    for name, wire in people.items():
        await wire.get("chat.send", sessionKey="agent:slow:main", message=name, idempotencyKey="long")
    waiting = [
        (await wire.get("chat.history", sessionKey="agent:slow:main"))["pendingInputs"]["total"]
        for wire in people.values()
    ]
    assert waiting == [0, 0]
    alice, bob = people.values()
    stopped = await alice.get("chat.send", sessionKey="agent:slow:main", message="/stop", idempotencyKey="halt")
    assert stopped["runIds"] == ["long"]
    assert (await bob.get("agent.wait", runId="long", timeoutMs=1))["status"] == "timeout"
    assert (await bob.get("chat.abort", sessionKey="agent:slow:main"))["runIds"] == ["long"]


async def shows_no_more_than_the_role_allows(here: Party, bob: Wire) -> None:
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
    async with party(tmp_path, roles, models=models) as here:
        bob, root = await here.enter("bob"), await here.enter("root", "boss")
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
