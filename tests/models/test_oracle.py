"""The vendors' own clients against our stand-ins: they attest that the stand-ins speak the wire truly."""

from __future__ import annotations

from typing import Any

import anthropic
import openai
import pytest

from tests.stand_ins.anthropic import AnthropicStandIn
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
