"""Rows of the audit ledger on their way out of this machine: a file of JSON lines, or OTLP logs over HTTP (JSON).

Each row goes with its number and hash, so that whoever keeps them can check the chain, and this machine against them.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

import msgspec

from openclaw.base.errors import InvalidRequest, Unavailable
from openclaw.net.http import HttpClient
from openclaw.store.audit import Row

BATCH: Final = 500
HEADERS_VARIABLE: Final = "OTEL_EXPORTER_OTLP_HEADERS"
_TYPE: Final = "Content-Type"
_INFO, _WARN = (9, "INFO"), (13, "WARN")
"""Numbers of the OpenTelemetry log data model."""


class Exported(msgspec.Struct, frozen=True):
    """What went out. Shape: `last` is the number of the last row, 0 for none."""

    rows: int
    last: int
    where: str


def shown(row: Row) -> dict[str, Any]:
    """Return a row as one flat object."""
    return {"seq": row.seq, **msgspec.to_builtins(row.entry), "hash": row.hash}


def write_lines(rows: Iterable[Row], folder: Path) -> tuple[Path, int, int] | None:
    """Write rows to a new private file that is named after the first and the last; None when there are none.

    Shape: the file, how many, the number of the last.
    """
    path = folder / "rows"
    first = last = count = 0
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        for row in rows:
            first, last, count = first or row.seq, row.seq, count + 1
            file.write(msgspec.json.encode(shown(row)) + b"\n")
    if not count:
        return None
    return path.rename(folder / f"openclaw-audit-{first:012d}-{last:012d}.jsonl"), count, last


async def send_otlp(http: HttpClient, url: str, headers: dict[str, str], rows: Iterable[Row], host: str) -> Exported:
    """Send rows to a collector, a batch at a time. Raises: Unavailable, saying which rows have arrived; NetError."""
    sent = last = 0
    pages = iter(rows)
    while batch := list(islice(pages, BATCH)):
        body = msgspec.json.encode(otlp_logs(batch, host))
        answer = await http.post_json(
            url, headers=headers | {_TYPE: "application/json"}, body=body, purpose="telemetry"
        )
        if answer.status >= 300 or (lost := _rejected(answer.body)):
            why = f"answers {answer.status}" if answer.status >= 300 else f"did not take {lost} rows"
            hint = f"Rows up to {last} have arrived; go on with: --after {last}"
            raise Unavailable(f"{url} {why}", hint=hint)
        sent, last = sent + len(batch), batch[-1].seq
    return Exported(sent, last, url)


def otlp_logs(rows: Iterable[Row], host: str) -> dict[str, Any]:
    """Return an export request of the OpenTelemetry protocol."""
    resource = {"attributes": [_attribute("service.name", "openclaw"), _attribute("host.name", host)]}
    logs = {"scope": {"name": "openclaw.audit"}, "logRecords": [_record(row) for row in rows]}
    return {"resourceLogs": [{"resource": resource, "scopeLogs": [logs]}]}


def headers_of(text: str) -> dict[str, str]:
    """Return headers as OpenTelemetry's variable names them: `name=value,…`, values percent-encoded.

    Raises: InvalidRequest, without the values.
    """
    found = {}
    for pair in filter(None, (part.strip() for part in text.split(","))):
        name, equals, value = pair.partition("=")
        if not equals or not name.strip():
            raise InvalidRequest(f"{HEADERS_VARIABLE} is not `name=value,…`")
        found[name.strip()] = unquote(value.strip())
    return found


def _record(row: Row) -> dict[str, Any]:
    entry = row.entry
    number, text = _WARN if entry.answer == "deny" else _INFO
    flat = {key: value for key, value in shown(row).items() if key not in ("atMs", "facts")}
    return {
        "timeUnixNano": str(entry.at_ms * 1_000_000),
        "severityNumber": number,
        "severityText": text,
        "body": {"stringValue": f"{entry.kind} {entry.action} {entry.target}".strip()},
        "attributes": [*_attributes("audit.", flat), *_attributes("audit.facts.", entry.facts)],
    }


def _attributes(prefix: str, values: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    return (_attribute(f"{prefix}{key}", value) for key, value in values.items())


def _attribute(key: str, value: str | int | bool) -> dict[str, Any]:
    match value:
        case bool():
            return {"key": key, "value": {"boolValue": value}}
        case int():
            return {"key": key, "value": {"intValue": str(value)}}
        case _:
            return {"key": key, "value": {"stringValue": value}}


def _rejected(body: bytes) -> int:
    try:
        return int(msgspec.json.decode(body or b"{}").get("partialSuccess", {}).get("rejectedLogRecords", 0))
    except (msgspec.DecodeError, AttributeError, ValueError, TypeError):
        return 0
