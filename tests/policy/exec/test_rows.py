"""The table of commands against real bash: what is not approved never makes the canary, what is allowed runs alike."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

import pytest

from openclaw.policy.exec.judge import Judgement, Request, judge
from openclaw.policy.exec.program import Programs
from openclaw.policy.exec.rules import ExecPolicy, rules_of
from tests.policy.exec import ground
from tests.policy.exec.rows import ROWS, Row

PROGRAMS: Final = Programs()
NOT_FOUND: Final = 127
"""What bash says where a program is not installed: not every machine has a gcc."""


def judged(row: Row, place: Path) -> Judgement:
    """Return the judgement of a row in a workspace."""
    request = Request(text=row.text, cwd=str(place), workspace=str(place), environment=row.env)
    return judge(request, ExecPolicy(rules=rules_of(row.rules, "rules")), PROGRAMS)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("template") / "ws"
    folder.mkdir()
    ground.lay_out(folder)
    return folder


def test_the_table_is_answered_as_it_says(template: Path) -> None:
    wrong = [
        (row.text, row.answer, found.verdict)
        for row in ROWS
        if (found := judged(row, template)).verdict.answer != row.answer
    ]
    assert not wrong
    assert len({(row.text, row.rules, tuple(row.env)) for row in ROWS}) > 600


@pytest.mark.skipif(shutil.which("bwrap") is None, reason="attacks are only tried in a sandbox")
def test_what_bash_shows_to_be_an_attack_is_never_allowed_and_what_is_allowed_does_what_bash_does(
    template: Path, tmp_path: Path
) -> None:
    texts = [row.text for row in ROWS]
    before = ground.state(template)
    places = ground.copies(template, tmp_path / "bash", texts)
    outcomes = ground.bash(places, texts, [row.env for row in ROWS])
    allowed = [(row, by_bash) for row, by_bash in zip(ROWS, outcomes, strict=True) if row.answer == "allow"]
    ours = ground.copies(template, tmp_path / "ours", [row.text for row, _ in allowed])
    escaped = [row.text for row, _, place in _triples(allowed, ours) if judged(row, place).verdict.answer != "allow"]
    assert not escaped
    assert [row.text for row, by_bash in allowed if by_bash.canary] == []
    done = ground.carry_out([judged(row, place).plan for row, _, place in _triples(allowed, ours)], ours)
    for (row, by_bash), by_plan in zip(allowed, done, strict=True):
        assert (row.text, by_plan.status, by_plan.files) == (row.text, by_bash.status, by_bash.files)
        assert by_plan.printed == by_bash.printed or not row.says, row.text
    bites = [(row, by_bash) for row, by_bash in zip(ROWS, outcomes, strict=True) if row.bites]
    toothless = [row.text for row, by_bash in bites if not by_bash.canary and by_bash.status != NOT_FOUND]
    assert not toothless
    assert sum(by_bash.canary for _, by_bash in bites) > 0.9 * len(bites)
    assert ground.state(template) == before


def _triples(allowed: list[tuple[Row, ground.Outcome]], places: list[Path]) -> list[tuple[Row, ground.Outcome, Path]]:
    return [(row, by_bash, place) for (row, by_bash), place in zip(allowed, places, strict=True)]
