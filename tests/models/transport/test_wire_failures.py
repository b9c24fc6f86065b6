"""Everything that can go wrong on the wire is one typed error, and none gives the credential away."""

from __future__ import annotations

import pytest

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
from openclaw.net.http import HttpClient
from tests.models.clients import BROKEN, KEY, STAND_INS, ask, client_of, events_of
from tests.stand_ins.server import Answer, Failure, Raw, Reply, Transport

pytestmark = pytest.mark.anyio
WIRES = pytest.mark.parametrize("wire", list(STAND_INS))
CODED = pytest.mark.parametrize("wire", ["openai", "anthropic", "openai-responses"])
"""Wires whose errors carry a code, and whose streams are server-sent events."""


async def failure(wire: str, http: HttpClient, reply: Reply, *, stream: bool) -> ModelError:
    """Return the error that a reply leads to."""
    async with STAND_INS[wire]([reply]) as server:
        client = client_of(wire, http, server.base_url)
        with pytest.raises(ModelError) as caught:
            await (events_of(client, ask()) if stream else client.generate(ask()))
    error = caught.value
    assert error.details["provider"] == wire
    assert error.details["model"] == "m"
    assert KEY not in str(error) + str(error.as_dict()) + repr(error)
    return error


@CODED
@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, "", ModelBadRequest),
        (401, "", ModelAuth),
        (402, "", ModelAuth),
        (403, "", ModelAuth),
        (404, "", ModelNotFound),
        (408, "", ModelTimeout),
        (413, "", ModelContextOverflow),
        (418, "", ModelBadRequest),
        (422, "", ModelBadRequest),
        (429, "", ModelRateLimited),
        (429, "insufficient_quota", ModelAuth),
        (500, "", ModelOverloaded),
        (502, "", ModelUnreachable),
        (503, "", ModelOverloaded),
        (504, "", ModelTimeout),
        (529, "overloaded_error", ModelOverloaded),
        (400, "context_length_exceeded", ModelContextOverflow),
        (400, "content_filter", ModelContentFiltered),
        (400, "model_not_found", ModelNotFound),
    ],
)
async def test_each_status_and_code_has_its_class(
    wire: str, stream: bool, status: int, code: str, kind: type[ModelError], http: HttpClient
) -> None:
    # The Messages API always names a type; one that we do not know leaves the status to decide.
    error = await failure(wire, http, Failure(status, code or "unheard_of", f"no, {KEY}"), stream=stream)
    assert type(error) is kind
    assert error.details["status"] == status


@WIRES
@pytest.mark.parametrize(
    "text",
    [
        "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens.",
        "prompt is too long: 201000 tokens > 200000 maximum",
        "input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000",
        "the request exceeds the available context size, try increasing it",
        "Your input exceeds the context window of this model.",
    ],
)
async def test_context_overflow_is_known_by_its_words(wire: str, text: str, http: HttpClient) -> None:
    error = await failure(wire, http, Failure(400, "invalid_request_error", text), stream=True)
    assert type(error) is ModelContextOverflow


@WIRES
@pytest.mark.parametrize(
    ("headers", "low", "high"),
    [
        ({"retry-after": "7"}, 7, 7),
        ({"retry-after": "0.5"}, 0.5, 0.5),
        ({"retry-after-ms": "1500", "retry-after": "9"}, 1.5, 1.5),
        ({"retry-after": "Fri, 31 Dec 2100 23:59:59 GMT"}, 1e9, 1e10),
        ({"retry-after": "Fri, 31 Dec 1999 23:59:59 GMT"}, 0, 0),
    ],
)
async def test_retry_after_is_read_in_all_its_forms(
    wire: str, headers: dict[str, str], low: float, high: float, http: HttpClient
) -> None:
    error = await failure(wire, http, Failure(429, "", "slow down", headers), stream=True)
    assert error.retry_after_s is not None
    assert low <= error.retry_after_s <= high


@WIRES
async def test_an_unreadable_retry_after_is_none(wire: str, http: HttpClient) -> None:
    error = await failure(wire, http, Failure(429, "", "slow", {"retry-after": "soon"}), stream=True)
    assert error.retry_after_s is None


@WIRES
@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (Answer(transport=Transport(drop_after=200)), ModelUnreachable),
        *BROKEN,
        (Raw((b'{"error":{"message":"busy","code":"rate_limit_exceeded"}}',)), ModelRateLimited),
        (Raw((b'{"error":{"message":"what?"}}',)), ModelProtocol),
        (Raw((b'{"error":{"message":"x","code":503}}',)), ModelOverloaded),
    ],
)
async def test_broken_answers_are_typed(
    wire: str, stream: bool, reply: Reply, kind: type[ModelError], http: HttpClient
) -> None:
    assert type(await failure(wire, http, reply, stream=stream)) is kind


@CODED
@pytest.mark.parametrize(
    ("pieces", "kind"),
    [
        ((b"data: {nonsense}\n\n",), ModelProtocol),
        ((b"data: [1,2]\n\n",), ModelProtocol),
        ((b'data: {"choices": 7, "type": 8}\n\n',), ModelProtocol),
        ((b"data: " + b"[" * 50_000 + b"\n\n",), ModelProtocol),
        ((b'data: {"type":"x","choices":[{"delta":{"content":"\xff"}}],"delta":{"text":"\xff"}}\n\n',), ModelProtocol),
        ((b": only a comment\n\n",), ModelProtocol),
        ((), ModelProtocol),
        ((b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error"}}\n\n',), ModelOverloaded),
    ],
)
async def test_broken_streams_are_typed(
    wire: str, pieces: tuple[bytes, ...], kind: type[ModelError], http: HttpClient
) -> None:
    reply = Raw(pieces, content_type="text/event-stream", stream=True)
    assert type(await failure(wire, http, reply, stream=True)) is kind


@CODED
async def test_half_an_event_at_the_end_is_a_broken_answer(wire: str, http: HttpClient) -> None:
    error = await failure(wire, http, Answer(cut_event=True, omit_finish=True), stream=True)
    assert type(error) is ModelProtocol
    assert "within an event" in error.message


@CODED
@pytest.mark.parametrize(
    ("code", "kind"),
    [("overloaded_error", ModelOverloaded), ("rate_limit_error", ModelRateLimited), ("odd_error", ModelProtocol)],
)
async def test_an_error_in_the_middle_of_a_stream_ends_it(
    wire: str, code: str, kind: type[ModelError], http: HttpClient
) -> None:
    assert type(await failure(wire, http, Failure(200, code, "sorry", after=2), stream=True)) is kind


@WIRES
async def test_a_dead_address_is_unreachable(wire: str, http: HttpClient) -> None:
    with pytest.raises(ModelUnreachable) as caught:
        await client_of(wire, http, "http://127.0.0.1:1").generate(ask())
    assert caught.value.retryable


@WIRES
async def test_an_address_with_credentials_is_refused_without_being_repeated(wire: str, http: HttpClient) -> None:
    with pytest.raises(ModelUnreachable) as caught:
        await client_of(wire, http, "http://me:hunter2@127.0.0.1:1").generate(ask())
    assert "hunter2" not in str(caught.value.as_dict())
