"""The review of a draft: only a clear ALLOW lets it pass."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw.base.clock import ManualClock
from openclaw.base.errors import BudgetExceeded, ModelAuth, ModelTimeout
from openclaw.config.schema import ReviewConfig
from openclaw.models.review import MAX_DRAFT_CHARS, applies, review, verdict
from tests.models.scripted import USAGE, CountingPurse, ScriptedModels, failover

pytestmark = pytest.mark.anyio
CONFIG = ReviewConfig(model="acme/judge")


@pytest.mark.parametrize("text", ["ALLOW", " allow\n", "Allow.", "**ALLOW**", "`ALLOW`", '"ALLOW".', "ALLOW!"])
def test_a_clear_allow_is_one(text: str) -> None:
    assert verdict(text) == (True, "")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("REJECT: it names a customer", "it names a customer"),
        ("**Reject:** it names\n a customer", "it names a customer"),
        ("REJECT - too long", "too long"),
        ("REJECTED: no", "no"),
        ("REJECT", "the reviewer gave no reason"),
        ("", "no answer"),
        ("ALLOW, but remove the name", "the reviewer's answer is neither ALLOW nor REJECT: ALLOW, but remove the name"),
        ("ALLOWED", "the reviewer's answer is neither ALLOW nor REJECT: ALLOWED"),
        ("I would ALLOW", "the reviewer's answer is neither ALLOW nor REJECT: I would ALLOW"),
        ("ALLOW\nREJECT: no", "the reviewer's answer is neither ALLOW nor REJECT: ALLOW REJECT: no"),
    ],
)
def test_anything_else_is_a_rejection_with_its_reason(text: str, reason: str) -> None:
    assert verdict(text) == (False, reason)


@given(st.text())
def test_no_other_text_is_an_allow(text: str) -> None:
    allowed, reason = verdict(text)
    assert allowed == (not reason)
    assert not allowed or "".join(filter(str.isalnum, text)).upper() == "ALLOW"


async def test_a_draft_is_sent_when_the_reviewer_allows_it() -> None:
    models = ScriptedModels(ManualClock(), {"acme/judge": ["ALLOW"]})
    purse = CountingPurse()
    said = await review(CONFIG, "Good morning.", failover(models), purse=purse)
    assert said.allowed
    assert (said.model, said.usage, len(said.attempts)) == ("acme/judge", USAGE, 1)
    assert purse.balanced()


async def test_a_rejection_carries_its_reason() -> None:
    models = ScriptedModels(ManualClock(), {"acme/judge": ["REJECT: rude"]})
    said = await review(CONFIG, "Good morning.", failover(models))
    assert (said.allowed, said.reason) == (False, "rude")


@pytest.mark.parametrize("error", [ModelAuth("401"), ModelTimeout("first")])
async def test_a_reviewer_that_cannot_be_asked_allows_nothing(error: ModelAuth | ModelTimeout) -> None:
    models = ScriptedModels(ManualClock(), {"acme/judge": [error]})
    said = await review(CONFIG, "Good morning.", failover(models))
    assert (said.allowed, said.reason) == (False, f"the reviewer could not be asked: {error.code}")
    assert [attempt.error_code for attempt in said.attempts] == [error.code]


async def test_a_budget_is_told_as_such() -> None:
    purse = CountingPurse({0: BudgetExceeded("over the cap")})
    with pytest.raises(BudgetExceeded):
        await review(CONFIG, "Good morning.", failover(ScriptedModels(ManualClock())), purse=purse)


async def test_a_draft_too_long_to_review_is_not_sent() -> None:
    models = ScriptedModels(ManualClock())
    assert not (await review(CONFIG, "x" * (MAX_DRAFT_CHARS + 1), failover(models))).allowed
    assert models.asked == []


def test_a_review_is_for_the_agents_named_or_all() -> None:
    assert applies(CONFIG, "main")
    assert not applies(ReviewConfig(), "main")
    assert applies(ReviewConfig(model="a/b", agents=("main",)), "main")
    assert not applies(ReviewConfig(model="a/b", agents=("main",)), "other")
