"""Rows that leave this machine: a bucket (moto's, real botocore) and a collector (a real socket)."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import boto3
import pytest
from aiohttp import web
from moto.server import ThreadedMotoServer

from openclaw.base.audit import Entry
from openclaw.base.errors import InvalidRequest, Unavailable
from openclaw.base.ids import OwnerId
from openclaw.net.http import HttpClient
from openclaw.ops.audit_export import BATCH, headers_of, otlp_logs, send_otlp, write_lines
from openclaw.ops.backup.s3 import Bucket
from openclaw.store.audit import Row

pytestmark = pytest.mark.anyio


def rows(count: int, first: int = 1) -> Iterator[Row]:
    for seq in range(first, first + count):
        denied = "deny" if seq % 2 else "allow"
        entry = Entry(
            at_ms=1_800_000_000_000 + seq,
            kind="egress",
            action="tool web_fetch",
            target="a.org:443",
            answer=denied,  # type: ignore[arg-type]
            owner=OwnerId("ann"),
            facts={"port": 443, "pinned": True},
        )
        yield Row(seq, f"{seq:064x}", entry)


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    moto.start()
    host, port = moto.get_host_and_port()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)
    client = boto3.client("s3")
    client.create_bucket(Bucket="audit")
    yield client
    moto.stop()


def test_rows_arrive_in_a_bucket_under_the_numbers_of_the_first_and_the_last(bucket: Any, tmp_path: Path) -> None:
    written = write_lines(rows(3, first=7), tmp_path)
    assert written is not None
    file, count, last = written
    assert (count, last, file.stat().st_mode & 0o777) == (3, 9, 0o600)
    assert Bucket("s3://audit/home").put(file) == "s3://audit/home/openclaw-audit-000000000007-000000000009.jsonl"
    kept = bucket.get_object(Bucket="audit", Key="home/openclaw-audit-000000000007-000000000009.jsonl")
    lines = [json.loads(line) for line in kept["Body"].read().splitlines()]
    assert [(line["seq"], line["target"], len(line["hash"])) for line in lines] == [
        (seq, "a.org:443", 64) for seq in (7, 8, 9)
    ]
    assert kept["ServerSideEncryption"] == "AES256"
    (tmp_path / "none").mkdir()
    assert write_lines(iter(()), tmp_path / "none") is None


class Collector:
    """Takes what an OTLP exporter sends; `answers` are (status, body), the last for ever."""

    def __init__(self, *answers: tuple[int, dict[str, Any]]) -> None:
        self.heard: list[tuple[dict[str, str], dict[str, Any]]] = []
        self._answers = list(answers)

    async def take(self, request: web.Request) -> web.Response:
        self.heard.append((dict(request.headers), await request.json()))
        status, body = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        return web.json_response(body, status=status)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        app = web.Application(client_max_size=10_000_000)
        app.router.add_post("/v1/logs", self.take)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        try:
            yield f"http://127.0.0.1:{runner.addresses[0][1]}/v1/logs"
        finally:
            await runner.cleanup()


async def test_a_collector_gets_every_row_as_a_log_record_in_batches() -> None:
    collector = Collector((200, {}))
    async with collector.serving() as url, HttpClient() as http:
        sent = await send_otlp(http, url, {"x-key": "k"}, rows(BATCH + 2), "here")
    assert (sent.rows, sent.last) == (BATCH + 2, BATCH + 2)
    assert [len(_records(body)) for _, body in collector.heard] == [BATCH, 2]
    head, body = collector.heard[0]
    assert (head["x-key"], head["Content-Type"]) == ("k", "application/json")
    first = _records(body)[0]
    assert (first["timeUnixNano"], first["severityText"]) == ("1800000000001000000", "WARN")
    told = {each["key"]: each["value"] for each in first["attributes"]}
    assert told["audit.seq"] == {"intValue": "1"}
    assert told["audit.hash"] == {"stringValue": f"{1:064x}"}
    assert told["audit.owner"] == {"stringValue": "ann"}
    assert told["audit.facts.pinned"] == {"boolValue": True}


@pytest.mark.parametrize("refusal", [(503, {}), (200, {"partialSuccess": {"rejectedLogRecords": "2"}})])
async def test_what_a_collector_does_not_take_is_told_with_where_to_go_on(refusal: tuple[int, dict[str, Any]]) -> None:
    collector = Collector((200, {}), refusal)
    async with collector.serving() as url, HttpClient() as http:
        with pytest.raises(Unavailable) as caught:
            await send_otlp(http, url, {}, rows(BATCH + 2), "here")
    assert caught.value.hint == f"Rows up to {BATCH} have arrived; go on with: --after {BATCH}"


def test_headers_are_read_as_the_variable_has_them() -> None:
    assert headers_of("") == {}
    assert headers_of("api-key=a%20b, x=1=2,") == {"api-key": "a b", "x": "1=2"}
    with pytest.raises(InvalidRequest) as caught:
        headers_of("hunter2")
    assert "hunter2" not in str(caught.value)


def _records(body: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = body["resourceLogs"][0]["scopeLogs"][0]["logRecords"]
    return found


def test_every_record_of_an_export_is_json_of_the_protocol() -> None:
    assert json.loads(json.dumps(otlp_logs(rows(1), "here")))["resourceLogs"][0]["resource"]["attributes"][0] == {
        "key": "service.name",
        "value": {"stringValue": "openclaw"},
    }
