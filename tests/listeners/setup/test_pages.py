"""The set-up over a real socket: who gets in, what a change needs, what is sent."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from openclaw.base.clock import ManualClock
from openclaw.base.errors import InvalidRequest, ModelAuth
from openclaw.base.secret import Secret
from openclaw.config.schema import AuthConfig, GatewayConfig, RateLimitConfig
from openclaw.listeners.http import ClientGone
from openclaw.listeners.setup.pages import SetupDeps
from openclaw.listeners.setup.port import Choice, Chosen, Fetching, Staged, Waiting
from openclaw.listeners.setup.sessions import MAX_SESSIONS, SESSION_S, Sessions
from openclaw.ops.backup.create import Made
from openclaw.ops.backup.manifest import Manifest
from openclaw.ops.backup.restore import RestoreOutcome
from tests.listeners.fakes import TOKEN, World, http, raw_request, until, world

pytestmark = pytest.mark.anyio
PASSWORD = "setup-password-7"
ALL = (
    ("GET", "/setup"),
    ("GET", "/setup/file/setup.js"),
    ("POST", "/setup/login"),
    ("GET", "/setup/state"),
    ("POST", "/setup/provider"),
    ("POST", "/setup/pair"),
    ("POST", "/setup/approve"),
    ("GET", "/setup/export"),
    ("POST", "/setup/export"),
    ("POST", "/setup/import"),
)


class Desk:
    """Remembers what it was asked; a key of `bad` is refused by its provider."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.choices: list[Choice] = []
        self.approved: list[str] = []
        self.passphrases: list[str | None] = []
        self.taken: list[bytes] = []
        self.broken_off = 0
        self.begun_again = 0
        self.config = GatewayConfig()

    def model(self) -> str:
        return "fake/echo"

    def token(self) -> Secret | None:
        return Secret(TOKEN)

    def waiting(self) -> list[Waiting]:
        return [Waiting("r1", "d1", "Browser", "203.0.113.9")]

    async def approve(self, request_id: str) -> None:
        self.approved.append(request_id)

    async def choose(self, choice: Choice) -> Chosen:
        if choice.key == "bad":
            raise ModelAuth("the key was refused")
        self.choices.append(choice)
        return Chosen("anthropic/m", "hello", 3, "applied")

    @asynccontextmanager
    async def backup(self, passphrase: Secret | None) -> AsyncIterator[Made]:
        self.passphrases.append(passphrase.reveal() if passphrase else None)
        place = self.folder / "b.tar.gz"
        place.write_bytes(b"archive" * 100_000)
        nothing: Any = None
        manifest: Manifest = nothing
        yield Made("b.tar.gz", place, 700_000, manifest, "", (), ())

    def fetching(self) -> Fetching | None:
        return None

    def upload_limit(self) -> int:
        return 1_000_000

    async def stage(self, pieces: AsyncIterator[bytes], announced: int, passphrase: Secret | None) -> Staged:
        taken = b""
        try:
            async for piece in pieces:
                taken += piece
        except ClientGone:
            self.broken_off += 1
            raise
        self.taken.append(taken)
        self.passphrases.append(passphrase.reveal() if passphrase else None)
        if taken == b"bad":
            raise InvalidRequest("the backup is refused: it is bad")
        return Staged(1, "there", "1", 3, [])

    def begin_again(self) -> None:
        self.begun_again += 1

    async def last_restore(self) -> RestoreOutcome | None:
        return RestoreOutcome(5, 1)


@asynccontextmanager
async def setup(
    desk: Desk, *, password: str = PASSWORD, clock: ManualClock | None = None, **settings: Any
) -> AsyncIterator[World]:
    clock = clock or ManualClock()
    auth = AuthConfig(rate_limit=RateLimitConfig(max_attempts=3, window_ms=60_000, lockout_ms=60_000))
    config = GatewayConfig(auth=auth, **settings)
    desk.config = config
    deps = SetupDeps(desk, clock, lambda: desk.config, lambda: Secret(password) if password else None)
    async with world(config, clock=clock, setup=deps) as here:
        yield here


async def call(
    here: World, method: str, path: str, body: Any = None, *, origin: str = "http://127.0.0.1", **headers: Any
) -> tuple[int, dict[str, str], Any]:
    raw = json.dumps(body or {}).encode() if method == "POST" else b""
    if origin:
        headers["Origin"] = origin
    status, head, answer = await raw_request(here.port, http(method, path, raw, token=None, **headers))
    return status, head, json.loads(answer) if answer[:1] == b"{" else answer


async def signed_in(here: World, **headers: Any) -> dict[str, str]:
    """Sign in; return the headers of a change."""
    status, head, _ = await call(here, "POST", "/setup/login", {"password": PASSWORD}, **headers)
    assert status == 200
    cookie = {"Cookie": head["set-cookie"].partition(";")[0]}
    state = (await call(here, "GET", "/setup/state", **cookie, **headers))[2]
    return {**cookie, "X_OpenClaw_Setup": state["pageToken"]}


async def test_without_a_password_there_is_no_setup(tmp_path: Path) -> None:
    async with setup(Desk(tmp_path), password="") as here:
        for method, path in ALL:
            assert (await call(here, method, path, {"password": ""}))[0] == 404, path


async def test_only_the_page_is_shown_without_a_session_and_nothing_is_cached(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    async with setup(desk) as here:
        for method, path in ALL:
            status, head, _ = await call(here, method, path)
            shown = path in ("/setup", "/setup/file/setup.js")
            assert status == (200 if shown else 400 if path == "/setup/login" else 401), path
            assert head["cache-control"] == "no-store", path
            if shown:
                assert "script-src 'self'" in head["content-security-policy"]
                assert "unsafe" not in head["content-security-policy"]
        assert (await call(here, "GET", "/setup/file/none.js"))[0] == 404
    assert (desk.choices, desk.approved, desk.passphrases, desk.taken) == ([], [], [], [])


async def test_wrong_passwords_lock_a_program_on_this_machine_out_too_and_then_the_right_one(tmp_path: Path) -> None:
    clock = ManualClock()
    async with setup(Desk(tmp_path), clock=clock) as here:
        for _ in range(3):
            assert (await call(here, "POST", "/setup/login", {"password": "no"}))[0] == 401
        status, head, _ = await call(here, "POST", "/setup/login", {"password": PASSWORD})
        assert (status, "retry-after" in head, "set-cookie" in head) == (429, True, False)
        clock.advance(61)
        assert (await call(here, "POST", "/setup/login", {"password": PASSWORD}))[0] == 200


async def test_the_limits_on_guesses_follow_a_reload(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    async with setup(desk) as here:
        auth = AuthConfig(rate_limit=RateLimitConfig(max_attempts=1, window_ms=60_000, lockout_ms=60_000))
        desk.config = GatewayConfig(auth=auth)
        statuses = [(await call(here, "POST", "/setup/login", {"password": "no"}))[0] for _ in range(2)]
    assert statuses == [401, 429]


async def test_guesses_side_by_side_are_counted_like_guesses_in_a_row(tmp_path: Path) -> None:
    async with setup(Desk(tmp_path)) as here:
        guesses = (call(here, "POST", "/setup/login", {"password": f"no{number}"}) for number in range(20))
        statuses = [status for status, _, _ in await asyncio.gather(*guesses)]
    assert sorted(statuses) == [401] * 3 + [429] * 17


async def test_the_cookie_is_the_browsers_alone_and_secure_behind_tls(tmp_path: Path) -> None:
    async with setup(Desk(tmp_path), trusted_proxies=("127.0.0.1",)) as here:
        plain = (await call(here, "POST", "/setup/login", {"password": PASSWORD}))[1]["set-cookie"]
        assert plain.endswith("; Max-Age=1800; HttpOnly; SameSite=Strict")
        assert len(plain.partition(";")[0].partition("=")[2]) == 64
        behind = {"X_Forwarded_For": "203.0.113.9", "X_Forwarded_Proto": "https"}
        secure = (await call(here, "POST", "/setup/login", {"password": PASSWORD}, **behind))[1]["set-cookie"]
        assert secure.endswith("; Secure")
    async with setup(Desk(tmp_path), public_base_url="https://home.example") as here:
        answer = await call(
            here, "POST", "/setup/login", {"password": PASSWORD}, origin="https://home.example", host="home.example"
        )
        assert answer[1]["set-cookie"].endswith("; Secure")


async def test_a_change_needs_our_page_its_token_and_the_session(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    async with setup(desk) as here:
        good = await signed_in(here)
        body = {"requestId": "r1"}
        for origin in ("", "https://evil.example", "null"):
            assert (await call(here, "POST", "/setup/approve", body, origin=origin, **good))[0] == 403, origin
        assert (await call(here, "POST", "/setup/approve", body, **{**good, "X_OpenClaw_Setup": "0" * 64}))[0] == 403
        assert (await call(here, "POST", "/setup/approve", body, **{**good, "Cookie": "openclaw_setup=" + "0" * 64}))[
            0
        ] == 401
        assert (await call(here, "POST", "/setup/login", {"password": PASSWORD}, origin=""))[0] == 403
        assert desk.approved == []
        assert (await call(here, "POST", "/setup/approve", body, **good))[0] == 200
        assert desk.approved == ["r1"]


async def test_a_session_ends_after_half_an_hour_and_with_its_password() -> None:
    clock = ManualClock()
    sessions, password = Sessions(clock), Secret(PASSWORD)
    one = sessions.begin(password)
    assert sessions.holds(one, password)
    assert not sessions.holds(one, Secret("another"))
    two = sessions.begin(password)
    clock.advance(SESSION_S)
    assert not sessions.holds(two, password)
    first = sessions.begin(password)
    for _ in range(MAX_SESSIONS):
        sessions.begin(password)
    assert not sessions.holds(first, password)


async def test_a_provider_is_chosen_and_a_refused_key_is_told(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    async with setup(desk) as here:
        good = await signed_in(here)
        status, _, answer = await call(here, "POST", "/setup/provider", {"provider": "anthropic", "key": "k"}, **good)
        assert (status, answer["model"]) == (200, "anthropic/m")
        assert [choice.key for choice in desk.choices] == ["k"]
        assert "'k'" not in repr(desk.choices[0])
        status, _, answer = await call(here, "POST", "/setup/provider", {"provider": "openai", "key": "bad"}, **good)
        assert (status >= 400, answer["error"]["message"]) == (True, "the key was refused")
        assert (await call(here, "POST", "/setup/provider", {"provider": "other"}, **good))[0] == 400


async def test_the_token_is_given_to_the_page_and_a_backup_is_sent_whole(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    async with setup(desk) as here:
        good = await signed_in(here)
        assert (await call(here, "POST", "/setup/pair", **good))[2] == {"token": TOKEN}
        status, head, body = await call(here, "GET", "/setup/export", **good)
        assert (status, body) == (200, b"archive" * 100_000)
        assert head["content-disposition"] == 'attachment; filename="b.tar.gz"'
        assert (await call(here, "POST", "/setup/export", {"passphrase": "p"}, **good))[0] == 200
    assert desk.passphrases == [None, "p"]


async def upload(
    here: World, body: bytes, good: dict[str, str], length: int | None = None, **changed: str
) -> tuple[int, Any]:
    """POST to /setup/import. `length` is what the head says; 0 = chunked."""
    framing = {"Transfer_Encoding": "chunked"}
    if length != 0:
        framing = {"Content_Length": str(len(body) if length is None else length)}
    head = {"Origin": "http://127.0.0.1", **good, **framing, **changed}
    status, _, answer = await raw_request(here.port, head_of(head) + body)
    return status, json.loads(answer)


def head_of(headers: dict[str, str]) -> bytes:
    lines = (f"{name.replace('_', '-')}: {value}" for name, value in headers.items())
    return "\r\n".join(("POST /setup/import HTTP/1.1", "Host: 127.0.0.1", *lines, "", "")).encode()


async def test_a_backup_comes_in_whole_and_the_gateway_begins_again_once_it_has_answered(tmp_path: Path) -> None:
    desk, body = Desk(tmp_path), b"archive" * 100_000
    async with setup(desk) as here:
        good = await signed_in(here)
        status, answer = await upload(here, body, good, X_OpenClaw_Passphrase="Gr%C3%B6%C3%9Fe%20100%25")
        assert (status, answer["createdAtMs"], answer["files"]) == (200, 1, 3)
        assert (desk.taken, desk.passphrases, desk.begun_again) == ([body], ["Größe 100%"], 1)
        assert (await call(here, "GET", "/setup/state", **good))[2]["lastRestore"] == {
            "atMs": 5,
            "madeAtMs": 1,
            "why": "",
        }
        assert (await upload(here, b"bad", good))[0] == 400
        assert (await upload(here, b"x", good, X_OpenClaw_Passphrase="%ff"))[0] == 400
        assert (await upload(here, b"x", good, Content_Encoding="gzip"))[0] == 415
        assert desk.begun_again == 1


async def test_a_backup_that_is_too_large_is_refused_by_what_is_announced_and_by_what_comes(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    async with setup(desk) as here:
        good = await signed_in(here)
        status, answer = await upload(here, b"", good, 10_000_000_000)
        assert (status, answer["error"]["message"]) == (413, "Payload too large: 1,000,000 bytes are taken here")
        chunks = b"10000\r\n%b\r\n" % (b"x" * 65_536) * 16 + b"0\r\n\r\n"
        assert (await upload(here, chunks, good, 0))[0] == 413
        assert (desk.taken, desk.begun_again) == ([], 0)


async def test_a_backup_is_taken_from_our_page_alone_and_dropped_when_the_browser_goes(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    async with setup(desk) as here:
        good = await signed_in(here)
        for origin in ("https://evil.example", "null"):
            assert (await upload(here, b"x", good, Origin=origin))[0] == 403
        assert (await upload(here, b"x", good, X_OpenClaw_Setup="0" * 64))[0] == 403
        assert (await upload(here, b"x", {}, Cookie="openclaw_setup=" + "0" * 64))[0] == 401
        head = head_of({"Origin": "http://127.0.0.1", "Content_Length": "100", **good})
        _, writer = await asyncio.open_connection("127.0.0.1", here.port)
        writer.write(head + b"half")
        await writer.drain()
        writer.close()
        await until(lambda: desk.broken_off)
        assert (desk.taken, desk.begun_again) == ([], 0)
