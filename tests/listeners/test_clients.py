"""Programs that people already have, unchanged, against the real gateway: it thinks with the fake model."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
import warnings
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from tests.gateway.process import TOKEN, GatewayProcess, free_port, gateway, write_config
from tests.stand_ins.openai import OpenAIStandIn
from tests.stand_ins.server import Raw, Reply, Request

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

WEATHER: dict[str, Any] = {
    "name": "get_weather",
    "description": "Tells the weather of a city.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
ASK_TWICE = '/tool get_weather {"city":"Paris"}\n/tool get_weather {"city":"Rome"}'
"""What makes the fake model call two of the caller's tools at once."""
OPEN = ("queued", "in_progress")


@pytest.fixture(scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[GatewayProcess]:
    async with gateway(tmp_path_factory.mktemp("clients") / "state") as process:
        yield process


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def sdk(running: GatewayProcess) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(api_key=TOKEN, base_url=f"{running.http_url}/v1", max_retries=0) as client:
        yield client


async def program(*argv: str, env: dict[str, str] | None = None) -> str:
    """Run a program to its end and return what it printed; it must end well."""
    process = await asyncio.create_subprocess_exec(
        *argv, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env={**os.environ, **(env or {})}
    )
    async with asyncio.timeout(60):
        told, complained = await process.communicate()
    assert process.returncode == 0, complained.decode()[-2000:]
    return told.decode()


async def test_openai_chats_streams_and_lists(sdk: openai.AsyncOpenAI) -> None:
    whole = await sdk.chat.completions.create(model="openclaw", messages=[{"role": "user", "content": "one two"}])
    assert whole.choices[0].message.content == "fake: one two"
    stream = await sdk.chat.completions.create(
        model="openclaw",
        messages=[{"role": "user", "content": "one two"}],
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = [chunk async for chunk in stream]
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == "fake: one two"
    assert chunks[-1].usage is not None
    assert "openclaw/main" in [model.id async for model in sdk.models.list()]


@pytest.mark.parametrize("user", [None, "ann"])
async def test_openai_runs_the_tools_that_the_model_asks_for(sdk: openai.AsyncOpenAI, user: str | None) -> None:
    tools: Any = [{"type": "function", "function": WEATHER}]
    kept: Any = {"user": user} if user else {}
    messages: list[Any] = [{"role": "user", "content": ASK_TWICE}]
    first = await sdk.chat.completions.create(model="openclaw", messages=messages, tools=tools, **kept)
    choice = first.choices[0]
    calls: Any = choice.message.tool_calls
    assert choice.finish_reason == "tool_calls"
    assert [json.loads(call.function.arguments)["city"] for call in calls] == ["Paris", "Rome"]
    messages.append(choice.message.model_dump(exclude_none=True))
    messages += [{"role": "tool", "tool_call_id": call.id, "content": "sunny"} for call in calls]
    second = await sdk.chat.completions.create(model="openclaw", messages=messages, tools=tools, **kept)
    assert second.choices[0].finish_reason == "stop"
    assert "sunny" in (second.choices[0].message.content or "")


async def test_openai_streams_the_calls(sdk: openai.AsyncOpenAI) -> None:
    async with sdk.chat.completions.stream(
        model="openclaw",
        messages=[{"role": "user", "content": ASK_TWICE}],
        tools=[{"type": "function", "function": WEATHER}],  # type: ignore[typeddict-item]  # the same, typed
    ) as stream:
        final = await stream.get_final_completion()
    calls = final.choices[0].message.tool_calls or []
    assert [json.loads(call.function.arguments)["city"] for call in calls] == ["Paris", "Rome"]


async def test_openai_continues_responses_with_results_and_by_their_ids(sdk: openai.AsyncOpenAI) -> None:
    tools: Any = [{"type": "function", **WEATHER, "strict": False}]
    first = await sdk.responses.create(model="openclaw", input=ASK_TWICE, tools=tools)
    calls = [item for item in first.output if item.type == "function_call"]
    assert [json.loads(call.arguments)["city"] for call in calls] == ["Paris", "Rome"]
    results: Any = [{"type": "function_call_output", "call_id": call.call_id, "output": "sunny"} for call in calls]
    second = await sdk.responses.create(model="openclaw", input=results, previous_response_id=first.id, tools=tools)
    assert second.output_text == "fake: get_weather → sunny; get_weather → sunny"
    third = await sdk.responses.create(model="openclaw", input="and now", previous_response_id=second.id, tools=tools)
    assert third.output_text == "fake: and now"
    assert third.usage is not None
    assert second.usage is not None
    assert third.usage.input_tokens > second.usage.input_tokens
    shown = await sdk.responses.retrieve(third.id)
    assert (shown.output_text, shown.status) == (third.output_text, "completed")
    await sdk.responses.delete(third.id)
    with pytest.raises(openai.NotFoundError):
        await sdk.responses.retrieve(third.id)


async def test_openai_streams_responses_and_cancels_one_in_the_background(sdk: openai.AsyncOpenAI) -> None:
    async with sdk.responses.stream(model="openclaw", input="one two") as stream:
        kinds = [event.type async for event in stream]
        assert (await stream.get_final_response()).output_text == "fake: one two"
    assert (kinds[0], kinds[-1]) == ("response.created", "response.completed")
    slow: Any = {"x-openclaw-model": "fake/fake-n1000-d200"}
    made = await sdk.responses.create(model="openclaw", input="x", background=True, extra_headers=slow)
    assert made.status == "queued"
    assert (await sdk.responses.cancel(made.id)).status == "cancelled"
    assert (await sdk.responses.retrieve(made.id)).status == "cancelled"


@pytest.mark.parametrize("responses", [False, True])
async def test_langchain_chats_streams_and_binds_tools(running: GatewayProcess, responses: bool) -> None:
    async with httpx.AsyncClient() as http:
        warnings.simplefilter("ignore")  # theirs, at import; each test has filters of its own
        from langchain_core.messages import HumanMessage, ToolMessage
        from langchain_openai import ChatOpenAI

        model = ChatOpenAI(
            model="openclaw",
            base_url=f"{running.http_url}/v1",
            api_key=TOKEN,  # type: ignore[arg-type]  # text is taken
            use_responses_api=responses,
            http_async_client=http,  # its own would be kept, with its connection, until the interpreter ends
        )
        assert (await model.ainvoke("one two")).text == "fake: one two"
        assert "".join([piece.text async for piece in model.astream("one two")]) == "fake: one two"
        bound = model.bind_tools([{"type": "function", "function": WEATHER}])
        asked = HumanMessage(ASK_TWICE)
        answer = await bound.ainvoke([asked])
        assert [call["args"]["city"] for call in answer.tool_calls] == ["Paris", "Rome"]
        results = [ToolMessage("sunny", tool_call_id=str(call["id"])) for call in answer.tool_calls]
        final = await bound.ainvoke([asked, answer, *results])
        assert "get_weather → sunny" in final.text


async def test_the_llm_program_asks(running: GatewayProcess, tmp_path: Path) -> None:
    models = f"- model_id: claw\n  model_name: openclaw\n  api_base: {running.http_url}/v1\n  api_key_name: claw\n"
    (tmp_path / "extra-openai-models.yaml").write_text(models)
    (tmp_path / "keys.json").write_text(json.dumps({"claw": TOKEN}))
    environment = {"LLM_USER_PATH": str(tmp_path)}
    for option in ((), ("--no-stream",)):
        argv = (sys.executable, "-m", "llm", "prompt", "-m", "claw", *option, "one two")
        assert (await program(*argv, env=environment)).strip() == "fake: one two"


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
async def test_curl_asks_and_streams(running: GatewayProcess) -> None:
    head = ("curl", "-sS", "-N", "-H", f"Authorization: Bearer {TOKEN}")
    body = {"model": "openclaw", "input": "one two", "stream": True}
    told = await program(*head, f"{running.http_url}/v1/responses", "--json", json.dumps(body))
    assert told.startswith("event: response.created\n")
    assert told.endswith("data: [DONE]\n\n")
    refused = await program(*head, f"{running.http_url}/v1/chat/completions", "--json", "{}", "-w", "%{http_code}")
    assert refused.endswith("400")


def _vectors(request: Request) -> Reply:
    rows = [{"index": i, "embedding": [float(len(text)), 0.5]} for i, text in enumerate(request.json["input"])]
    return Raw((json.dumps({"data": rows, "usage": {"prompt_tokens": len(rows)}}).encode(),))


async def test_embeddings_come_from_a_provider_that_has_them(tmp_path: Path) -> None:
    async with OpenAIStandIn(_vectors) as upstream:
        local = {"baseUrl": upstream.base_url, "models": [{"id": "nomic-embed-text"}]}
        async with (
            gateway(tmp_path / "state", models={"providers": {"local": local}}) as running,
            openai.AsyncOpenAI(api_key=TOKEN, base_url=f"{running.http_url}/v1", max_retries=0) as sdk,
        ):
            answer = await sdk.embeddings.create(model="openclaw", input=["a", "bcd"])
            assert [row.embedding for row in answer.data] == [[1.0, 0.5], [3.0, 0.5]]
            assert (answer.model, answer.usage.total_tokens) == ("local/nomic-embed-text", 2)
            with pytest.raises(openai.NotFoundError, match="no provider offers an embedding model"):
                await sdk.embeddings.create(model="nope", input="a")


async def test_without_a_provider_of_embeddings_the_answer_says_what_to_configure(sdk: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="under models"):
        await sdk.embeddings.create(model="openclaw", input="a")


async def test_curl_calls_a_tool(running: GatewayProcess) -> None:
    head = ("curl", "-sS", "-H", f"Authorization: Bearer {TOKEN}", f"{running.http_url}/tools/invoke", "--json")
    found = json.loads(await program(*head, '{"tool":"session_status","args":{},"sessionKey":"main"}'))
    assert found["ok"]
    assert found["result"]["details"]["session"] == "agent:main:main"
    refused = json.loads(await program(*head, '{"tool":"nope"}'))
    assert refused == {"ok": False, "error": {"type": "not_found", "message": "Tool not available: nope"}}


async def test_a_response_in_the_background_survives_a_kill(tmp_path: Path) -> None:
    port = free_port()
    folder = tmp_path / "state"
    write_config(folder, port, "fake/fake-n40-d50")
    first = await (await GatewayProcess.start(folder, port)).ready()
    sdk = openai.AsyncOpenAI(api_key=TOKEN, base_url=f"{first.http_url}/v1", max_retries=0)
    made = await sdk.responses.create(model="openclaw", input="x", background=True)
    await first.kill()
    second = await (await GatewayProcess.start(folder, port)).ready()
    try:
        async with asyncio.timeout(20):
            while (found := await sdk.responses.retrieve(made.id)).status in OPEN:  # noqa: ASYNC110  # it is asked for
                await asyncio.sleep(0.05)
        assert (found.status, found.output_text) == ("completed", "x" * 8 * 40)
    finally:
        await sdk.close()
        await second.stop()
