"""The vendors' own clients against our stand-ins: they attest that the stand-ins speak the wire truly."""

from __future__ import annotations

from typing import Any

import anthropic
import ollama
import openai
import pytest

from tests.stand_ins.anthropic import AnthropicStandIn
from tests.stand_ins.ollama import OllamaStandIn
from tests.stand_ins.openai import OpenAIStandIn
from tests.stand_ins.server import Answer, Call, Failure, Transport

pytestmark = pytest.mark.anyio
REPLY = Answer(text="Tōkyō.", calls=(Call("get_weather", '{"city":"Tokyo"}'),), cached_tokens=2)
CUT = Answer(text="Tōkyō.", calls=REPLY.calls, transport=Transport(chunk_bytes=3))
HI: Any = [{"role": "user", "content": "hi"}]


async def test_the_openai_client_understands_the_stand_in() -> None:
    async with (
        OpenAIStandIn([REPLY, CUT, Failure(429, "rate_limit_exceeded", "slow down")]) as server,
        openai.AsyncOpenAI(api_key="k", base_url=server.base_url, max_retries=0) as client,
    ):
        whole = await client.chat.completions.create(model="m", messages=HI)
        assert whole.choices[0].message.content == "Tōkyō."
        assert whole.choices[0].finish_reason == "tool_calls"
        calls: Any = whole.choices[0].message.tool_calls
        assert calls[0].function.arguments == '{"city":"Tokyo"}'
        assert whole.usage is not None
        assert whole.usage.total_tokens == 46

        text, arguments, usage = "", "", None
        options: Any = {"include_usage": True}
        stream = await client.chat.completions.create(model="m", messages=HI, stream=True, stream_options=options)
        async for chunk in stream:
            usage = chunk.usage or usage
            for choice in chunk.choices:
                text += choice.delta.content or ""
                for call in choice.delta.tool_calls or ():
                    arguments += (call.function and call.function.arguments) or ""
        assert (text, arguments) == ("Tōkyō.", '{"city":"Tokyo"}')
        assert usage is not None
        with pytest.raises(openai.RateLimitError) as caught:
            await client.chat.completions.create(model="m", messages=HI)
        assert caught.value.code == "rate_limit_exceeded"
        assert [model.id async for model in client.models.list()] == ["stand-in-1"]


async def test_the_anthropic_client_understands_the_stand_in() -> None:
    thoughtful = Answer(text="42", thinking="Six times seven.", signature="sig==")
    failures = [Failure(529, "overloaded_error", "busy"), Failure(200, "overloaded_error", "busy", after=1)]
    async with (
        AnthropicStandIn([REPLY, CUT, thoughtful, *failures]) as server,
        anthropic.AsyncAnthropic(api_key="k", base_url=server.base_url, max_retries=0) as client,
    ):
        whole = await client.messages.create(model="m", max_tokens=9, messages=HI)
        kinds: Any = [block.type for block in whole.content]
        assert kinds == ["text", "tool_use"]
        assert whole.stop_reason == "tool_use"
        assert whole.usage.cache_read_input_tokens == 2

        async with client.messages.stream(model="m", max_tokens=9, messages=HI) as stream:
            final: Any = await stream.get_final_message()
        assert final.content[0].text == "Tōkyō."
        assert final.content[1].input == {"city": "Tokyo"}
        assert final.usage.output_tokens == 34

        async with client.messages.stream(model="m", max_tokens=9, messages=HI) as stream:
            final = await stream.get_final_message()
        assert (final.content[0].thinking, final.content[0].signature) == ("Six times seven.", "sig==")

        with pytest.raises(anthropic.APIStatusError) as caught:
            await client.messages.create(model="m", max_tokens=9, messages=HI)
        assert caught.value.status_code == 529
        with pytest.raises(anthropic.APIStatusError):
            async with client.messages.stream(model="m", max_tokens=9, messages=HI) as stream:
                await stream.get_final_message()
        assert (await client.messages.count_tokens(model="m", messages=HI)).input_tokens == 77
        assert [model.id async for model in client.models.list()] == ["claude-stand-in"]
        assert (await client.models.retrieve("claude-stand-in")).max_input_tokens == 300_000


async def test_the_openai_client_understands_the_stand_ins_responses() -> None:
    thoughtful = Answer(text="42", thinking="Six times seven.", signature="ENC", calls=REPLY.calls, cached_tokens=2)
    failures = [
        Failure(429, "rate_limit_exceeded", "slow down"),
        Failure(200, "server_error", "it broke", after=1),
        Failure(200, "odd", "it broke", after=1),
    ]
    async with (
        OpenAIStandIn([thoughtful, thoughtful, CUT, Answer(finish="max_output_tokens"), *failures]) as server,
        openai.AsyncOpenAI(api_key="k", base_url=server.base_url, max_retries=0) as client,
    ):
        whole: Any = await client.responses.create(model="m", input="hi")
        assert whole.output_text == "42"
        assert [item.type for item in whole.output] == ["reasoning", "message", "function_call"]
        assert whole.output[2].arguments == '{"city":"Tokyo"}'
        assert whole.usage.input_tokens_details.cached_tokens == 2
        for expected in ("42", "Tōkyō."):
            async with client.responses.stream(model="m", input="hi") as stream:
                kinds = [event.type async for event in stream]
                final: Any = await stream.get_final_response()
            assert (kinds[0], kinds[-1]) == ("response.created", "response.completed")
            assert final.output_text == expected
            assert final.output[-1].arguments == '{"city":"Tokyo"}'
        cut_short = await client.responses.create(model="m", input="hi")
        assert cut_short.incomplete_details is not None
        assert cut_short.incomplete_details.reason == "max_output_tokens"
        with pytest.raises(openai.RateLimitError):
            await client.responses.create(model="m", input="hi")
        last: list[Any] = [event async for event in await client.responses.create(model="m", input="hi", stream=True)]
        assert last[-1].type == "response.failed"
        assert last[-1].response.error.code == "server_error"
        last = [event async for event in await client.responses.create(model="m", input="hi", stream=True)]
        assert (last[-1].type, last[-1].message) == ("error", "it broke")


async def test_the_ollama_client_understands_the_stand_in() -> None:
    thoughtful = Answer(text="42", thinking="Six times seven.", calls=REPLY.calls)
    failures = [Failure(404, "", "model 'm' not found"), Failure(200, "", "it broke", after=1)]
    async with (
        OllamaStandIn([REPLY, thoughtful, CUT, *failures]) as server,
        ollama.AsyncClient(host=server.base_url) as client,
    ):
        whole: Any = await client.chat("m", HI)
        assert whole.message.content == "Tōkyō."
        assert whole.message.tool_calls[0].function.arguments == {"city": "Tokyo"}
        assert (whole.prompt_eval_count, whole.eval_count, whole.done_reason) == (12, 34, "stop")
        for expected, thought in (("42", "Six times seven."), ("Tōkyō.", "")):
            text = thinking = ""
            calls: list[Any] = []
            async for chunk in await client.chat("m", HI, stream=True):
                text += chunk.message.content or ""
                thinking += chunk.message.thinking or ""
                calls += chunk.message.tool_calls or ()
            assert (text, thinking, len(calls)) == (expected, thought, 1)
        with pytest.raises(ollama.ResponseError) as caught:
            await client.chat("m", HI)
        assert caught.value.status_code == 404
        with pytest.raises(ollama.ResponseError):
            async for _ in await client.chat("m", HI, stream=True):
                pass
        assert [model.model for model in (await client.list()).models] == ["stand-in:latest"]
        shown = await client.show("stand-in:latest")
        assert shown.capabilities == ["completion", "tools", "vision", "thinking"]
        assert shown.modelinfo is not None
        assert shown.modelinfo["llama.context_length"] == 12_288
