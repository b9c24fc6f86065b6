"""Logs without secrets, metrics in the Prometheus form, the health board."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw.base.clock import ManualClock
from openclaw.base.errors import Unavailable
from openclaw.base.secret import Secret
from openclaw.telemetry.health import LAG_INTERVAL_S, LAG_RECENT, LAG_SAMPLES, LOOK_S, HealthBoard
from openclaw.telemetry.log import LOG_FILE, JsonFormatter, configure
from openclaw.telemetry.metrics import Metrics
from openclaw.telemetry.redact import REDACTOR, Redactor
from tests.gateway.sweep import found_in


@pytest.fixture
def handlers() -> Iterator[None]:
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    root.handlers[:] = []
    yield
    for handler in root.handlers:
        handler.close()
    root.handlers[:] = before
    root.setLevel(level)
    logging.captureWarnings(False)


def test_the_secrets_of_a_large_configuration_are_learned_at_once() -> None:
    redactor = Redactor()
    for number in range(3000):  # compiled once: after each of them it would take minutes
        redactor.add(Secret(f"secret-{number:05}"))
    assert redactor.clean("a secret-02999 b") == "a *** b"


@given(st.text(min_size=6, max_size=40), st.text(max_size=20))
def test_a_known_secret_is_cut_out_of_any_line(value: str, around: str) -> None:
    redactor = Redactor()
    redactor.add(Secret(value))
    line = json.dumps({"a": f"{around}{value}{around}"})
    if value not in around and "*" not in value:
        assert json.dumps(value)[1:-1] not in redactor.clean(line)


@pytest.mark.parametrize("secret", ["hunter2-3f9c71e0b2", 'ca"&<é>/+7d31', "a\\b\nc-d1e2"])
def test_a_secret_is_cut_out_however_it_is_written(secret: str) -> None:
    redactor = Redactor()
    redactor.add(Secret(secret))
    basic = base64.b64encode(f"user:{secret}".encode()).decode()
    nested = json.dumps({"said": json.dumps({"key": secret})})
    for text in (secret, json.dumps(secret), nested, f"https://u:{quote(secret, safe='')}@host", f"Basic {basic}"):
        assert not found_in(redactor.clean(text).encode(), {"it": secret}), text


def test_log_lines_are_json_with_fields_and_without_secrets(tmp_path: Path, handlers: None) -> None:
    REDACTOR.add(Secret('quo"te-canary-secret'))
    out = io.StringIO()
    configure(level="info", logs_dir=tmp_path, stream=out)
    log = logging.getLogger("openclaw.test")
    log.info("something_happened", extra={"fields": {"token": 'quo"te-canary-secret', "count": 2}})
    try:
        raise ValueError('boom quo"te-canary-secret')
    except ValueError:
        log.exception("it_broke")
    log.debug("not_shown")
    lines = [json.loads(line) for line in (tmp_path / LOG_FILE).read_text().splitlines()]
    assert [line["event"] for line in lines] == ["something_happened", "it_broke"]
    assert lines[0]["count"] == 2
    assert lines[0]["component"] == "test"
    assert "canary" not in (tmp_path / LOG_FILE).read_text() + out.getvalue()
    assert (tmp_path / LOG_FILE).stat().st_mode & 0o777 == 0o600


def test_log_files_are_rotated_and_capped(tmp_path: Path, handlers: None) -> None:
    configure(logs_dir=tmp_path, max_file_bytes=10_000, max_files=2, stream=io.StringIO())
    for number in range(500):
        logging.getLogger("openclaw.test").info("line", extra={"fields": {"n": number, "pad": "x" * 100}})
    assert len(list(tmp_path.iterdir())) == 3
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 31_000
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}


def test_fields_cannot_overwrite_what_the_line_says_of_itself() -> None:
    record = logging.LogRecord("openclaw.x", logging.INFO, "f", 1, "event_name", (), None)
    record.fields = {"event": "forged", "level": "forged"}
    assert json.loads(JsonFormatter().format(record))["event"] == "event_name"


def test_metrics_render_in_the_prometheus_format() -> None:
    metrics = Metrics()
    metrics.counter("calls", "Calls.", ("kind",)).inc("a")
    metrics.histogram("took_seconds", "Time.").observe(0.003)
    metrics.gauge("level", "Level.", lambda: 7)
    text = metrics.render()
    assert 'calls_total{kind="a"} 1.0' in text
    assert 'took_seconds_bucket{le="0.005"} 1.0' in text
    assert "level 7.0" in text


def test_label_values_from_outside_cannot_grow_a_metric_without_end() -> None:
    counter = Metrics().counter("c", "C.", ("who",))
    for number in range(5000):
        counter.inc(str(number))
    assert len(counter.values) <= 1001
    assert sum(counter.values.values()) == 5000


def test_a_metric_name_has_one_kind() -> None:
    metrics = Metrics()
    metrics.counter("x", "X.")
    with pytest.raises(TypeError):
        metrics.histogram("x", "X.")


def test_the_board_is_ready_only_when_every_check_is_well() -> None:
    clock = ManualClock()
    board = HealthBoard(clock)
    problem: list[str | None] = [None]
    board.add_check("store", lambda: problem[0])
    assert board.failing() == ["phase"]
    board.phase = "ready"
    assert board.failing() == []
    problem[0] = "disk full"
    assert board.failing() == ["store"]
    clock.advance(2)
    assert board.uptime_ms() == 2000


@pytest.mark.anyio
async def test_a_check_that_has_to_wait_is_made_when_asked_for_and_not_again_at_once() -> None:
    clock = ManualClock()
    board = HealthBoard(clock)
    board.phase = "ready"
    asked: list[int] = []

    async def ping() -> None:
        asked.append(len(asked))
        if len(asked) == 2:
            raise Unavailable("the disk is gone")

    board.add_look("store", ping)
    assert (board.failing(), asked) == ([], [])
    await board.look()
    await board.look()
    assert (board.failing(), len(asked)) == ([], 1)
    clock.advance(LOOK_S)
    await board.look()
    assert board.results()["store"] == "the disk is gone"
    clock.advance(LOOK_S)
    await board.look()
    assert board.failing() == []


@pytest.mark.anyio
async def test_a_loop_that_was_too_late_is_slow_for_about_a_second() -> None:
    clock = ManualClock()
    board = HealthBoard(clock)
    board.lag_limit_ms = lambda: 200
    watching = asyncio.create_task(board.watch_loop())
    seen = []
    for late_s in (0.1, 0.3, *(0.001 for _ in range(LAG_RECENT))):
        await asyncio.sleep(0)
        clock.advance(LAG_INTERVAL_S + late_s)
        await asyncio.sleep(0)
        seen.append(board.slow() is not None)
    assert seen == [False, *(True for _ in range(LAG_RECENT)), False]
    watching.cancel()


@pytest.mark.anyio
async def test_the_lag_of_the_loop_has_a_percentile_that_forgets() -> None:
    clock = ManualClock()
    board = HealthBoard(clock)
    assert board.p99_loop_lag_ms() == 0
    watching = asyncio.create_task(board.watch_loop())
    for late_s in (0.03, 0.005, *(0.002 for _ in range(LAG_SAMPLES - 2))):
        await asyncio.sleep(0)
        clock.advance(LAG_INTERVAL_S + late_s)
    await asyncio.sleep(0)
    assert board.p99_loop_lag_ms() == pytest.approx(2)
    assert board.worst_loop_lag_ms() == pytest.approx(30)
    for _ in range(7):
        await asyncio.sleep(0)
        clock.advance(LAG_INTERVAL_S + 0.05)
    await asyncio.sleep(0)
    assert board.p99_loop_lag_ms() == pytest.approx(50)
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
