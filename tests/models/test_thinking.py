"""How much to think and which tool to call, as each wire says it."""

from __future__ import annotations

from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw.base.errors import InvalidRequest, ModelBadRequest
from openclaw.base.message import user
from openclaw.base.model import ModelRequest, ToolSpec
from openclaw.base.thinking import LEVELS, AnyThinking, Thinking, nearest, thinking_level, with_thought
from openclaw.config.schema import ModelCost, ModelEntry, ProviderConfig
from openclaw.models.anthropic.thought import LEAST_TEXT_TOKENS
from openclaw.models.assemble import collect
from openclaw.models.bedrock.request import body as bedrock_body
from openclaw.models.catalog import Catalog
from openclaw.models.embedded.constrained import shape
from openclaw.net.http import HttpClient
from tests.models.bedrock.clients import bearer
from tests.models.clients import STAND_INS, WEATHER, client_of
from tests.stand_ins.bedrock import BedrockStandIn
from tests.stand_ins.server import Answer, Failure

pytestmark = pytest.mark.anyio
TIME = ToolSpec("time", "Tell the time.", {"type": "object", "properties": {}})
BUDGET, ADAPTIVE = "claude-haiku-4-5", "claude-sonnet-5"
CLAUDE, NOVA, LLAMA = "anthropic.claude-haiku-4-5-20251001-v1:0", "amazon.nova-lite-v1:0", "meta.llama3-70b-v1:0"
OPENAI = ("openai", "openai-responses")


def asked(model: str, thinking: Thinking = "", **more: Any) -> ModelRequest:
    return ModelRequest(model=model, messages=(user("Hi"),), thinking=thinking, **more)


async def sent(wire: str, http: HttpClient, request: ModelRequest) -> dict[str, Any]:
    """Return the body that a wire sends, the same for a stream and for a whole answer."""
    async with STAND_INS[wire]([Answer(text="a"), Answer(text="a")]) as server:
        client = client_of(wire, http, server.base_url)
        await collect(client.stream(request))
        await client.generate(request)
        bodies = [each.json for each in server.requests]
    for each in bodies:
        each.pop("stream", None)
        each.pop("stream_options", None)
    assert bodies[0] == bodies[1]
    return bodies[0]


@pytest.mark.parametrize("word", get_args(AnyThinking))
def test_every_word_in_the_field_means_a_level(word: str) -> None:
    assert thinking_level(word.upper()) in ("", *LEVELS)


def test_an_unknown_word_is_refused_with_the_levels() -> None:
    with pytest.raises(InvalidRequest, match="thinkingLevel") as refused:
        thinking_level("a lot", "thinkingLevel")
    assert "minimal" in refused.value.hint


@given(st.sampled_from(LEVELS), st.lists(st.sampled_from(["none", "minimal", "low", "medium", "high"])))
def test_the_nearest_word_never_asks_for_less(level: Thinking, known: list[str]) -> None:
    ladder = ("none", *LEVELS[1:])
    word = nearest(level, known)
    assert not word or (word in known and ladder.index(word) >= LEVELS.index(level))


@given(st.integers(1, 200_000), st.sampled_from(("", *LEVELS)), st.integers(1, 200_000))
def test_a_limit_grows_by_the_thought_and_stays_within_the_models(limit: int, level: Thinking, most: int) -> None:
    found = with_thought(limit, level, most)
    assert limit <= found <= max(limit, most)


async def test_without_a_word_nothing_is_said_on_any_wire(http: HttpClient) -> None:
    for wire, model in (("openai", "gpt-5-mini"), ("openai-responses", "gpt-5-mini"), ("ollama", "qwen3")):
        body = await sent(wire, http, asked(model))
        assert not {"reasoning", "reasoning_effort", "think", "tool_choice"} & set(body)
    for model in (BUDGET, ADAPTIVE):
        assert not {"thinking", "output_config", "tool_choice"} & set(await sent("anthropic", http, asked(model)))


async def test_claude_gets_a_budget_on_top_of_its_answer_and_no_temperature(http: HttpClient) -> None:
    body = await sent("anthropic", http, asked(BUDGET, "medium", max_tokens=1000, temperature=0.5))
    assert body["thinking"] == {"type": "enabled", "budget_tokens": 10_240}
    assert body["max_tokens"] == 11_240
    assert "temperature" not in body
    assert "output_config" not in body
    plain = await sent("anthropic", http, asked(BUDGET, "off", max_tokens=1000, temperature=0.5))
    assert (plain["max_tokens"], plain["temperature"], "thinking" in plain) == (1000, 0.5, False)


async def test_a_budget_leaves_room_for_an_answer_or_is_left_out() -> None:
    from openclaw.models.anthropic.thought import thought

    fitted = thought(asked("m", "high"), 4_000, adaptive=False)
    assert fitted["thinking"]["budget_tokens"] == 4_000 - LEAST_TEXT_TOKENS
    assert thought(asked("m", "high"), 1_200, adaptive=False) == {}


@pytest.mark.parametrize(
    ("level", "effort"), [("minimal", "low"), ("low", "low"), ("medium", "medium"), ("high", "high")]
)
async def test_an_adaptive_claude_gets_an_effort(level: Thinking, effort: str, http: HttpClient) -> None:
    body = await sent("anthropic", http, asked(ADAPTIVE, level, max_tokens=100))
    assert body["thinking"] == {"type": "adaptive"}
    assert body["output_config"] == {"effort": effort}
    assert body["max_tokens"] > 1_000


async def test_an_adaptive_claude_is_told_not_to_think(http: HttpClient) -> None:
    body = await sent("anthropic", http, asked(ADAPTIVE, "off"))
    assert (body["thinking"], "output_config" in body) == ({"type": "disabled"}, False)


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("wire", "message"),
    [
        ("anthropic", "adaptive thinking is not supported on this model"),
        ("openai", "Unsupported value: 'reasoning_effort' does not support 'low' with this model."),
        ("openai-responses", "Unsupported parameter: 'reasoning.effort' is not supported with this model."),
    ],
)
async def test_a_level_that_is_refused_is_left_behind(wire: str, message: str, stream: bool, http: HttpClient) -> None:
    refused = Failure(400, "invalid_request_error", message)
    async with STAND_INS[wire]([refused, Answer(text="on")]) as server:
        client = client_of(wire, http, server.base_url)
        request = asked(ADAPTIVE, "low")
        result = await (collect(client.stream(request)) if stream else client.generate(request))
        first, second = (each.json for each in server.requests)
    assert result.message.text == "on"
    fields = {"thinking", "output_config", "reasoning", "reasoning_effort"}
    assert fields & set(first)
    assert not fields & set(second)


@pytest.mark.parametrize("wire", ["anthropic", *OPENAI])
async def test_another_refusal_is_told(wire: str, http: HttpClient) -> None:
    refused = Failure(400, "invalid_request_error", "the tools are wrong")
    async with STAND_INS[wire]([refused]) as server:
        with pytest.raises(ModelBadRequest):
            await client_of(wire, http, server.base_url).generate(asked(ADAPTIVE, "low"))


@pytest.mark.parametrize(
    ("model", "level", "word"),
    [
        ("gpt-5-mini", "off", "minimal"),
        ("gpt-5-mini", "minimal", "minimal"),
        ("gpt-6-sol", "off", "none"),
        ("gpt-6-sol", "minimal", "low"),
        ("gpt-6-sol", "high", "high"),
        ("somebody-elses", "minimal", "low"),
        ("somebody-elses", "medium", "medium"),
    ],
)
async def test_openai_gets_the_models_own_word(model: str, level: Thinking, word: str, http: HttpClient) -> None:
    assert (await sent("openai", http, asked(model, level)))["reasoning_effort"] == word
    assert (await sent("openai-responses", http, asked(model, level)))["reasoning"] == {"effort": word}


@pytest.mark.parametrize("wire", OPENAI)
async def test_an_unknown_model_is_not_told_to_be_off(wire: str, http: HttpClient) -> None:
    assert not {"reasoning", "reasoning_effort"} & set(await sent(wire, http, asked("somebody-elses", "off")))


@pytest.mark.parametrize(
    ("model", "level", "think"),
    [("qwen3", "off", False), ("qwen3", "low", True), ("gpt-oss:20b", "minimal", "low"), ("gpt-oss:20b", "off", "low")],
)
async def test_ollama_thinks_or_not_and_gpt_oss_by_level(
    model: str, level: Thinking, think: object, http: HttpClient
) -> None:
    assert (await sent("ollama", http, asked(model, level)))["think"] == think


async def bedrock(http: HttpClient, request: ModelRequest) -> dict[str, Any]:
    async with BedrockStandIn([Answer(text="a")]) as server:
        await collect(bearer(http, server.base_url).stream(request))
        return server.requests[0].json


async def test_bedrock_tells_claude_in_additional_fields(http: HttpClient) -> None:
    body = await bedrock(http, asked(f"us.{CLAUDE}", "low", max_tokens=500, temperature=0.3))
    fields = body["additionalModelRequestFields"]
    assert fields == {"thinking": {"type": "enabled", "budget_tokens": 4_096}}
    assert body["inferenceConfig"] == {"maxTokens": 4_596}
    adaptive = await bedrock(http, asked("global.anthropic.claude-sonnet-5", "low"))
    fields = {"thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}}
    assert adaptive["additionalModelRequestFields"] == fields
    assert adaptive["inferenceConfig"]["maxTokens"] > 8_192


@pytest.mark.parametrize("model", [NOVA, LLAMA])
async def test_bedrock_tells_other_models_nothing(model: str, http: HttpClient) -> None:
    body = await bedrock(http, asked(model, "high", max_tokens=500, temperature=0.3))
    assert "additionalModelRequestFields" not in body
    assert body["inferenceConfig"] == {"maxTokens": 500, "temperature": 0.3}


async def test_bedrock_goes_on_without_a_level_that_is_refused(http: HttpClient) -> None:
    refused = Failure(400, "ValidationException", "thinking.type.adaptive is not supported")
    async with BedrockStandIn([refused, Answer(text="on")]) as server:
        result = await bearer(http, server.base_url).generate(asked("global.anthropic.claude-sonnet-5", "low"))
        assert result.message.text == "on"
        assert "additionalModelRequestFields" not in server.requests[1].json


def test_a_configured_model_knows_what_its_namesake_takes() -> None:
    entries = (ModelEntry(id=ADAPTIVE, reasoning=True, cost=ModelCost(input=1)), ModelEntry(id="openai/gpt-5-mini"))
    catalog = Catalog({"proxy": ProviderConfig(models=entries)})
    assert catalog.info("proxy", ADAPTIVE).adaptive_thinking
    assert catalog.info("proxy", "openai/gpt-5-mini").efforts == ("minimal", "low", "medium", "high")
    assert not catalog.info("proxy", "openai/gpt-5-mini").reasoning


# which tool to call

CHOICES = {
    "anthropic": {
        "none": {"type": "none"},
        "required": {"type": "any"},
        "time": {"type": "tool", "name": "time"},
    },
    "openai": {
        "none": "none",
        "required": "required",
        "time": {"type": "function", "function": {"name": "time"}},
    },
    "openai-responses": {
        "none": "none",
        "required": "required",
        "time": {"type": "function", "name": "time"},
    },
}
TOOLS = (WEATHER, TIME)


@pytest.mark.parametrize("wire", list(CHOICES))
@pytest.mark.parametrize("choice", ["none", "required", "time"])
async def test_a_choice_is_said_in_the_wires_words(wire: str, choice: str, http: HttpClient) -> None:
    body = await sent(wire, http, asked("m", tools=TOOLS, tool_choice=choice))
    assert body["tool_choice"] == CHOICES[wire][choice]  # type: ignore[index]
    assert len(body["tools"]) == 2
    assert "tool_choice" not in await sent(wire, http, asked("m", tool_choice=choice))


async def test_claude_does_not_think_when_it_must_call(http: HttpClient) -> None:
    body = await sent("anthropic", http, asked(BUDGET, "high", tools=TOOLS, tool_choice="required", temperature=0.2))
    assert ("thinking" in body, body["temperature"]) == (False, 0.2)
    body = await sent("anthropic", http, asked(ADAPTIVE, "high", tools=TOOLS, tool_choice="time"))
    assert body["thinking"] == {"type": "disabled"}
    body = await sent("anthropic", http, asked(BUDGET, "high", tools=TOOLS, tool_choice="none"))
    assert body["thinking"]["type"] == "enabled"


async def test_ollama_is_told_in_words_and_offered_what_is_left(http: HttpClient) -> None:
    body = await sent("ollama", http, asked("m", system="S", tools=TOOLS, tool_choice="time"))
    assert [tool["function"]["name"] for tool in body["tools"]] == ["time"]
    assert body["messages"][0]["content"] == "S\n\nAnswer with a call of one of these tools: time."
    assert "tools" not in await sent("ollama", http, asked("m", tools=TOOLS, tool_choice="none"))


@pytest.mark.parametrize("base", [CLAUDE, NOVA])
def test_bedrock_forces_the_models_that_it_can(base: str) -> None:
    def config(choice: str) -> Any:
        request = asked(base, tools=TOOLS, tool_choice=choice)
        return bedrock_body(request, cache_marks=frozenset(), fixed_temperature=False, base=base)["toolConfig"]

    assert config("required")["toolChoice"] == {"any": {}}
    assert config("time")["toolChoice"] == {"tool": {"name": "time"}}
    assert "toolChoice" not in config("")


def test_bedrock_tells_the_others_in_words() -> None:
    request = asked(LLAMA, tools=TOOLS, tool_choice="required")
    body = bedrock_body(request, cache_marks=frozenset(), fixed_temperature=False, base=LLAMA)
    assert "toolChoice" not in body["toolConfig"]
    assert body["system"] == [{"text": "Answer with a call of one of these tools: get_weather, time."}]
    nothing = msgspec.structs.replace(request, tool_choice="none")
    assert "toolConfig" not in bedrock_body(nothing, cache_marks=frozenset(), fixed_temperature=False, base=LLAMA)


def test_a_constrained_model_cannot_but_call() -> None:
    def kinds(choice: str) -> list[str]:
        schema = shape(asked("m", tools=TOOLS, tool_choice=choice))[1]["response_format"]["json_schema"]["schema"]
        return [
            "reply" if "reply" in one["properties"] else one["properties"]["tool"]["const"] for one in schema["oneOf"]
        ]

    assert kinds("") == ["get_weather", "time", "reply"]
    assert kinds("required") == ["get_weather", "time"]
    assert kinds("time") == ["time"]
    assert kinds("none") == ["reply"]
    assert shape(asked("m", tools=TOOLS, tool_choice="time"))[0].tool_choice == ""
