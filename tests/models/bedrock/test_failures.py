"""Everything that can go wrong on Bedrock's wire is one typed error, and none gives a credential away."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw.base.clock import SYSTEM_CLOCK
from openclaw.base.errors import (
    ModelAuth,
    ModelBadRequest,
    ModelContentFiltered,
    ModelContextOverflow,
    ModelError,
    ModelNotFound,
    ModelOverloaded,
    ModelProtocol,
    ModelRateLimited,
    ModelTimeout,
    ModelUnreachable,
)
from openclaw.base.model import ModelEvent, ModelFinish, ToolCallDelta
from openclaw.models.assemble import Assembler
from openclaw.models.bedrock.eventstream import EventStreamReader, Message, MessageBroken
from openclaw.models.bedrock.failure import AwsFailures
from openclaw.models.bedrock.parser import ConverseParser, InvokeParser
from openclaw.models.transport.failure import Failures
from openclaw.net.http import HttpClient
from tests.models.bedrock.clients import IMPORTED, KEYS, bearer, signed
from tests.models.clients import BROKEN, ask, events_of
from tests.models.test_parsers import JSON
from tests.stand_ins.bedrock import (
    API_KEY,
    EVENT_STREAM,
    SECRET_KEY,
    BedrockStandIn,
    _ending,
    _events,
    event,
    message,
)
from tests.stand_ins.server import Answer, Failure, Raw, Reply, Transport

pytestmark = pytest.mark.anyio
BOTH = pytest.mark.parametrize("stream", [True, False])
MODELS = pytest.mark.parametrize("model", ["m", IMPORTED])
RECORDED = b"".join(_events(Answer()) + _ending(Answer()))
FAILURES = AwsFailures(Failures("p", None, SYSTEM_CLOCK))


def streamed(*pieces: bytes) -> Raw:
    """Return pieces as an event stream."""
    return Raw(pieces, content_type=EVENT_STREAM, stream=True)


async def failure(http: HttpClient, reply: Reply, *, stream: bool, model: str = "m") -> ModelError:
    """Return the error that a reply leads to."""
    async with BedrockStandIn([reply]) as server:
        client = bearer(http, server.base_url)
        with pytest.raises(ModelError) as caught:
            await (events_of(client, ask(model=model)) if stream else client.generate(ask(model=model)))
    error = caught.value
    assert (error.details["provider"], error.details["model"]) == ("bedrock", model)
    assert API_KEY not in str(error) + str(error.as_dict()) + repr(error)
    return error


@BOTH
@MODELS
@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, "ValidationException", ModelBadRequest),
        (400, "ServiceQuotaExceededException", ModelRateLimited),
        (400, "ConflictException", ModelBadRequest),
        (403, "AccessDeniedException", ModelAuth),
        (403, "UnrecognizedClientException", ModelAuth),
        (403, "ExpiredTokenException", ModelAuth),
        (403, "InvalidSignatureException", ModelAuth),
        (404, "ResourceNotFoundException", ModelNotFound),
        (408, "ModelTimeoutException", ModelTimeout),
        (424, "ModelErrorException", ModelOverloaded),
        (424, "ModelStreamErrorException", ModelOverloaded),
        (429, "ThrottlingException", ModelRateLimited),
        (429, "ModelNotReadyException", ModelOverloaded),
        (500, "InternalServerException", ModelOverloaded),
        (503, "ServiceUnavailableException", ModelOverloaded),
        (418, "NeverHeardOfException", ModelBadRequest),
        (502, "NeverHeardOfException", ModelUnreachable),
    ],
)
async def test_each_exception_has_its_class(
    stream: bool, model: str, status: int, code: str, kind: type[ModelError], http: HttpClient
) -> None:
    error = await failure(http, Failure(status, code, f"no, {API_KEY}"), stream=stream, model=model)
    assert type(error) is kind
    assert error.details["status"] == status
    assert error.details["awsError"] == code


@BOTH
async def test_the_wait_that_aws_asks_for_is_kept(stream: bool, http: HttpClient) -> None:
    reply = Failure(429, "ThrottlingException", "Too many tokens, please wait.", {"Retry-After": "7"})
    error = await failure(http, reply, stream=stream)
    assert type(error) is ModelRateLimited
    assert error.retry_after_s == 7


@BOTH
@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("The model returned the following errors: Input is too long for requested model.", ModelContextOverflow),
        ("prompt is too long: 903884 tokens > 200000 maximum", ModelContextOverflow),
        ("input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000", ModelContextOverflow),
        ("This model's maximum context length is 202752 tokens. However, you requested", ModelContextOverflow),
        ("too many total text bytes: 26000000 > 25000000", ModelContextOverflow),
        ("The provided model identifier is invalid.", ModelNotFound),
        ("Invocation of model ID x with on-demand throughput isn’t supported. Retry with a profile.", ModelNotFound),
        ("Output blocked by content filtering policy", ModelContentFiltered),
        ("Malformed input request", ModelBadRequest),
    ],
)
async def test_a_validation_error_is_known_by_its_words(
    stream: bool, text: str, kind: type[ModelError], http: HttpClient
) -> None:
    assert type(await failure(http, Failure(400, "ValidationException", text), stream=stream)) is kind
    in_stream = Failure(200, "validationException", text, after=1)
    assert type(await failure(http, in_stream, stream=True)) is kind


@MODELS
@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("throttlingException", ModelRateLimited),
        ("internalServerException", ModelOverloaded),
        ("modelStreamErrorException", ModelOverloaded),
        ("modelTimeoutException", ModelTimeout),
        ("serviceUnavailableException", ModelOverloaded),
        ("validationException", ModelBadRequest),
        ("neverHeardOfException", ModelProtocol),
    ],
)
async def test_an_exception_in_the_middle_of_a_stream_ends_it(
    model: str, code: str, kind: type[ModelError], http: HttpClient
) -> None:
    error = await failure(http, Failure(200, code, "Too many tokens per day", after=2), stream=True, model=model)
    # Quotas are told in the words of an overflow; of the two, only the exception's name can be believed.
    expected = kind if code == "throttlingException" else ModelContextOverflow
    assert type(error) is expected
    assert type(await failure(http, Failure(200, code, "sorry", after=2), stream=True, model=model)) is kind


async def test_an_error_message_of_the_framing_itself_is_typed(http: HttpClient) -> None:
    headers = {":message-type": "error", ":error-code": "InternalFailure", ":error-message": "oops"}
    error = await failure(http, streamed(message(headers, b"")), stream=True)
    assert type(error) is ModelOverloaded
    assert "oops" in error.message


@BOTH
async def test_a_guardrails_stop_is_a_filtered_answer(stream: bool, http: HttpClient) -> None:
    error = await failure(http, Answer(finish="guardrail_intervened"), stream=stream)
    assert type(error) is ModelContentFiltered
    assert "guardrail" in error.message


@BOTH
@pytest.mark.parametrize("reason", ["malformed_model_output", "malformed_tool_use"])
async def test_output_that_broke_off_may_be_asked_for_again(stream: bool, reason: str, http: HttpClient) -> None:
    error = await failure(http, Answer(finish=reason), stream=stream)
    assert type(error) is ModelProtocol
    assert error.retryable


@BOTH
@MODELS
@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (Answer(transport=Transport(drop_after=100)), ModelUnreachable),
        *BROKEN,
        (Raw((b'{"__type":"com.amazon#ThrottlingException","message":"busy"}',)), ModelRateLimited),
        (Raw((b'{"Message":"User is not authorized"}',), 403), ModelAuth),
    ],
)
async def test_broken_answers_are_typed(
    stream: bool, model: str, reply: Reply, kind: type[ModelError], http: HttpClient
) -> None:
    assert type(await failure(http, reply, stream=stream, model=model)) is kind


@pytest.mark.parametrize(
    "pieces",
    [
        (),
        (b"event: data\n\ndata: {}\n\n",),
        (message({":message-type": "event", ":event-type": "messageStop"}, b"{nonsense"),),
        (message({":message-type": "event", ":event-type": "messageStop"}, b"[]"),),
        (message({":message-type": "event", ":event-type": "contentBlockDelta"}, b'{"delta":{"text":7}}'),),
        (message({":message-type": "rumour"}, b"{}"),),
        (message({}, b"{}"),),
        (event("contentBlockDelta", {"contentBlockIndex": 1, "delta": {"toolUse": {"input": "{}"}}}),),
        (event("contentBlockStart", {"contentBlockIndex": 1, "start": {"toolUse": {"name": "f"}}}),),
        (RECORDED[:-1],),
        (RECORDED[:-1] + b"\x00",),
    ],
)
async def test_broken_streams_are_typed(pieces: tuple[bytes, ...], http: HttpClient) -> None:
    assert type(await failure(http, streamed(*pieces), stream=True)) is ModelProtocol


@pytest.mark.parametrize("place", [0, 3, 5, 9, 13, 40, 100, 150, len(RECORDED) // 2, len(RECORDED) - 5])
async def test_a_flipped_byte_is_a_broken_wire(place: int, http: HttpClient) -> None:
    damaged = bytearray(RECORDED)
    damaged[place] ^= 0x20
    assert type(await failure(http, streamed(bytes(damaged)), stream=True)) is ModelProtocol


@pytest.mark.parametrize(
    "payload", [b"{}", b'{"bytes":"***"}', b'{"bytes":7}', b'{"bytes":"bm9uc2Vuc2U="}', b'{"bytes":"W10="}']
)
async def test_broken_chunks_of_an_invoked_model_are_typed(payload: bytes, http: HttpClient) -> None:
    chunk = message({":message-type": "event", ":event-type": "chunk"}, payload)
    assert type(await failure(http, streamed(chunk), stream=True, model=IMPORTED)) is ModelProtocol


async def test_half_a_message_at_the_end_is_a_broken_answer(http: HttpClient) -> None:
    error = await failure(http, Answer(cut_event=True, omit_finish=True), stream=True)
    assert type(error) is ModelProtocol
    assert "within an event" in error.message


async def test_a_refused_signature_never_repeats_what_was_signed(nowhere: dict[str, str], http: HttpClient) -> None:
    text = "The request signature does not match. The Canonical String should have been 'x-amz-security-token:TOKEN'"
    async with BedrockStandIn([Raw((msgspec.json.encode({"message": text}),), 403)]) as server:
        with pytest.raises(ModelAuth) as caught:
            await signed(http, server.base_url, {**nowhere, **KEYS}).generate(ask())
    assert "TOKEN" not in str(caught.value.as_dict())
    assert SECRET_KEY not in str(caught.value.as_dict())


async def test_a_dead_address_is_unreachable(nowhere: dict[str, str], http: HttpClient) -> None:
    for client in (bearer(http, "http://127.0.0.1:1"), signed(http, "http://127.0.0.1:1", {**nowhere, **KEYS})):
        for stream in (True, False):
            with pytest.raises(ModelUnreachable):
                await (events_of(client, ask()) if stream else client.generate(ask()))


KINDS = st.sampled_from(
    ["contentBlockStart", "contentBlockDelta", "contentBlockStop", "messageStart", "messageStop", "metadata", "new"]
)
CONVERSE = st.fixed_dictionaries(
    {},
    optional={
        "contentBlockIndex": st.integers(-1, 2**70) | st.text(max_size=2),
        "delta": JSON | st.fixed_dictionaries({"toolUse": st.fixed_dictionaries({"input": st.text(max_size=5)})}),
        "start": st.fixed_dictionaries({"toolUse": st.dictionaries(st.sampled_from(["toolUseId", "name"]), JSON)}),
        "stopReason": JSON | st.sampled_from(["end_turn", "guardrail_intervened"]),
        "usage": JSON,
    },
)


@given(st.lists(st.tuples(KINDS, st.binary(max_size=30) | CONVERSE.map(msgspec.json.encode)), max_size=6))
def test_garbage_raises_nothing_but_model_errors(messages: list[tuple[str, bytes]]) -> None:
    for make in (ConverseParser, InvokeParser):
        parser: Any = make("m", FAILURES)
        events: list[ModelEvent] = []
        try:
            for kind, payload in messages:
                headers: dict[str, Any] = {":message-type": "event", ":event-type": kind}
                events += parser.feed([Message(headers, payload)])
            events.append(parser.finish())
        except ModelError:
            continue
        assert isinstance(events[-1], ModelFinish)
        assembler = Assembler()
        assembler.feed(events)
        msgspec.json.encode(assembler.result())
        opened = {event.index for event in events if isinstance(event, ToolCallDelta) and event.name}
        assert opened == {event.index for event in events if isinstance(event, ToolCallDelta)}


@given(st.binary() | JSON.map(msgspec.json.encode), st.integers(100, 999), st.text(max_size=30))
def test_any_error_body_becomes_a_model_error(raw: bytes, status: int, kind: str) -> None:
    error, _ = FAILURES.answer("m", status, {"x-amzn-errortype": kind}, raw)
    assert isinstance(error, ModelError)
    assert isinstance(FAILURES.event("m", kind, raw), ModelError)


@given(st.integers(0, len(RECORDED)), st.sampled_from(["cut", "flip", "exception", "garbage"]), st.integers(1, 300))
def test_whatever_breaks_and_whenever_what_was_said_before_stays_as_it_was(
    moment: int, fault: str, piece_bytes: int
) -> None:
    exception = message({":message-type": "exception", ":exception-type": "throttlingException"}, b"{}")
    rest = {
        "cut": b"",
        "flip": bytes([RECORDED[moment % len(RECORDED)] ^ 1]),
        "exception": exception,
        "garbage": b"\0" * 99,
    }
    data = RECORDED[: moment % len(RECORDED)] + rest[fault]
    reader, parser, assembler = EventStreamReader(), ConverseParser("m", FAILURES), Assembler()
    broken = False
    try:
        for start in range(0, len(data), piece_bytes):
            assembler.feed(parser.feed(reader.feed(data[start : start + piece_bytes])))
        broken = reader.unfinished
        parser.finish()
    except (ModelError, MessageBroken):
        broken = True
    # Without its last event, the usage, an answer is still whole.
    assert broken or fault == "cut"
    assert Answer().text.startswith(assembler.text)
    assert assembler.finish is None
