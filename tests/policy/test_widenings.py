"""What is opened for a time ends by itself, whatever happens to the gateway and to its clocks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw.base.audit import Entry, Head
from openclaw.base.clock import ManualClock
from openclaw.base.errors import InvalidRequest, NotFound, Unavailable
from openclaw.base.ids import OwnerId
from openclaw.base.principal import Principal
from openclaw.config.schema import Config, NetworkPolicyConfig
from openclaw.policy.gatekeeper import Answer, Ask, Rule, Verdict
from openclaw.policy.ledger import Ledger
from openclaw.policy.widening import SLACK_MS, Door, Moment, Widening, checked, end_of, widened, widening_rule
from openclaw.policy.widenings import MAX_OPEN, Widenings
from openclaw.store.sqlite import SqliteStore
from tests.fakes.doors import LedgerRows
from tests.fakes.memory_shelf import MemoryShelf

pytestmark = pytest.mark.anyio

ROOT = Principal(owner=OwnerId("root"), scopes=frozenset(("operator.admin",)))
MINUTE_MS = 60_000


def listed(config: Callable[[], Config]) -> Rule:
    """Return a door that lets through what the list names."""

    def rule(ask: Ask) -> Verdict:
        answer: Answer = "allow" if ask.target in config().network_policy.egress_allowlist else "deny"
        return Verdict(answer, "listed", "")

    return rule


class House:
    """A desk over a shelf that survives it."""

    def __init__(self) -> None:
        self.shelf, self.rows, self.clock, self.boot = MemoryShelf(), LedgerRows(), ManualClock(), "boot-1"
        self.config = Config()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Widenings]:
        desk = Widenings(self.shelf, Ledger(self.rows, self.clock), self.clock, Path("/state"), self.boot)
        await desk.open()
        try:
            yield desk
        finally:
            await desk.close()

    def verdict(self, desk: Widenings, host: str) -> Verdict:
        strict, wider = listed(lambda: self.config), listed(lambda: desk.effective(self.config))
        ask = Ask(kind="egress", principal=ROOT, action="tool web_fetch", target=host)
        return widening_rule(strict, wider, desk.openings, "egress")(ask)

    def written(self) -> list[tuple[str, str, str]]:
        return [(row.action, row.target, row.rule) for row in self.rows.entries]


async def widen(
    desk: Widenings, value: str = "a.example.com", for_ms: int = MINUTE_MS, door: Door = "egress"
) -> Widening:
    return await desk.start(ROOT, door, value, for_ms, ticket="CHG-1", why="a test")


async def test_a_widening_opens_one_entry_and_ends_on_time() -> None:
    house = House()
    async with house.open() as desk:
        assert house.verdict(desk, "a.example.com").answer == "deny"
        opened = await widen(desk)
        found = house.verdict(desk, "a.example.com")
        assert (found.answer, found.rule_id, found.expires_at_ms) == ("allow", "egress.widened", opened.ends_at_ms)
        assert opened.id in found.reason
        assert house.verdict(desk, "b.example.com").answer == "deny"
        house.clock.advance(MINUTE_MS / 1000)
        assert house.verdict(desk, "a.example.com").answer == "deny"
        assert desk.openings() == ()


class _SlowRows(LedgerRows):
    async def append(self, entries: Sequence[Entry]) -> Head:
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return await super().append(entries)


async def test_an_end_that_the_clock_and_an_administrator_bring_about_is_written_once() -> None:
    house = House()
    house.rows = _SlowRows()
    told: list[Widening] = []
    async with house.open() as desk:
        opened = await widen(desk)
        desk.observe(told.append)
        await asyncio.gather(desk.narrow(ROOT, opened.id), desk._look(), desk._look())
        assert [each.end for each in told] == ["narrowed"]
        assert [rule for _, _, rule in house.written()] == ["policy.widen", "policy.narrowed"]
        assert [each.ended_by for each in await desk.history()] == [ROOT.owner]


async def test_the_ledger_has_the_start_and_each_kind_of_end() -> None:
    house = House()
    async with house.open() as desk:
        first, second = await widen(desk), await widen(desk, "b.example.com")
        await desk.narrow(ROOT, first.id)
        assert house.verdict(desk, "a.example.com").answer == "deny"
        assert house.verdict(desk, "b.example.com").answer == "allow"
        house.clock.advance(MINUTE_MS / 1000)
        await desk._look()
    assert house.written() == [
        ("widen egress", "a.example.com", "policy.widen"),
        ("widen egress", "b.example.com", "policy.widen"),
        ("narrow egress", "a.example.com", "policy.narrowed"),
        ("narrow egress", "b.example.com", "policy.time"),
    ]
    assert [row.owner for row in house.rows.entries] == ["root", "root", "root", "gateway"]
    assert house.rows.entries[0].facts == {"id": first.id, "ticket": "CHG-1", "endsAtMs": first.ends_at_ms}
    with pytest.raises(NotFound):
        await desk.narrow(ROOT, second.id)


async def test_it_holds_across_a_restart_and_ends_while_no_gateway_runs() -> None:
    house = House()
    async with house.open() as desk:
        opened = await widen(desk)
    house.clock.advance(30)
    async with house.open() as desk:
        assert house.verdict(desk, "a.example.com").answer == "allow"
    house.clock.advance(3_600)
    async with house.open() as desk:
        assert house.verdict(desk, "a.example.com").answer == "deny"
        (over,) = await desk.history()
        assert (over.end, over.ended_at_ms) == ("time", opened.ends_at_ms), "it was over before somebody looked"
    assert house.written()[-1] == ("narrow egress", "a.example.com", "policy.time")


async def test_a_clock_that_is_set_back_does_not_prolong_it() -> None:
    house = House()
    async with house.open() as desk:
        await widen(desk, for_ms=MINUTE_MS)
        house.clock.step(-SLACK_MS // 2)
        assert house.verdict(desk, "a.example.com").answer == "allow", "a clock that is kept in time is no attack"
        house.clock.advance(MINUTE_MS / 1000)
        assert house.verdict(desk, "a.example.com").answer == "deny", "the steady clock ends it"
    house = House()
    async with house.open() as desk:
        await widen(desk, for_ms=MINUTE_MS)
        house.clock.step(-3_600_000)
        assert house.verdict(desk, "a.example.com").answer == "deny"
        assert [each.end for each in await desk.history()] == ["clock"]


@pytest.mark.parametrize("boot", ["boot-1", "boot-2", ""])
async def test_a_clock_that_is_set_back_while_no_gateway_runs_ends_it(boot: str) -> None:
    house = House()
    async with house.open() as desk:
        await widen(desk, for_ms=10 * MINUTE_MS)
        house.clock.advance(60)
        await desk._look()
    house.clock.step(-50_000)
    house.boot = boot
    async with house.open() as desk:
        assert desk.openings() == ()
        assert house.verdict(desk, "a.example.com").answer == "deny"
        house.clock.step(50_000)
        assert desk.openings() == (), "what a clock has ended stays ended"


async def test_the_steady_clock_of_the_same_boot_counts_what_the_wall_clock_hides() -> None:
    house = House()
    async with house.open() as desk:
        await widen(desk, for_ms=MINUTE_MS)
    house.clock.advance(MINUTE_MS / 1000)
    house.clock.step(-MINUTE_MS + 1000)
    async with house.open() as desk:
        assert house.verdict(desk, "a.example.com").answer == "deny"


async def test_an_administrator_may_widen_again_after_a_clock_was_set_right() -> None:
    house = House()
    async with house.open() as desk:
        await widen(desk)
        house.clock.step(-3_600_000)
        await widen(desk, "b.example.com")
        assert house.verdict(desk, "a.example.com").answer == "deny"
        assert house.verdict(desk, "b.example.com").answer == "allow"
    async with house.open() as desk:
        assert [each.value for each in desk.openings()] == ["b.example.com"]


async def test_without_its_row_in_the_ledger_nothing_opens_and_what_ends_is_shut_all_the_same() -> None:
    house = House()
    async with house.open() as desk:
        house.rows.full = True
        with pytest.raises(Unavailable):
            await widen(desk)
        assert desk.openings() == ()
        house.rows.full = False
        opened = await widen(desk)
        house.rows.full = True
        with pytest.raises(Unavailable):
            await desk.narrow(ROOT, opened.id)
        assert desk.openings() == ()
        assert house.verdict(desk, "a.example.com").answer == "deny"
    async with house.open() as desk:
        assert desk.openings() == (), "the end was kept before its row"
    async with house.open() as desk:
        house.rows.full = False
        other = await widen(desk, "b.example.com")
        house.rows.full = True
        house.clock.advance(MINUTE_MS / 1000)
        await desk._look()
        house.rows.full = False
        await desk._look()
    assert house.written()[-1] == ("narrow egress", other.value, "policy.time")


async def test_a_list_that_narrows_nothing_else_is_lowered() -> None:
    config = Config(network_policy=NetworkPolicyConfig(egress_allowlist=("x.example.com",)))
    cases: tuple[tuple[Door, str], ...] = (("egress", "a.example.com"), ("exec", "git fetch"), ("dm", "telegram:1"))
    for door, value in cases:
        row = Widening(
            id="1", door=door, value=value, ticket="t", why="w", by=OwnerId("r"), started_at_ms=0, ends_at_ms=1
        )
        wide = msgspec.to_builtins(widened(config, [row]), enc_hook=str)
        plain = msgspec.to_builtins(config, enc_hook=str)
        changed = {name for name in wide.keys() | plain.keys() if wide.get(name) != plain.get(name)}
        assert changed == {{"egress": "networkPolicy", "exec": "tools", "dm": "dmPolicy"}[door]}


@pytest.mark.parametrize(
    ("door", "value"),
    [
        ("egress", "169.254.169.254"),
        ("egress", "169.254.169.254:80"),
        ("egress", "[fd00:ec2::254]"),
        ("egress", "[fd00:ec2::254]:80"),
        ("egress", "168.63.129.16"),
        ("egress", "2852039166"),
        ("egress", "0xa9fea9fe"),
        ("egress", "127.0.0.1:18789"),
        ("egress", "127.1"),
        ("egress", "::1"),
        ("egress", "[::ffff:127.0.0.1]"),
        ("egress", "0.0.0.0"),
        ("egress", "0.0.0.0/0"),
        ("egress", "::/0"),
        ("egress", "169.254.0.0/16"),
        ("egress", "127.0.0.0/8"),
        ("egress", "10.0.0.0/8"),
        ("egress", "localhost"),
        ("egress", "metadata.google.internal"),
        ("egress", "*"),
        ("egress", "*.com"),
        ("egress", "*.*.com"),
        ("egress", "com"),
        ("egress", "a.example.com:0"),
        ("egress", "a.example.com:99999"),
        ("egress", "https://a.example.com"),
        ("egress", "user@a.example.com"),
        ("egress", "a.example.com/x"),
        ("egress", ""),
        ("egress", "a\n.example.com"),
        ("exec", "*"),
        ("exec", "** x"),
        ("exec", "/usr/bin/*"),
        ("exec", "bash *"),
        ("exec", "/usr/bin/python3.11 *"),
        ("exec", "env *"),
        ("exec", "make"),
        ("exec", "cat /state/openclaw.json"),
        ("exec", "ls @bound=x"),
        ("dm", "*"),
        ("dm", "telegram:*"),
        ("dm", "telegram:@alice"),
        ("dm", "alice"),
        ("dm", "1"),
    ],
)
def test_what_is_shut_for_ever_is_not_opened_for_a_time(door: Door, value: str) -> None:
    with pytest.raises(InvalidRequest):
        checked(door, value, Path("/state"))


@pytest.mark.parametrize(
    ("door", "value"),
    [
        ("egress", "api.example.com"),
        ("egress", "*.example.com:8443"),
        ("egress", "1.1.1.1"),
        ("egress", "10.1.2.3:5432"),
        ("egress", "10.1.0.0/16"),
        ("exec", "git fetch"),
        ("exec", "make test"),
        ("exec", "/usr/bin/uptime"),
        ("dm", "telegram:123"),
    ],
)
def test_what_an_operator_may_need_can_be_opened(door: Door, value: str) -> None:
    assert checked(door, value, Path("/state")) == value


async def test_a_widening_says_how_long_for_what_and_why_and_there_are_only_so_many() -> None:
    house = House()
    async with house.open() as desk:
        for for_ms, ticket, why in ((999, "t", "w"), (86_400_001, "t", "w"), (5000, " ", "w"), (5000, "t", "")):
            with pytest.raises(InvalidRequest):
                await desk.start(ROOT, "egress", "a.example.com", for_ms, ticket, why)
        for number in range(MAX_OPEN):
            await widen(desk, f"h{number}.example.com")
        with pytest.raises(Unavailable):
            await widen(desk)


@given(
    st.integers(0, 10**9),
    st.integers(1000, 10**8),
    st.integers(0, 2 * 10**8),
    st.integers(-(10**8), 10**8),
    st.booleans(),
)
def test_no_way_of_setting_clocks_keeps_it_open_beyond_its_length(
    start_s: int, length_ms: int, passed_ms: int, step_ms: int, same_boot: bool
) -> None:
    began_ms = 1_800_000_000_000
    row = Widening(
        id="1",
        door="egress",
        value="v",
        ticket="t",
        why="w",
        by=OwnerId("r"),
        started_at_ms=began_ms,
        ends_at_ms=began_ms + length_ms,
        boot="b",
        ends_s=start_s + length_ms / 1000,
    )
    floor_ms = began_ms if step_ms >= 0 else began_ms + passed_ms  # the floor is at most a tick old when it is set back
    steady_s = start_s + passed_ms / 1000 if same_boot else 5.0
    at = Moment(began_ms + passed_ms + step_ms, steady_s, "b" if same_boot else "c", floor_ms)
    if passed_ms > length_ms + SLACK_MS:
        assert end_of(row, at)
    elif passed_ms < length_ms and step_ms == 0:
        assert not end_of(row, at)


async def test_it_is_kept_in_the_store_and_in_its_ledger(tmp_path: Path) -> None:
    clock = ManualClock()
    store = await SqliteStore.open(tmp_path / "s.db", clock=clock)
    desk = Widenings(store.shelf, Ledger(store.audit, clock), clock, tmp_path)
    await desk.open()
    told: list[Any] = []
    desk.observe(told.append)
    opened = await widen(desk)
    await desk.close()
    await store.close()
    clock.advance(3600)
    store = await SqliteStore.open(tmp_path / "s.db", clock=clock)
    desk = Widenings(store.shelf, Ledger(store.audit, clock), clock, tmp_path)
    await desk.open()
    assert desk.openings() == ()
    assert told == [opened]
    assert (await store.audit.verify()).problem == ""
    await desk.close()
    await store.close()
