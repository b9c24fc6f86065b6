"""`openclaw usage` as people read it, against a gateway that is a process."""

from __future__ import annotations

import json
from collections.abc import Iterator

import msgspec
import pytest

from tests.cli.gateway_process import Place

pytestmark = pytest.mark.slow

PRICED = {"id": "echo", "maxTokens": 1000, "cost": {"input": 0, "output": 100}}


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    place = Place(tmp_path_factory.mktemp("usage"))
    place.state.mkdir(mode=0o700)
    models = {
        "providers": {"fake": {"api": "fake", "models": [PRICED]}},
        "budgets": [{"usd": 0.5}, {"usd": 2, "scope": "principal", "subject": "operator", "window": "month"}],
    }
    (place.state / "openclaw.json").write_text(json.dumps({"models": models}))
    with place.serving("gateway"):
        for words in ("hello", "hello again"):
            assert place.run("agent", "-m", words).stdout == f"fake: {words}\n"
        yield place


def test_the_table_has_a_row_per_group_a_sum_and_the_budgets(live: Place) -> None:
    lines = live.run("usage", "--by", "model", "--days", "1").stdout.splitlines()
    assert lines[0].split() == ["MODEL", "CALLS", "FAILED", "IN", "CACHED", "OUT", "COST"]
    model, calls, failed, *_, cost = lines[1].split()
    assert (model, calls, failed) == ("fake/echo", "2", "0")
    assert cost.startswith("$0.00")
    assert lines[2] == ""
    assert lines[3].split() == ["BUDGET", "LEFT", "OF", "SPENT", "HELD", "STARTS", "ANEW"]
    day, month = (line.split("  ") for line in lines[4:])
    assert day[0] == "total, day"
    assert month[0] == "principal operator, month"
    assert cost in lines[4]


def test_json_holds_the_same_for_programs(live: Place) -> None:
    told = msgspec.json.decode(live.run("usage", "--by", "principal", "--json").stdout)
    assert [row["key"] for row in told["rows"]] == ["operator"]
    assert [budget["limit"] for budget in told["budgets"]] == [0.5, 2]
    assert told["budgets"][0]["spent"] == told["rows"][0]["totalCost"]
    cost = msgspec.json.decode(live.run("gateway", "usage-cost", "--json").stdout)
    assert cost["totals"]["totalCost"] == told["rows"][0]["totalCost"]


def test_the_allowance_is_shown_in_a_chat(live: Place) -> None:
    said = live.run("chat", stdin="/allowance\n").stdout
    assert "left of $0.50" in said, said


def test_a_dimension_that_is_none_is_refused(live: Place) -> None:
    assert live.run("usage", "--by", "colour").returncode == 2
