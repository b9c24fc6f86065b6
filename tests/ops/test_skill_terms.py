"""On what terms a skill is taken: confined, vouched for, for a time; and what a crash may leave."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from openclaw.base.errors import InvalidRequest, PolicyDenied
from openclaw.base.principal import LOCAL_OPERATOR
from openclaw.ops import skill_desk
from openclaw.ops.skill_desk import Terms
from openclaw.policy.skill.gate import Answer
from openclaw.policy.skill.lock import Vouched
from tests.ops.test_skill_desk import GOOD, House, house, install
from tests.policy.skill.corpus import HOSTILE, Case, shell

pytestmark = pytest.mark.anyio

FAILING = Case("x", "", shell("ffmpeg -i a b"))
DAY_MS = 86_400_000


def standing(here: House, tmp_path: Path) -> Answer:
    (found,) = here.skills.of(tmp_path / "workspace")
    return found.standing.answer


async def test_what_fails_is_confined_where_the_operator_has_said_so_and_kept_out_where_not(tmp_path: Path) -> None:
    with pytest.raises(PolicyDenied):
        await install(house(tmp_path).desk, FAILING)
    here = house(tmp_path, confines=True)
    await install(here.desk, FAILING)
    assert standing(here, tmp_path) == "confined"
    assert standing(house(tmp_path), tmp_path) == "failed"
    assert [(row.kind, row.action, row.answer, row.rule) for row in here.rows.entries] == [
        ("skill", "skill.lock", "allow", "skill.confined")
    ]


@pytest.mark.parametrize("case", [case for case in HOSTILE if case.id in ("bad-name", "no-description")])
async def test_what_nobody_could_name_is_not_even_confined(tmp_path: Path, case: Case) -> None:
    with pytest.raises((PolicyDenied, InvalidRequest)):
        await install(house(tmp_path, confines=True).desk, case)


async def test_links_are_never_locked_whatever_is_accepted(tmp_path: Path) -> None:
    here = house(tmp_path, confines=True)
    folder = tmp_path / "w/skills/tidy-notes"
    folder.mkdir(parents=True)
    (folder / "SKILL.md").write_bytes(GOOD.tree.contents["SKILL.md"])
    (folder / "link").symlink_to("/etc/passwd")
    terms = Terms(why="I know what this is", accepts=("files",), for_ms=DAY_MS)
    with pytest.raises(PolicyDenied, match="link"):
        await here.desk.lock(LOCAL_OPERATOR, tmp_path / "w", "tidy-notes", terms)


async def test_what_is_accepted_names_its_rows_its_reason_and_its_end(tmp_path: Path) -> None:
    here = house(tmp_path)
    for terms in (
        Terms(accepts=("processes",), for_ms=DAY_MS),
        Terms(accepts=("processes",), why="ours"),
        Terms(accepts=("processes",), why="our own tool"),
        Terms(accepts=("processes",), why="our own tool", for_ms=400 * DAY_MS),
        Terms(accepts=("egress",), why="our own tool", for_ms=DAY_MS),
    ):
        with pytest.raises((InvalidRequest, PolicyDenied)):
            await install(here.desk, FAILING, **{name: getattr(terms, name) for name in terms.__struct_fields__})
    await install(here.desk, FAILING, accepts=("processes", "egress"), why="our own tool", for_ms=DAY_MS)
    (found,) = here.skills.of(tmp_path)
    assert (found.standing.answer, found.standing.vouched, found.outside) == ("ready", False, "read_skill")
    now_ms = here.clock.now_ms()
    assert found.standing.entry is not None
    assert found.standing.entry.vouched == Vouched(
        by=LOCAL_OPERATOR.owner, why="our own tool", at_ms=now_ms, until_ms=now_ms + DAY_MS, accepts=("processes",)
    )
    row = here.rows.entries[-1]
    assert (row.rule, row.owner) == ("skill.accepted", LOCAL_OPERATOR.owner)
    assert row.facts.items() >= {"accepts": "processes", "why": "our own tool", "untilMs": now_ms + DAY_MS}.items()
    here.clock.advance(DAY_MS / 1000)
    assert standing(here, tmp_path) == "failed"


async def test_a_change_ends_what_was_vouched_for(tmp_path: Path) -> None:
    here = house(tmp_path)
    await install(here.desk, FAILING, accepts=("processes",), why="our own tool", for_ms=DAY_MS)
    file = tmp_path / "skills/tidy-notes/SKILL.md"
    file.write_text(file.read_text() + "\nmore\n")
    assert standing(here, tmp_path) == "changed"
    with pytest.raises(PolicyDenied):
        await install(here.desk, FAILING._replace(body=shell("ffmpeg -i c d")), replace=True)


@pytest.mark.parametrize("broken", ["_staged", "_moved", "locked"])
async def test_an_update_that_a_crash_breaks_off_is_the_old_one_or_the_new_one(
    tmp_path: Path, broken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = house(tmp_path)
    await install(here.desk)
    newer = GOOD._replace(body="# Use\nRead them twice.\n")
    real = getattr(skill_desk, broken)

    class Killed(BaseException):
        """Nothing of ours handles it."""

    def dies(*args: object) -> object:
        monkeypatch.setattr("shutil.rmtree", lambda *_, **__: None)
        if broken != "_moved":
            real(*args)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(skill_desk, broken, dies)
        with pytest.raises(Killed):
            await install(here.desk, newer, replace=True)
    monkeypatch.undo()
    again = house(tmp_path)
    again.desk.recover()
    (found,) = again.skills.of(tmp_path)
    text = again.skills.read(found, "SKILL.md")
    assert ("twice" in text) is (broken == "_moved")
    assert [each.name for each in os.scandir(tmp_path / "skills")] == ["tidy-notes"]


async def test_many_changes_at_once_leave_one_whole_skill_or_none(tmp_path: Path) -> None:
    here = house(tmp_path)

    async def change(number: int) -> None:
        if number % 3:
            await install(here.desk, GOOD._replace(body=f"# Use\nRead {number}.\n"), replace=True)
        else:
            await here.desk.remove("tidy-notes")

    await asyncio.gather(*(change(number) for number in range(4)), return_exceptions=True)
    await asyncio.gather(*(change(number) for number in range(4)), return_exceptions=True)
    await install(here.desk, replace=True)
    assert standing(here, tmp_path) == "ready"
    assert [each.name for each in os.scandir(tmp_path / "skills")] == ["tidy-notes"]
