"""One desk for every change of the configuration file."""

from __future__ import annotations

import asyncio
import os
import stat
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import anyio.lowlevel
import pytest

from openclaw.base.clock import ManualClock
from openclaw.base.errors import ConfigError, InvalidRequest, NotSupported, OpenClawError
from openclaw.base.principal import LOCAL_OPERATOR, Principal
from openclaw.config.changes.ledger import Ledger
from openclaw.config.changes.record import ChangeRecord, Remark, Side
from openclaw.config.load import Loaded
from openclaw.config.paths import StatePaths
from openclaw.config.writing.rewrite import patched, whole
from openclaw.gateway import config_desk
from openclaw.gateway.config_desk import ANSWER_S, ConfigDesk
from openclaw.gateway.outcome import Outcome
from openclaw.ops.doctor.summary import remarks
from openclaw.rpc.config_port import ConfigChange, ConfigWritten
from openclaw.store.sqlite import SqliteStore
from tests.config.make import Home

pytestmark = pytest.mark.anyio

TEXT = "{\n  // ours\n  gateway: { auth: { token: 'sekret-sekret' } },\n}\n"


WRITER = Principal(method="token")
PEERS = {"writer": WRITER, "another": Principal(method="token"), "device": Principal(method="device-token")}


class Told:
    """Keeps what was broadcast."""

    def __init__(self) -> None:
        self.events: list[tuple[str, object]] = []
        self.cuts: list[tuple[list[str], str]] = []

    def broadcast(self, event: str, payload: object, scope: str | None = "operator.read") -> int:
        self.events.append((event, payload))
        return 1

    def cut(self, wanted: Callable[[Principal], bool], reason: str) -> int:
        found = [name for name, principal in PEERS.items() if wanted(principal)]
        self.cuts.append((found, reason))
        return len(found)


class House:
    """A desk over a real file and store, with a gateway that takes up what `outcome` says."""

    def __init__(self, folder: Path, store: SqliteStore) -> None:
        self.home = Home(folder)
        self.loaded = self.home.load(TEXT)
        self.told = Told()
        self.store = store
        self.clock = ManualClock()
        self.outcome: Outcome | Exception = Outcome(("x",))
        self.use(self.home.paths())

    def use(self, paths: StatePaths) -> None:
        """Take another file."""
        self.desk = ConfigDesk(paths, lambda: self.loaded, self.told, self.clock)
        self.desk.bind(self.home.env, lambda loaded: loaded, self._reload)

    async def _reload(self) -> Outcome:
        if isinstance(self.outcome, Exception):
            raise self.outcome
        if not self.outcome.error:
            self.loaded = self.home.load()
        return self.outcome

    @property
    def file(self) -> Path:
        return self.home.paths().config_path

    def base(self) -> str:
        return self.desk.revision(self.home.load().hash)

    async def patch(self, raw: str, base: str | None = None, by: Principal = LOCAL_OPERATOR) -> ConfigWritten:
        def rewrite(before: Loaded) -> str:
            return patched(raw, before)

        change = ConfigChange(method="config.patch", rewrite=rewrite, base=base, about="a.b", note="why")
        return await self.desk.write(change, by)

    @property
    def ledger(self) -> Ledger:
        return Ledger(self.home.state, self.clock)

    def records(self) -> list[ChangeRecord]:
        return self.ledger.records()


@pytest.fixture
async def house(tmp_path: Path, anyio_backend: object) -> AsyncIterator[House]:
    store = await SqliteStore.open(tmp_path / "openclaw.db", clock=ManualClock())
    made = House(tmp_path, store)
    yield made
    await made.desk.close()
    await store.close()


async def test_a_change_is_written_taken_up_told_and_recorded(house: House) -> None:
    base = house.base()
    done = await house.patch('{identity: {name: "Very Private"}}', base)
    assert house.file.read_text() == TEXT.replace(
        "},\n}", '},\n  identity: {\n    name: "Very Private"\n  },\n}'
    ).replace('"', "'")
    assert (done.status, done.changed, done.revision) == ("applied", ("identity",), house.base())
    assert [name for name, _ in house.told.events] == ["config.changed", "chat.metadata.changed"]
    assert house.told.events[0][1] == {"path": str(house.file), "hash": done.revision, "ts": house.clock.now_ms()}
    (record,) = house.records()
    (diff,) = record.diff
    assert (diff.path, diff.new, record.outcome, record.reason) == (
        "identity.name",
        "Very Private",
        "applied",
        "why",
    )
    assert [planned.reload for planned in record.plan] == ["live"]
    assert (record.method, record.owner, record.valid) == ("config.patch", LOCAL_OPERATOR.owner, True)
    assert house.ledger.files(record.before) == {house.file: TEXT.encode()}
    assert house.ledger.files(record.after) == {house.file: house.file.read_bytes()}


async def test_the_record_says_what_the_doctor_minds_looked_at_beside_the_loop(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads = set()

    def looked(side: Side) -> tuple[Remark, ...]:
        threads.add(threading.get_ident())
        return remarks(side)

    monkeypatch.setattr(config_desk, "remarks", looked)
    house.use(house.home.paths())
    await house.patch("{networkPolicy: {allowEgress: true}}", house.base())
    (record,) = house.records()
    assert record.doctor is not None
    assert [one.id for one in record.doctor.new()] == ["exposure.egress"]
    assert threads
    assert threading.get_ident() not in threads


async def test_nothing_to_change_writes_nothing(house: House) -> None:
    before = house.file.stat()
    done = await house.patch("{ui: null}", house.base())
    assert (done.status, done.changed) == ("none", ())
    assert house.file.stat() == before
    assert house.told.events == []
    assert house.records() == []


async def test_a_base_hash_is_asked_for_and_must_be_that_of_the_file(house: House) -> None:
    wanted = r"^config base hash required for a\.b; re-run config\.get and retry with baseHash$"
    with pytest.raises(InvalidRequest, match=wanted):
        await house.patch("{identity: {name: 'x'}}", "")
    stale = house.base()
    house.file.write_text("{}")
    for base in ("bad", stale):
        with pytest.raises(InvalidRequest, match=r"^config changed since last load; re-run config\.get and retry$"):
            await house.patch("{identity: {name: 'x'}}", base)
    assert house.file.read_text() == "{}"
    assert (await house.patch("{identity: {name: 'x'}}", house.home.load().hash)).status == "applied"


async def test_a_file_that_is_not_there_yet_needs_no_base_hash(house: House) -> None:
    house.file.unlink()
    await house.patch("{identity: {name: 'x'}}", "")
    assert stat.S_IMODE(house.file.stat().st_mode) == 0o600


async def test_of_many_writers_with_one_base_hash_one_wins(house: House) -> None:
    base = house.base()
    patches = (house.patch(f"{{identity: {{name: 'n{number}'}}}}", base) for number in range(8))
    results = await asyncio.gather(*patches, return_exceptions=True)
    assert sum(isinstance(result, ConfigWritten) for result in results) == 1
    assert sum("config changed since" in str(result) for result in results) == 7


async def test_a_writer_of_another_process_between_reading_and_writing_wins(house: House) -> None:
    def rewrite(before: Loaded) -> str:
        house.file.write_text("{ logging: { level: 'debug' } }")
        return patched("{identity: {name: 'late'}}", before)

    with pytest.raises(InvalidRequest, match="config changed since last load"):
        await house.desk.write(ConfigChange(method="m", rewrite=rewrite), LOCAL_OPERATOR)
    assert "late" not in house.file.read_text()


@pytest.mark.parametrize("existed", [True, False])
async def test_what_the_gateway_cannot_take_up_is_put_back(house: House, existed: bool) -> None:
    if not existed:
        house.file.unlink()
    house.outcome = Outcome(error="the tool room is on fire")
    with pytest.raises(ConfigError, match="was put back: the tool room is on fire") as caught:
        await house.patch("{identity: {name: 'x'}}")
    assert caught.value.details["code"] == "CONFIG_CHANGE_REVERTED"
    assert (house.file.read_text() if existed else house.file.exists()) == (TEXT if existed else False)
    assert [record.outcome for record in house.records()] == ["reverted: the tool room is on fire"]


async def test_a_fault_of_ours_puts_the_file_back_too(house: House) -> None:
    house.outcome = ValueError("oops")
    with pytest.raises(ValueError, match="oops"):
        await house.patch("{identity: {name: 'x'}}")
    assert house.file.read_text() == TEXT


async def test_what_somebody_else_wrote_meanwhile_is_not_put_back(house: House) -> None:
    async def reload() -> Outcome:
        house.file.write_text("{ /* theirs */ }")
        return Outcome(error="no")

    house.desk.bind(house.home.env, lambda loaded: loaded, reload)
    with pytest.raises(ConfigError):
        await house.patch("{identity: {name: 'x'}}")
    assert house.file.read_text() == "{ /* theirs */ }"


@pytest.mark.parametrize(
    ("raw", "path", "message"),
    [
        ("{bogusKey: 1}", "", 'Unrecognized key: "bogusKey"'),
        ("{gateway: {auth: {bogus: 1}}}", "gateway.auth", 'Unrecognized key: "bogus"'),
        ("{gateway: {port: 'x'}}", "gateway.port", "expected a whole number"),
        ("{gateway: {auth: {token: '${NOT_SET}'}}}", "gateway.auth.token", "the variable NOT_SET is not set"),
        ("{gateway: {auth: {mode: 'password'}}}", "gateway.auth.password", "mode password needs a password"),
    ],
)
async def test_what_would_not_work_is_refused_by_its_path(house: House, raw: str, path: str, message: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await house.patch(raw)
    issue = caught.value.details["issues"][0]
    assert issue["path"] == path
    assert message in issue["message"]
    assert caught.value.message.startswith(f"invalid config: {path or '<root>'}: {issue['message']}")
    assert house.file.read_text() == TEXT


async def test_a_configuration_that_would_not_start_is_refused(house: House) -> None:
    def accept(loaded: Loaded) -> Loaded:
        raise ConfigError("no way in", details={"path": "gateway.auth.mode"})

    house.desk.bind(house.home.env, accept, house._reload)
    with pytest.raises(InvalidRequest, match=r"invalid config: gateway\.auth\.mode: no way in"):
        await house.patch("{gateway: {auth: {mode: 'none'}}}")


async def test_with_reload_off_a_change_waits_in_the_file(house: House) -> None:
    house.loaded = house.home.load("{ gateway: { reload: { mode: 'off' } } }")
    house.outcome = ValueError("must not be asked")
    done = await house.patch("{identity: {name: 'x'}}", house.base())
    assert done.status == "off"
    assert "identity" in house.file.read_text()


async def test_a_caller_that_goes_away_stops_nothing_half_way(house: House) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def reload() -> Outcome:
        begun.set()
        await go_on.wait()
        return Outcome(error="slow and wrong")

    house.desk.bind(house.home.env, lambda loaded: loaded, reload)
    caller = asyncio.ensure_future(house.patch("{identity: {name: 'x'}}"))
    await begun.wait()
    caller.cancel()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await caller
    house.desk.bind(house.home.env, lambda loaded: loaded, house._reload)
    await house.desk.reload()  # waits for the desk to be free
    assert house.file.read_text() == TEXT


async def test_whoever_changed_the_shared_token_hears_so_before_the_line_is_cut_and_others_go_at_once(
    house: House,
) -> None:
    house.outcome = Outcome(("gateway.auth.token",), renewed=True)
    done = await house.patch("{gateway: {auth: {token: 'another-token'}}}", house.base(), WRITER)
    assert done.status == "applied"
    await anyio.lowlevel.checkpoint()
    assert house.told.cuts == [(["another"], "gateway auth changed")]
    house.clock.advance(ANSWER_S)
    for _ in range(3):
        await anyio.lowlevel.checkpoint()
    assert house.told.cuts[1:] == [(["writer"], "gateway auth changed")]


async def test_by_an_edit_of_the_file_everybody_goes_at_once(house: House) -> None:
    house.outcome = Outcome(("gateway.auth.token",), renewed=True)
    await house.desk.reload()
    assert house.told.cuts == [(["writer", "another"], "gateway auth changed")]


async def test_a_record_holds_no_secret(house: House) -> None:
    await house.patch("{gateway: {auth: {token: 'new-sekret-sekret'}}}")
    (record,) = house.records()
    assert [diff.path for diff in record.diff] == ["gateway.auth.token"]
    assert "sekret" not in (house.ledger.folder / f"{record.id}.json").read_text()


async def test_read_only_mode_refuses_and_says_what_to_do(house: House) -> None:
    house.home.variables["OPENCLAW_CONFIG_READONLY"] = "1"
    with pytest.raises(NotSupported, match="OPENCLAW_CONFIG_READONLY is set") as caught:
        await house.patch("{identity: {name: 'x'}}")
    assert (caught.value.details["code"], house.file.read_text()) == ("CONFIG_READONLY", TEXT)


async def test_a_file_that_cannot_be_written_is_said(house: House) -> None:
    if os.geteuid() == 0:
        house.file.unlink()
        house.file.mkdir()
    else:
        house.file.parent.chmod(0o500)
    try:
        with pytest.raises(OpenClawError):
            await house.patch("{identity: {name: 'x'}}")
    finally:
        house.file.parent.chmod(0o700)


async def test_yaml_is_written_with_its_comments(house: House, tmp_path: Path) -> None:
    house.home.variables["OPENCLAW_CONFIG_PATH"] = str(path := tmp_path / "c.yaml")
    path.write_text("# ours\nserver: { port: 1 } # short\nlogging:\n  level: info # quiet\n")
    house.loaded = house.home.load()
    desk = ConfigDesk(house.home.paths(), lambda: house.loaded, house.told, house.clock)
    desk.bind(house.home.env, lambda loaded: loaded, house._reload)

    async def write(raw: str, rewrite: Callable[[str, Loaded], str]) -> ConfigWritten:
        change = ConfigChange(method="m", rewrite=lambda before: rewrite(raw, before))
        return await desk.write(change, LOCAL_OPERATOR)

    done = await write("{gateway: {port: 2}, logging: {level: 'debug'}}", patched)
    assert set(done.changed) == {"gateway.port", "logging.level"}
    text = "# ours\nserver: { port: 2 } # short\nlogging:\n  level: debug # quiet\n"
    assert path.read_text() == text
    await write('{"gateway": {"port": 3}, "logging": {"level": "debug"}}', whole)  # what a form sends
    assert path.read_text() == text.replace("2", "3")
    await write("gateway:\n  port: 4 # mine\n", whole)
    assert path.read_text() == "gateway:\n  port: 4 # mine\n"


async def test_an_included_value_is_overridden_in_the_file_itself_and_that_is_said(house: House) -> None:
    part = house.home.state / "part.json5"
    part.write_text("{ level: 'info', maxFiles: 3 }")
    part.chmod(0o600)
    house.loaded = house.home.load("{ logging: { $include: 'part.json5' } } // ours\n")
    done = await house.patch("{logging: {level: 'debug'}}")
    assert done.overriding == (("logging.level", "part.json5"),)
    assert house.file.read_text() == "{ logging: { $include: 'part.json5', level: 'debug' } } // ours\n"
    with pytest.raises(InvalidRequest, match=r"logging.maxFiles is set in the included file part.json5"):
        await house.patch("{logging: {maxFiles: null}}")
    assert part.read_text() == "{ level: 'info', maxFiles: 3 }"


async def test_the_name_of_a_content_is_keyed_by_the_installation(house: House, tmp_path: Path) -> None:
    content = house.loaded.hash
    again = ConfigDesk(house.home.paths(), lambda: house.loaded, house.told, house.clock)
    assert again.revision(content) == house.desk.revision(content)
    (other := tmp_path / "other").mkdir()
    elsewhere = ConfigDesk(Home(other).paths(), lambda: house.loaded, house.told, house.clock)
    assert elsewhere.revision(content) != house.desk.revision(content)
    assert stat.S_IMODE((house.home.state / "credentials" / "config-hash-key").stat().st_mode) == 0o600
