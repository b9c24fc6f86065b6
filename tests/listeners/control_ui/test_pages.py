"""The page and its files over a real socket: what is shown, what is not there, and under which policy."""

from __future__ import annotations

import asyncio
import base64
import json
from hashlib import sha256
from pathlib import Path

import pytest

from openclaw.base.errors import ConfigError
from openclaw.listeners.control_ui.files import find_files
from openclaw.listeners.control_ui.pages import CONFIG_PATHS, OWN_ROOT
from tests.listeners.fakes import http, raw_request, world

pytestmark = pytest.mark.anyio


@pytest.fixture
def built(tmp_path: Path) -> Path:
    """A UI build with what must never be served beside and inside it."""
    root = tmp_path / "dist"
    (root / "assets").mkdir(parents=True)
    (root / ".git").mkdir()
    (root / "index.html").write_text("<script>boot()</script><SCRIPT type=module src=a.js></SCRIPT>the build")
    (root / "assets" / "a b.js").write_text("1")
    (root / ".git" / "config").write_text("secret")
    (tmp_path / "outside.txt").write_text("secret")
    (root / "link.txt").symlink_to(tmp_path / "outside.txt")
    (root / "up").symlink_to(tmp_path)
    return root


async def test_the_page_answers_at_the_root_and_wherever_a_person_may_reload_it() -> None:
    async with world(ui=True) as here:
        for path in ("/", "/index.html", "/chat", "/sessions/agent:main:main"):
            status, headers, body = await raw_request(here.port, http("GET", path, token=None))
            assert (status, headers["content-type"]) == (200, "text/html; charset=utf-8"), path
            assert b"<title>openclaw</title>" in body
            assert headers["x-frame-options"] == "DENY"
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["referrer-policy"] == "no-referrer"
            assert "frame-ancestors 'none'" in headers["content-security-policy"]
            assert "script-src 'self';" in headers["content-security-policy"]


async def test_files_have_their_type_and_are_not_sent_again_unchanged() -> None:
    async with world(ui=True) as here:
        for name, kind in {
            "app.js": "text/javascript; charset=utf-8",
            "style.css": "text/css; charset=utf-8",
            "favicon.svg": "image/svg+xml",
            "manifest.webmanifest": "application/manifest+json; charset=utf-8",
        }.items():
            status, headers, body = await raw_request(here.port, http("GET", f"/{name}", token=None))
            assert (status, headers["content-type"], body) == (200, kind, (OWN_ROOT / name).read_bytes())
            again = http("GET", f"/{name}", token=None, If_None_Match=headers["etag"])
            assert (await raw_request(here.port, again))[0] == 304


async def test_a_head_request_gets_the_length_and_no_body() -> None:
    async with world(ui=True) as here:
        reader, writer = await asyncio.open_connection("127.0.0.1", here.port)
        writer.write(http("HEAD", "/app.js", token=None) + http("GET", "/favicon.svg", token=None))
        head = await reader.readuntil(b"\r\n\r\n")
        assert f"content-length: {(OWN_ROOT / 'app.js').stat().st_size}".encode() in head.lower()
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        writer.close()
        await writer.wait_closed()


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/assets/nope.js", 404),
        ("GET", "/nope.css", 404),
        ("GET", "/assets/nope", 404),
        ("POST", "/", 404),
        ("POST", "/chat", 404),
        ("GET", "/api/nope", 404),
        ("GET", "/v1/nope", 404),
        ("GET", "/../etc/passwd", 400),
        ("GET", "/..%2f..%2fetc%2fpasswd", 400),
        ("GET", "/%2e%2e/etc/passwd", 400),
        ("GET", "//etc/passwd", 400),
    ],
)
async def test_what_is_no_page_is_not_there(method: str, path: str, status: int) -> None:
    async with world(ui=True) as here:
        assert (await raw_request(here.port, http(method, path)))[0] == status


async def test_without_a_ui_nothing_is_there() -> None:
    async with world() as here:
        assert (await raw_request(here.port, http("GET", "/", token=None)))[0] == 404


async def test_a_build_is_served_without_links_hidden_files_or_what_came_later(built: Path) -> None:
    async with world(ui=True, ui_root=built) as here:
        status, headers, body = await raw_request(here.port, http("GET", "/", token=None))
        assert (status, b"the build" in body) == (200, True)
        inline = base64.b64encode(sha256(b"boot()").digest()).decode()
        assert f"script-src 'self' 'sha256-{inline}';" in headers["content-security-policy"]
        assert (await raw_request(here.port, http("GET", "/assets/a%20b.js", token=None)))[2] == b"1"
        (built / "late.js").write_text("2")
        for path in ("/link.txt", "/up/outside.txt", "/.git/config", "/late.js"):
            assert (await raw_request(here.port, http("GET", path, token=None)))[0] == 404, path
        (built / "assets" / "a b.js").unlink()
        (built / "assets" / "a b.js").symlink_to(built.parent / "outside.txt")
        assert (await raw_request(here.port, http("GET", "/assets/a%20b.js", token=None)))[0] == 404


def test_a_folder_without_a_page_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"has no index\.html"):
        find_files(tmp_path)
    with pytest.raises(ConfigError, match="cannot be read"):
        find_files(tmp_path / "nowhere")


async def test_uis_learn_the_name_and_agent_with_the_token_only() -> None:
    async with world(ui=True) as here:
        for path in CONFIG_PATHS:
            assert (await raw_request(here.port, http("GET", path, token=None)))[0] == 401
            status, _, body = await raw_request(here.port, http("GET", path))
            settings = json.loads(body)
            assert (status, settings["assistantName"], settings["assistantAgentId"]) == (200, "Assistant", "main")
            assert (settings["basePath"], settings["serverVersion"], settings["assistantAvatar"]) == ("", "1.2.3", "A")
        status, _, body = await raw_request(here.port, http("GET", "/avatar/main?meta=1"))
        assert (status, json.loads(body)) == (200, {"avatarUrl": None})
        assert (await raw_request(here.port, http("GET", "/avatar/nobody")))[0] == 404
