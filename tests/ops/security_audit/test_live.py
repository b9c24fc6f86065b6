"""The probes against a server that does everything wrong: each finds its fault, and none harms a well one."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from openclaw.base.errors import Unauthorized
from openclaw.base.secret import Secret
from openclaw.ops.security_audit.audit import examine_running
from openclaw.ops.security_audit.live import Prober, Running
from openclaw.ops.security_audit.rules import RULES
from tests.ops.doctor.place import STRONG, Place

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def serving(logs: Path) -> AsyncIterator[str]:
    """Serve whoever asks whatever they want, and write all of it down."""

    async def answer(request: web.Request) -> web.StreamResponse:
        with (logs / "openclaw.log").open("a") as log:
            log.write(f"{request.method} {request.path_qs}\n")
        if request.headers.get("Upgrade"):
            return web.Response(status=101)
        if request.path == "/tools/invoke" and request.can_read_body:
            asked = await request.json()
            arguments = asked.get("args", {})
            if "url" in arguments:
                await _fetch(arguments["url"])
            elif "argv" in arguments:
                await asyncio.to_thread(subprocess.run, arguments["argv"], check=True)
        return web.json_response({"ok": True})

    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def _fetch(url: str) -> None:
    try:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(0.2)) as http, http.get(url):
            pass
    except (aiohttp.ClientError, TimeoutError, ValueError):
        pass


def running(url: str, logs: Path, connect: object = None) -> Running:
    def refuse() -> None:
        raise Unauthorized("no credential")

    return Running(
        http_url=url,
        bearer=Secret(STRONG),
        fingerprint="",
        logs_dir=logs,
        secrets=(Secret(STRONG),),
        connect=refuse if connect is None else connect,  # type: ignore[arg-type]
    )


async def test_each_probe_finds_its_fault(tmp_path: Path) -> None:
    async with serving(tmp_path) as url:
        at = running(url, tmp_path, lambda: None)
        probes = await asyncio.to_thread(lambda: list(Prober(at).probes()))
    assert [one.name for one in probes if one.ok] == []
    sockets = {"gateway.probe_failed", "deep.listen_beyond_bind", "deep.foreign_listener"}
    assert {one.check_id for one in probes} | sockets == {id_ for id_, rule in RULES.items() if rule.deep}
    assert all(STRONG not in one.seen for one in probes)


def test_a_gateway_that_does_not_answer_is_named(tmp_path: Path) -> None:
    place = Place(tmp_path).make()
    probes, findings = examine_running(place.scene(), running("http://127.0.0.1:9", place.state))
    assert probes == []
    assert [one.check_id for one in findings] == ["gateway.probe_failed"]


def test_a_secret_that_lies_across_two_reads_of_a_log_is_found(tmp_path: Path) -> None:
    (tmp_path / "openclaw.log.1").write_bytes(b"x" * ((1 << 20) - 7) + STRONG.encode() + b"\n")
    assert not Prober(running("http://127.0.0.1:9", tmp_path))._logs().ok
    (tmp_path / "openclaw.log.1").write_bytes(b"x" * (1 << 21))
    assert Prober(running("http://127.0.0.1:9", tmp_path))._logs().ok
