"""The command line's HTTP client against canned answers."""

from __future__ import annotations

import io
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw.base.errors import Unauthorized
from openclaw.client.errors import GatewayDown, RpcError
from openclaw.client.http import get_json, post_json, read_sse, stream_chat
from tests.client.support import http_gateway

STREAM = (
    b': hello\n\ndata: {"choices":[{"delta":{"role":"assistant"}}]}\n\n'
    b'data: {"choices":[{"delta":{"content":"To"}}]}\n\ndata: {"choices":[{"delta":{"content":"kyo"}}]}\r\n\r\n'
    b'data: {"choices":[],"usage":{}}\n\ndata: [DONE]\n\n'
)
CHAT = "/v1/chat/completions"
USER = [{"role": "user", "content": "hi"}]


def test_an_answer_comes_piece_by_piece() -> None:
    with http_gateway({CHAT: (200, "text/event-stream", STREAM)}) as (url, seen):
        assert list(stream_chat(url, "tok", USER, user="me")) == ["To", "kyo"]
    path, authorization, body = seen[0]
    assert (path, authorization) == (CHAT, "Bearer tok")
    assert body == {"model": "openclaw", "messages": USER, "stream": True, "user": "me"}


def test_a_stream_that_breaks_off_or_carries_an_error_says_so() -> None:
    half = STREAM.split(b"data: [DONE]")[0]
    with (
        http_gateway({CHAT: (200, "text/event-stream", half)}) as (url, _),
        pytest.raises(GatewayDown, match="ended the stream"),
    ):
        list(stream_chat(url, None, USER))
    error = b'data: {"error":{"message":"no model","code":"MODEL_UNAVAILABLE"}}\n\n'
    with (
        http_gateway({CHAT: (200, "text/event-stream", error)}) as (url, _),
        pytest.raises(RpcError, match="no model"),
    ):
        list(stream_chat(url, None, USER))


def test_closing_the_generator_drops_the_connection() -> None:
    with http_gateway({CHAT: (200, "text/event-stream", STREAM)}) as (url, _):
        answer = stream_chat(url, None, USER)
        assert next(answer) == "To"
        answer.close()


def test_refusals_are_typed() -> None:
    answers = {
        "/a": (401, "application/json", b'{"error":{"message":"Unauthorized","type":"unauthorized"}}'),
        "/b": (429, "application/json", b'{"error":{"message":"slow down","type":"rate_limit_error","hint":"wait"}}'),
        "/c": (200, "application/json", b'{"ok":true}'),
        "/d": (200, "text/html", b"<html>"),
        "/e": (502, "text/html", b"<html>"),
    }
    with http_gateway(answers) as (url, _):
        with pytest.raises(Unauthorized, match="the token from --token was refused"):
            get_json(f"{url}/a", "x", token_source="--token")
        with pytest.raises(RpcError) as caught:
            post_json(f"{url}/b", None, {})
        assert (caught.value.wire_code, caught.value.hint) == ("rate_limit_error", "wait")
        assert get_json(f"{url}/c") == {"ok": True}
        with pytest.raises(GatewayDown, match="not JSON"):
            get_json(f"{url}/d")
        with pytest.raises(RpcError, match="502"):
            get_json(f"{url}/e")


def test_nothing_at_the_url_says_so() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(GatewayDown, match="no gateway answers"):
            get_json(f"http://127.0.0.1:{taken.getsockname()[1]}/health")
    with pytest.raises(GatewayDown, match="not an HTTP URL"):
        get_json("ws://x/health")


@given(st.lists(st.text(st.characters(exclude_characters="\r\n", codec="utf-8"), min_size=1, max_size=20), max_size=8))
def test_every_event_that_was_written_is_read(texts: list[str]) -> None:
    raw = "".join(f"id: 1\ndata: {text}\n\n" for text in texts).encode()
    assert list(read_sse(io.BytesIO(raw))) == texts


@given(st.binary(max_size=200))
def test_no_bytes_break_the_reader(raw: bytes) -> None:
    assert all(isinstance(data, str) for data in read_sse(io.BytesIO(raw)))
