"""Two authorisers, written apart, say the same of a hundred thousand requests; and nothing is outside of the matrix."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import msgspec
import pytest

from openclaw.base import own_names
from openclaw.base.errors import Forbidden, NotFound, Unauthorized
from openclaw.base.ids import OwnerId, SessionKey
from openclaw.base.principal import Limits, Principal
from openclaw.config.schema import RoleConfig
from openclaw.identity.locality import Source
from openclaw.identity.roles import Roles
from openclaw.identity.scopes import KNOWN, granted
from openclaw.listeners.app import App
from openclaw.listeners.http import Request
from openclaw.listeners.router import Match, Route
from openclaw.protocol.frames import Request as Frame
from openclaw.rpc import commands
from openclaw.rpc.build import METHODS as SPECS
from openclaw.rpc.counter import Counter
from tests.authorisation import authoriser
from tests.authorisation.matrix import METHODS, ROUTES
from tests.listeners.fakes import world
from tests.rpc.good import GOOD
from tests.rpc.support import Bench, FakePeer

pytestmark = pytest.mark.anyio

SCOPES: Final = (*sorted(KNOWN), "operator.root", "OPERATOR.ADMIN", "operator", "*", "admin", "")
RPC_CASES, HTTP_CASES, ROLE_CASES, NAME_CASES = 50_000, 25_000, 10_000, 15_000


def test_every_method_is_in_the_matrix_with_its_scope() -> None:
    ours = {spec.name: "nodes only" if spec.role == "node" else spec.scope or "any operator" for spec in SPECS}
    assert ours == METHODS
    assert {spec.role for spec in SPECS} == {"operator", "node"}


def test_every_command_is_in_the_matrix() -> None:
    assert {name: each.scope for name, each in commands.COMMANDS.items()} == authoriser.COMMANDS


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    made = Bench(tmp_path, state_dir=tmp_path)
    yield made
    await made.close()


def some(draw: random.Random) -> frozenset[str]:
    return frozenset(draw.sample(SCOPES, draw.choice((0, 1, 1, 1, 2, 3))))


def outcome(answer: dict[str, Any], method: str) -> str:
    if answer["ok"]:
        return "served"
    message = answer["error"]["message"]
    if message.startswith("unauthorized role"):
        return "role"
    if message.startswith("missing scope: "):
        return f"missing {message.removeprefix('missing scope: ')}"
    if message.startswith("none of your roles may talk to"):
        return "agent"
    return "unknown" if message == f"unknown method: {method}" else f"?? {message}"


AGENTS: Final = ("main", "bob")


def about(draw: random.Random, good: dict[str, Any]) -> dict[str, Any]:
    """Return parameters that name one agent or the other, where they name any."""
    given = dict(good)
    if "agentId" in given:
        given["agentId"] = draw.choice(AGENTS)
    for name in ("sessionKey", "key"):
        if str(given.get(name, "")).startswith("agent:main:"):
            given[name] = f"agent:{draw.choice(AGENTS)}:x"
    return given


async def test_of_calls_they_say_the_same(bench: Bench) -> None:
    reached = [dataclasses.replace(spec, handler=lambda room, peer, params: b"{}", rate=None) for spec in SPECS]
    counter = Counter(dataclasses.replace(bench.deps, ledger=None), reached)
    names = [*METHODS, "config.Set", "config.set ", "nothing", "", "agent\x00"]
    draw, seen = random.Random(4711), set()
    for number in range(RPC_CASES):
        name, protocol = draw.choice(names), draw.choice((3, 4))
        role, scopes = draw.choice(("operator", "operator", "operator", "node")), some(draw)
        peer = FakePeer(protocol, tuple(scopes), owner=f"u{number % 7}", role=role)  # type: ignore[arg-type]
        agents = draw.choice((None, None, ("main",), ("bob",), ("*",), ()))
        peer.principal = msgspec.structs.replace(peer.principal, limits=Limits(agents=agents))
        given = about(draw, GOOD.get(name, {})) if draw.random() < 0.9 else {"unheardOf": 1}
        answer = counter.handle(peer, Frame("1", name, msgspec.Raw(msgspec.json.encode(given))))
        assert isinstance(answer, bytes)
        ours, theirs = outcome(msgspec.json.decode(answer), name), authoriser.method(name, protocol, role, scopes)
        if theirs == "served" and ours.startswith(("?? invalid", "?? session mutation target")):
            ours = "served"  # past the door, and refused for what it says
        elif theirs == "served" and not authoriser.reaches(given, agents):
            theirs = "agent"
        assert ours == theirs, (name, protocol, role, scopes, agents, given)
        seen.add(ours.partition(" ")[0])
    assert seen == {"served", "role", "missing", "unknown", "agent"}
    await counter.close()


async def test_of_requests_they_say_the_same() -> None:
    async with world(ui=True) as here:
        app = here.app
        patterns = [(verb, route.path) for route in app.router.routes for verb in route.methods if verb != "HEAD"]
        missing = {f"{verb} {path}" for verb, path in patterns} - ROUTES.keys()
        assert missing == set(), "say in tests/authorisation/matrix.py whom these are for"
        by_place = {(verb, route.path): route for route in app.router.routes for verb in route.methods}
        draw, seen = random.Random(815), set()
        for _ in range(HTTP_CASES):
            place = draw.choice(patterns)
            scopes, signed_in = some(draw), draw.random() < 0.7
            source = draw.choice(
                (
                    Source("127.0.0.1", True),
                    Source("127.0.0.1", True, True, "own"),
                    Source("127.0.0.1", True, True, "foreign"),
                    Source("9.9.9.9", False),
                )
            )
            ours = await judged(app, by_place[place], source, scopes if signed_in else None)
            theirs = authoriser.route(
                *place, signed_in=signed_in, here=source.direct, page=source.browser != "no", scopes=scopes
            )
            assert ours == theirs, (place, source, scopes, signed_in)
            seen.add(ours.partition(" ")[0])
        assert seen == {"served", "missing", "unauthorized"}


async def judged(app: App, route: Route, source: Source, scopes: frozenset[str] | None) -> str:
    """Return what the app makes of a request at a route, with a handler that only says that it was reached."""
    reached: list[bool] = []

    async def handler(request: Request) -> None:
        reached.append(True)

    class Door:
        """Knows one caller, or none."""

        def __init__(self) -> None:
            self.holders: set[Any] = set()

        def wants(self, source: Source) -> bool:
            return False

        def left_s(self, principal: Principal) -> None:
            return None

        def http(self, headers: Any, source: Source) -> Principal:
            if scopes is None:
                raise Unauthorized("no")
            return Principal(owner=OwnerId("somebody"), scopes=scopes)

    request = Request({"method": "GET"}, None, None, {}, source)  # type: ignore[arg-type]  # nothing is read or sent
    deps, app._deps = app._deps, dataclasses.replace(app._deps, authenticator=Door())  # type: ignore[arg-type]
    try:
        await app._run(request, dataclasses.replace(route, handler=handler), Match(route, {}), source)
    except Unauthorized:
        return "unauthorized"
    except Forbidden as error:
        return f"missing {error.details['missingScope']}"
    finally:
        app._deps = deps
    assert reached
    return "served"


def test_of_roles_commands_and_narrowing_they_say_the_same() -> None:
    draw = random.Random(42)
    names = ("viewer", "user", "operator", "approver", "admin", "team", "Admin")
    groups, people = ("a", "b", "c", "admin", "*"), ("alice", "bob", "admin", "*")
    for _ in range(ROLE_CASES):
        config: dict[str, dict[str, Any]] = {}
        for name in draw.sample(names, draw.randint(0, 4)):
            role: dict[str, Any] = {"groups": draw.sample(groups, draw.randint(0, 2))}
            role["users"] = draw.sample(people, draw.randint(0, 1))
            if draw.random() < 0.5:
                role["scopes"] = draw.sample(sorted(KNOWN), draw.randint(0, 3))
            config[name] = role
        made = {
            name: RoleConfig(
                groups=tuple(role["groups"]),
                users=tuple(role["users"]),
                scopes=tuple(role["scopes"]) if "scopes" in role else None,
            )
            for name, role in config.items()
        }
        who, member = draw.choice(people[:3]), draw.sample(groups[:4], draw.randint(0, 2))
        ours = Roles(made).of(who, tuple(member))
        held, scopes = authoriser.roles(config, who, member)
        assert (set(ours.roles), set(ours.scopes)) == (held, scopes)
        asked = draw.sample(SCOPES, draw.randint(0, 4))
        assert granted(asked, ours.scopes) == authoriser.granted(asked, frozenset(scopes), KNOWN)
        name = draw.choice(list(authoriser.COMMANDS))
        try:
            commands.check(Principal(scopes=ours.scopes), name)
            told = "served"
        except Forbidden as error:
            told = f"missing {error.details['missingScope']}"
        assert told == authoriser.command(name, frozenset(scopes))


def test_of_names_of_sessions_they_say_the_same() -> None:
    draw, seen = random.Random(99), set()
    people = ("operator", "proxy:alice", "proxy:bob", "oidc:1a2b3c4d:ünser@x.example", "alb:0:100%", "@a")
    for _ in range(NAME_CASES):
        owner, oversees = draw.choice(people), draw.random() < 0.4
        scopes = frozenset(("operator.admin",)) if oversees and draw.random() < 0.5 else frozenset(("operator.write",))
        limits = Limits(sessions="all") if oversees and "operator.admin" not in scopes else None
        who = Principal(owner=OwnerId(owner), scopes=scopes, limits=limits)
        mark = draw.choice(("", "", f"@{quote(draw.choice(people), safe='')}:", "@", "@x:", "x@y:"))
        name = SessionKey(
            f"agent:{draw.choice(('main', 'a-1'))}:{mark}{draw.choice(('main', 'a:b', '@b', '@b:c', 'sub:1:2'))}"
        )
        theirs = authoriser.session(owner, oversees, name)
        try:
            kept = own_names.kept_key(who, name)
        except NotFound:
            assert theirs is None, (owner, name)
        else:
            assert (own_names.owner_of(kept), own_names.plain(kept)) == theirs, (owner, oversees, name, kept)
            assert own_names.kept_key(who, own_names.called(who, kept)) == kept
        seen.add(None if theirs is None else theirs[0] == owner)
    assert seen == {None, True, False}
