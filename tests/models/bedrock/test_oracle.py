"""boto3 against the stand-in attests the stand-in; what boto3 sends for our request attests our request."""

from __future__ import annotations

import asyncio
from base64 import b64decode
from contextlib import closing
from typing import Any

import boto3
import msgspec
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, EventStreamError

from openclaw.base.message import ImagePart, Message, TextPart, ThinkingPart, ToolOutcome, assistant, user
from openclaw.base.model import ModelRequest
from openclaw.base.secret import Secret
from openclaw.models.assemble import collect
from openclaw.models.bedrock.model_id import model_id
from openclaw.models.bedrock.request import body
from openclaw.models.bedrock.signing import BearerKey, Outgoing
from openclaw.models.bedrock.transport import AWS
from openclaw.net.http import HttpClient
from tests.models.bedrock.clients import IMPORTED, KEYS, signed
from tests.models.clients import WEATHER
from tests.models.test_wire_clients import CALLS, EXPECTED_CALLS
from tests.stand_ins.bedrock import ACCESS_KEY, API_KEY, SECRET_KEY, BedrockStandIn
from tests.stand_ins.server import Answer, Failure, Transport

pytestmark = pytest.mark.anyio
MODEL = "us.anthropic.claude-sonnet-4-6-v1:0"
HI: Any = [{"role": "user", "content": [{"text": "hi"}]}]
REPLY = Answer(text="Tōkyō.", thinking="Hm, easy.", signature="sig==", calls=CALLS, cached_tokens=2)


class Boto:
    """boto3's clients of one stand-in, each call in a thread."""

    def __init__(self, base_url: str) -> None:
        options: dict[str, Any] = {
            "endpoint_url": base_url,
            "region_name": "us-east-1",
            "aws_access_key_id": ACCESS_KEY,
            "aws_secret_access_key": SECRET_KEY,
            "config": Config(retries={"total_max_attempts": 1}),
        }
        self.runtime = boto3.client("bedrock-runtime", **options)
        self.control = boto3.client("bedrock", **options)

    async def call(self, name: str, **arguments: Any) -> dict[str, Any]:
        """Call a method; a stream comes back as a list."""

        def run() -> dict[str, Any]:
            method = getattr(self.runtime if hasattr(self.runtime, name) else self.control, name)
            answer = dict(method(**arguments))
            for part in {"stream", "body"} & set(answer):
                with closing(answer[part]) as source:
                    answer[part] = source.read() if hasattr(source, "read") else list(source)
            return answer

        return await asyncio.to_thread(run)

    def close(self) -> None:
        """Close the connections."""
        self.runtime.close()
        self.control.close()


@pytest.fixture(autouse=True)
def no_api_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """boto3 reads the process's environment."""
    monkeypatch.delenv("AWS_BEARER_TOKEN_BEDROCK", raising=False)


async def test_boto3_understands_the_stand_in_and_is_understood() -> None:
    async with BedrockStandIn([REPLY, Answer(transport=Transport(chunk_bytes=3))]) as server:
        boto = Boto(server.base_url)
        whole = await boto.call("converse", modelId=MODEL, messages=HI)
        streamed = await boto.call("converse_stream", modelId=MODEL, messages=HI)
        models = await boto.call("list_foundation_models", byOutputModality="TEXT")
        profiles = await boto.call("list_inference_profiles", maxResults=1000)
        counted = await boto.call("count_tokens", modelId=MODEL, input={"converse": {"messages": HI}})
        boto.close()
        assert server.proofs == ["sigv4 us-east-1 bedrock"] * 5
        assert server.model_of(0) == MODEL
    content = whole["output"]["message"]["content"]
    assert content[0]["reasoningContent"]["reasoningText"] == {"text": "Hm, easy.", "signature": "sig=="}
    assert content[1] == {"text": "Tōkyō."}
    assert [block["toolUse"]["input"] for block in content[2:]] == [{"city": "Tokyo"}, {"city": "Zürich"}]
    assert (whole["stopReason"], whole["usage"]["cacheReadInputTokens"]) == ("tool_use", 2)
    deltas = [
        event["contentBlockDelta"]["delta"]["text"] for event in streamed["stream"] if "contentBlockDelta" in event
    ]
    assert "".join(deltas) == "Hello from the stand-in."
    assert streamed["stream"][-1]["metadata"]["usage"]["outputTokens"] == 34
    assert len(models["modelSummaries"]) == 3
    assert profiles["nextToken"]
    assert counted["inputTokens"] == 77


async def test_boto3_reads_the_stand_ins_failures() -> None:
    failures = [Failure(429, "", "slow down"), Failure(200, "throttlingException", "busy", after=2)]
    async with BedrockStandIn(failures) as server:
        boto = Boto(server.base_url)
        with pytest.raises(ClientError) as refused:
            await boto.call("converse", modelId=MODEL, messages=HI)
        with pytest.raises(EventStreamError, match="throttlingException"):
            await boto.call("converse_stream", modelId=MODEL, messages=HI)
        boto.close()
    assert refused.value.response["Error"] == {"Message": "slow down", "Code": "ThrottlingException"}


async def test_boto3_invokes_an_imported_model() -> None:
    asked = msgspec.json.encode({"messages": [{"role": "user", "content": "hi"}]})
    async with BedrockStandIn() as server:
        boto = Boto(server.base_url)
        whole = await boto.call("invoke_model", modelId=IMPORTED, body=asked)
        streamed = await boto.call("invoke_model_with_response_stream", modelId=IMPORTED, body=asked)
        boto.close()
        assert server.model_of(0) == IMPORTED
    assert msgspec.json.decode(whole["body"])["choices"][0]["message"]["content"] == "Hello from the stand-in."
    last = msgspec.json.decode(streamed["body"][-1]["chunk"]["bytes"])
    assert last["amazon-bedrock-invocationMetrics"]["outputTokenCount"] == 34


async def test_boto3_and_we_show_an_api_key_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    # boto3 shows it over TLS only, so its request is looked at before it leaves.
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", API_KEY)
    sent: list[Any] = []

    def look(request: Any, **_: Any) -> None:
        sent.append(request)
        raise LookupError

    client = boto3.client("bedrock-runtime", region_name="eu-west-1")
    client.meta.events.register("before-send.bedrock-runtime.Converse", look)
    with pytest.raises(LookupError):
        await asyncio.to_thread(client.converse, modelId=MODEL, messages=HI)
    client.close()
    asked = Outgoing("POST", "", {}, b"", "eu-west-1")
    ours = await BearerKey(Secret(API_KEY)).headers(MODEL, asked)
    assert sent[0].headers["Authorization"].decode() == ours["Authorization"]
    assert sent[0].url == f"{AWS.of_runtime('eu-west-1')}/model/{model_id(MODEL).path}/converse"


async def test_our_request_is_byte_for_byte_what_boto3_makes_of_it(nowhere: dict[str, str], http: HttpClient) -> None:
    conversation = (
        user("What is the weather?"),
        Message("assistant", (ThinkingPart("Hm.", "sig=="), TextPart("Let me look."), *EXPECTED_CALLS)),
        Message(
            "tool", (ToolOutcome("call_a", "get_weather", "sunny"), ToolOutcome("call_b", "get_weather", "", True))
        ),
        Message("user", (TextPart("And this?"), ImagePart("image/png", "aGk="))),
        assistant("A picture."),
        Message("user", (TextPart("Thanks."),)),
    )
    request = ModelRequest(
        model=MODEL, system="S", messages=conversation, tools=(WEATHER,), temperature=0.5, max_tokens=99
    )
    arguments = body(request, cache_marks=frozenset({"system", "tools", "messages"}), fixed_temperature=False)
    for block in (block for message in arguments["messages"] for block in message["content"]):
        if "image" in block:
            block["image"]["source"]["bytes"] = b64decode(block["image"]["source"]["bytes"])
    async with BedrockStandIn() as server:
        boto = Boto(server.base_url)
        await boto.call("converse", modelId=MODEL, **arguments)
        await boto.call("converse_stream", modelId=IMPORTED, **arguments)
        boto.close()
        client = signed(http, server.base_url, {**nowhere, **KEYS})
        await client.generate(request)
        await collect(client.stream(request))
        theirs, _, ours, streamed = server.requests
    assert ours.path == theirs.path
    assert streamed.path == theirs.path + "-stream"
    assert ours.json == theirs.json
