"""Failover over real sockets: the registry, both wires, stand-ins that fail."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from openclaw.base.clock import SYSTEM_CLOCK
from openclaw.base.errors import ModelOverloaded, ModelUnreachable
from openclaw.base.model import ModelEvent, TextDelta
from openclaw.base.secret import Secret
from openclaw.config.schema import ModelsConfig, ProviderConfig
from openclaw.models.call import Attempt
from openclaw.models.calling.credentials import Credentials
from openclaw.models.calling.failover import Failover
from openclaw.models.fake.client import FakeClient
from openclaw.models.registry import ModelRegistry
from openclaw.net.http import HttpClient
from tests.models.scripted import answer, plan, seen
from tests.stand_ins.anthropic import AnthropicStandIn
from tests.stand_ins.openai import OpenAIStandIn
from tests.stand_ins.server import Answer, Failure, Transport

pytestmark = pytest.mark.anyio
REFS = ("front/large", "back/large")


def house(http: HttpClient, state: Path, front: str, back: str, key: str | None = None) -> Failover:
    """Return a failover over a front provider (OpenAI's wire) and a back one (Anthropic's)."""
    credentials = Credentials(state, clock=SYSTEM_CLOCK, on_secret=lambda secret: None)
    assert credentials.load() == ()
    providers = {
        "front": ProviderConfig(base_url=front, api_key=Secret(key) if key else None),
        "back": ProviderConfig(api="anthropic-messages", base_url=back, api_key=Secret("sk-back-123456")),
    }
    registry = ModelRegistry(
        ModelsConfig(providers=providers),
        env=lambda name: None,
        http=http,
        embedded=lambda name, config: FakeClient(),
        clock=SYSTEM_CLOCK,
        credentials=credentials.first,
    )
    return Failover(registry, credentials, SYSTEM_CLOCK, lambda: 0.0)


async def test_credentials_rotate_and_then_the_other_provider_answers(http: HttpClient, tmp_path: Path) -> None:
    keys = {name: {"type": "api_key", "provider": "front", "key": f"sk-{name}-123456"} for name in ("one", "two")}
    path = tmp_path / "auth-profiles.json"
    path.write_text(json.dumps({"version": 1, "profiles": keys}))
    path.chmod(0o600)
    refused = Failure(401, "invalid_api_key", "Incorrect API key provided: sk-one-123456")
    limited = Failure(429, "rate_limit_exceeded", "slow down", headers={"retry-after": "600"})
    async with OpenAIStandIn([refused, limited]) as front, AnthropicStandIn([Answer(text="from the back")]) as back:
        attempts: list[Attempt] = []
        said = await answer(house(http, tmp_path, front.base_url, back.base_url), plan(*REFS), attempts)
        sent = [request.headers["authorization"] for request in front.requests]
    assert said.text == "from the back"
    assert sent == ["Bearer sk-one-123456", "Bearer sk-two-123456"]
    story = [(attempt.ref, attempt.credential, attempt.error_code) for attempt in attempts]
    assert story == [
        ("front/large", "one", "MODEL_AUTH"),
        ("front/large", "two", "MODEL_RATE_LIMITED"),
        ("back/large", "", ""),
    ]
    assert not any("sk-one" in attempt.message for attempt in attempts)


async def test_a_connection_that_breaks_before_any_text_is_made_again(http: HttpClient, tmp_path: Path) -> None:
    broken = Answer(transport=Transport(drop_after=0))
    async with OpenAIStandIn([broken, Answer(text="at last")]) as front, AnthropicStandIn() as back:
        caller = house(http, tmp_path, front.base_url, back.base_url, "sk-front-12345")
        assert (await answer(caller, plan(*REFS))).text == "at last"
        assert (len(front.requests), len(back.requests)) == (2, 0)


async def test_a_connection_that_breaks_after_text_ends_the_call(http: HttpClient, tmp_path: Path) -> None:
    broken = Answer(text="one two three four", pieces=4, transport=Transport(drop_after=600))
    async with OpenAIStandIn([broken]) as front, AnthropicStandIn() as back:
        caller = house(http, tmp_path, front.base_url, back.base_url, "sk-front-12345")
        events: list[ModelEvent] = []
        with pytest.raises(ModelUnreachable):
            await seen(caller, plan(*REFS), events, [])
        assert any(isinstance(event, TextDelta) for event in events)
        assert (len(front.requests), len(back.requests)) == (1, 0)


async def test_when_all_are_down_the_error_tells_the_whole_story(http: HttpClient, tmp_path: Path) -> None:
    down = Failure(503, "server_error", "down", headers={"retry-after": "0"})
    overloaded = Failure(529, "overloaded_error", "busy", headers={"retry-after": "0"})
    async with OpenAIStandIn([down] * 3) as front, AnthropicStandIn([overloaded] * 3) as back:
        with pytest.raises(ModelOverloaded) as failure:
            await answer(house(http, tmp_path, front.base_url, back.base_url, "sk-front-12345"), plan(*REFS))
    told = [(each["ref"], each["error_code"]) for each in failure.value.details["attempts"]]
    assert told == [("front/large", "MODEL_OVERLOADED")] * 3 + [("back/large", "MODEL_OVERLOADED")] * 3
    assert failure.value.message.count("front/large: MODEL_OVERLOADED") == 3
