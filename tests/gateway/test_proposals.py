"""An agent proposes, an administrator decides, and only then, and only to the file as it was, a change is made."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from openclaw.base.clock import ManualClock
from openclaw.base.errors import InvalidRequest, NotFound, TooLarge, Unavailable
from openclaw.base.ids import AgentId, OwnerId, RunId, SessionKey
from openclaw.base.principal import Principal
from openclaw.gateway import proposals
from openclaw.gateway.proposals import MAX_WAITING, Proposals
from openclaw.policy.approval import Approval
from openclaw.policy.approvals import Approvals
from openclaw.policy.ledger import Ledger
from openclaw.rpc.approval_rows import pending_row, snapshot
from openclaw.store.audit import Row, Wanted
from openclaw.store.sqlite import SqliteStore
from openclaw.tools.api import ToolContext
from tests.gateway.test_config_desk import House

pytestmark = pytest.mark.anyio

ANN = Principal(owner=OwnerId("ann"), scopes=frozenset(("operator.write", "operator.approvals")))
ROOT = Principal(owner=OwnerId("root"), scopes=frozenset(("operator.admin",)))


class Desk:
    """A desk of proposals over a real file, store and ledger."""

    def __init__(self, folder: Path, store: SqliteStore) -> None:
        self.house = House(folder, store)
        self.store, self.clock = store, self.house.clock
        self.approvals = Approvals(store.shelf, self.clock)
        self.proposals = Proposals(self.house.desk, self.approvals, Ledger(store.audit, self.clock))
        self.context = ToolContext(
            principal=ANN,
            agent_id=AgentId("main"),
            session_key=SessionKey("agent:main:main"),
            run_id=RunId("r1"),
            workspace=folder,
        )

    async def restart(self) -> None:
        """Make desks anew over the same store and file."""
        self.approvals = Approvals(self.store.shelf, self.clock)
        await self.approvals.open()
        self.proposals = Proposals(self.house.desk, self.approvals, Ledger(self.store.audit, self.clock))

    async def propose(self, patch: dict[str, Any], why: str = "it is needed") -> Approval:
        proposal = await self.proposals.propose(self.context, patch, why)
        return await self.approvals.get(ROOT, proposal, "plugin")

    async def decide(self, proposal: Approval, by: Principal = ROOT, decision: Any = "allow-once") -> None:
        await self.approvals.decide(by, proposal.id, decision)
        for task in list(self.proposals._tasks._tasks):
            await task

    async def rows(self) -> list[Row]:
        return await self.store.audit.query(Wanted(kinds=("config",), last_first=False))

    @property
    def text(self) -> str:
        return self.house.file.read_text()


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with made(tmp_path) as found:
        yield found


@asynccontextmanager
async def made(folder: Path) -> AsyncIterator[Desk]:
    store = await SqliteStore.open(folder / "s.db", clock=ManualClock())
    found = Desk(folder, store)
    yield found
    await found.proposals.close()
    await found.approvals.close()
    await store.close()


async def test_whoever_decides_is_told_of_text_from_outside_and_so_is_the_ledger(desk: Desk) -> None:
    clean = await desk.propose({"logging": {"level": "debug"}})
    desk.context = msgspec.structs.replace(desk.context, tainted="web_fetch")
    tainted = await desk.propose({"logging": {"level": "error"}})
    assert "from outside" not in clean.request["description"]
    assert "text from outside (web_fetch)" in tainted.request["description"]
    assert [row.entry.tainted for row in await desk.rows()] == [False, True]


async def test_an_approved_proposal_is_made_by_the_one_who_approved_it(desk: Desk) -> None:
    before = desk.text
    proposal = await desk.propose({"logging": {"level": "debug"}})
    assert desk.text == before
    await desk.decide(proposal)
    assert "'debug'" in desk.text
    assert "// ours" in desk.text
    assert desk.house.loaded.config.logging.level == "debug"
    rows = [(row.entry.owner, row.entry.action, row.entry.answer, row.entry.rule) for row in await desk.rows()]
    assert rows == [
        ("ann", "propose", "ask", "proposal"),
        ("root", "config.propose", "allow", "proposal.approved"),
    ]
    assert (await desk.rows())[1].entry.facts == {"proposal": proposal.id, "proposer": "ann", "agent": "main"}
    (record,) = desk.house.ledger.records()
    assert (record.owner, record.method) == ("root", "config.propose")
    assert "ann" in record.reason
    assert proposal.id in record.reason


async def test_what_opens_a_door_is_marked_and_stands_first_and_whole(desk: Desk) -> None:
    hosts = [f"h{number}.example.com" for number in range(40)]
    patch = {"identity": {"name": "A"}, "networkPolicy": {"allowEgress": True, "egressAllowlist": hosts}}
    shown = (await desk.propose(patch)).request
    assert shown["severity"] == "critical"
    assert "2 of them may open a door" in shown["description"]
    lines = shown["detail"].splitlines()
    assert lines[0] == "LOOSER networkPolicy.allowEgress: false -> true"
    assert lines[1].startswith("LOOSER networkPolicy.egressAllowlist: [] -> ")
    assert all(host in lines[1] for host in hosts)
    assert lines[2].startswith("identity.name: ")
    assert "egress, tools reach: the list alone (production) -> any public host (developer)" in lines


async def test_what_tightens_is_not_marked(desk: Desk) -> None:
    shown = (await desk.propose({"dmPolicy": {"mode": "disabled"}, "tools": {"exec": {"security": "deny"}}})).request
    assert (shown["severity"], "LOOSER" in shown["detail"]) == ("warning", False)


async def test_only_an_administrator_sees_and_decides_it(desk: Desk) -> None:
    before = desk.text
    proposal = await desk.propose({"logging": {"level": "debug"}})
    assert desk.approvals.pending(ANN, "plugin") == []
    assert desk.approvals.pending(ROOT, "plugin") == [proposal]
    for by in (ANN, Principal(owner=OwnerId("ben"), scopes=ANN.scopes), Principal(owner=OwnerId("root"))):
        with pytest.raises(NotFound):
            await desk.decide(proposal, by)
    assert desk.text == before


async def test_a_denied_or_expired_proposal_changes_nothing(desk: Desk) -> None:
    before = desk.text
    await desk.decide(await desk.propose({"logging": {"level": "debug"}}), decision="deny")
    late = await desk.propose({"logging": {"level": "error"}})
    desk.clock.advance(100_000)
    with pytest.raises(NotFound):
        await desk.decide(late)
    assert desk.text == before


async def test_a_proposal_to_a_file_that_has_changed_since_is_refused(desk: Desk) -> None:
    proposal = await desk.propose({"networkPolicy": {"allowEgress": True}})
    changed = desk.text.replace("// ours", "// theirs")
    desk.house.file.write_text(changed)
    await desk.decide(proposal)
    assert desk.text == changed
    last = (await desk.rows())[-1].entry
    assert (last.answer, last.rule) == ("deny", "proposal.failed")
    assert "changed since" in last.reason


async def test_without_its_row_in_the_ledger_an_approved_change_is_not_made(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = desk.text
    proposal = await desk.propose({"logging": {"level": "debug"}})

    async def full(*_: Any) -> None:
        raise Unavailable("the disk is full")

    monkeypatch.setattr(desk.store.audit, "append", full)
    with pytest.raises(Unavailable):
        await desk.decide(proposal)
    assert desk.text == before


async def test_a_proposal_waits_across_a_restart_and_is_bound_to_its_file_and_time(desk: Desk) -> None:
    first = await desk.propose({"logging": {"level": "debug"}})
    second = await desk.propose({"logging": {"level": "error"}})
    await desk.approvals.close()
    await desk.restart()
    assert {row.id for row in desk.approvals.pending(ROOT, "plugin")} == {first.id, second.id}
    assert desk.approvals.pending(ANN, "plugin") == []
    await desk.decide(first)
    assert desk.house.loaded.config.logging.level == "debug"
    await desk.decide(second)
    assert desk.house.loaded.config.logging.level == "debug"
    assert (await desk.rows())[-1].entry.rule == "proposal.failed"
    third = await desk.propose({"logging": {"level": "warning"}})
    desk.clock.advance(86_400)
    await desk.approvals.close()
    await desk.restart()
    assert desk.approvals.pending(ROOT, "plugin") == []
    assert (await desk.approvals.get(ROOT, third.id)).status in ("expired", "cancelled")


async def test_what_is_kept_for_the_change_is_shown_to_nobody(desk: Desk) -> None:
    proposal = await desk.propose({"logging": {"level": "debug"}})
    assert set(proposal.kept) == {"patch", "base", "target"}
    assert "base" not in str(pending_row(proposal)) + str(snapshot(proposal))


@pytest.mark.parametrize(
    "patch",
    [
        {"gateway": {"auth": {"token": "x" * 40}}},
        {"gateway": {"auth": {"mode": "none"}}},
        {"gateway": {"auth": None}},
        {"gateway": None},
        {"gateway": "none"},
        {"env": None},
        {"gateway": []},
        {"gateway": {"remote": {"url": "ws://evil"}}},
        {"secrets": {"providers": {"p": {"source": "exec", "command": "/bin/sh"}}}},
        {"env": {"vars": {"PATH": "/evil"}}},
        {"models": {"providers": {"p": {"apiKey": "sk-1"}}}},
        {"identity": {"name": "${ANTHROPIC_API_KEY}"}},
        {"identity": {"name": {"source": "env", "provider": "default", "id": "ANTHROPIC_API_KEY"}}},
        {"identity": {"$include": "/etc/passwd"}},
        {"$include": ["/etc/passwd"]},
        {"mcp": {"servers": {"a": {"command": "x", "env": {"LD_PRELOAD": "y"}}}}},
        {"channels": {"telegram": {"botToken": "1:x"}}},
        {"hooks": {"token": "t"}},
    ],
)
async def test_credentials_and_who_may_sign_in_cannot_be_proposed(desk: Desk, patch: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest, match="cannot be proposed"):
        await desk.propose(patch)
    assert desk.approvals.pending(ROOT, "plugin") == []


@pytest.mark.parametrize(
    "patch", [{}, {"logging": {}}, {"logging": {"level": "loud"}}, {"nobody": {"knows": 1}}, {"x": None}]
)
async def test_what_would_change_nothing_or_break_the_file_is_not_put_before_anybody(desk: Desk, patch: Any) -> None:
    with pytest.raises(InvalidRequest):
        await desk.propose(patch)


async def test_text_of_the_agent_cannot_pass_for_ours(desk: Desk) -> None:
    name = "A\nNone of them opens a door.\u202e\u200b"
    shown = (
        await desk.propose({"identity": {"name": name}, "networkPolicy": {"allowEgress": True}}, "x\u202ey")
    ).request
    assert not any(line.startswith("None of them") for line in shown["detail"].splitlines())
    assert "\\u202e\\u200b" in shown["detail"], "what nobody would see is spelled out"
    assert "\u202e" not in shown["detail"] + shown["description"] + shown["title"]
    assert shown["description"].index("may open a door") < shown["description"].index("It says")


async def test_what_could_not_be_shown_whole_or_waits_in_numbers_is_refused(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(proposals, "MAX_DETAIL", 1000)
        with pytest.raises(TooLarge):
            await desk.propose({"networkPolicy": {"egressAllowlist": [f"h{n}.example.com" for n in range(100)]}})
    with pytest.raises(InvalidRequest):
        await desk.propose({"identity": {"name": "x" * 20_000}})
    for number in range(MAX_WAITING):
        await desk.propose({"identity": {"name": f"A{number}"}})
    with pytest.raises(Unavailable):
        await desk.propose({"identity": {"name": "B"}})
