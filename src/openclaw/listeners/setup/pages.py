"""`/setup`: provider, this browser, a backup to take away or to bring back. Open only while SETUP_PASSWORD is set.

1. The password opens a session in a cookie that scripts cannot read and other sites do not send.
2. A wrong password counts against its client's address, whoever asks: programs on this machine are not exempt.
3. A change comes from a page of ours (its Origin) that could read the session's page token, or it is refused.
4. No secret stands in an address: the page asks for the gateway's token and puts it behind the `#` itself.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import unquote

import msgspec

from openclaw.base.clock import Clock
from openclaw.base.errors import Forbidden, InvalidRequest, NotFound, RateLimited, Unauthorized
from openclaw.base.secret import Secret, masked
from openclaw.config.schema import GatewayConfig
from openclaw.identity.rate_limit import SignInLimiter
from openclaw.listeners.control_ui.files import Bundle, find_files, read_file
from openclaw.listeners.http import SAFE, Header, Request
from openclaw.listeners.operation import HTML_MEDIA, Operation
from openclaw.listeners.router import Route
from openclaw.listeners.setup.port import Choice, Chosen, Fetching, SetupPort, Staged, Waiting
from openclaw.listeners.setup.sessions import SESSION_S, Sessions, page_token
from openclaw.ops.backup.create import Made
from openclaw.ops.backup.restore import RestoreOutcome
from openclaw.ops.backup.tape import PIECE

ROOT: Final = Path(__file__).parent / "static"
COOKIE: Final = "openclaw_setup"
PAGE_TOKEN: Final = b"x-openclaw-setup"
PASSPHRASE: Final = b"x-openclaw-passphrase"
MAX_BODY_BYTES: Final = 64 * 1024

_log = logging.getLogger("openclaw.setup")


class SignIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The value of SETUP_PASSWORD."""

    password: Annotated[str, msgspec.Meta(max_length=4096)]

    __repr__ = masked


class Approval(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """The request of a device to let in."""

    request_id: Annotated[str, msgspec.Meta(max_length=128)]


class Encryption(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the backup is encrypted with; "" leaves it to `backup.passphrase`."""

    passphrase: Annotated[str, msgspec.Meta(max_length=4096)] = ""

    __repr__ = masked


class SetupState(msgspec.Struct, frozen=True, rename="camel"):
    """Where the set-up stands. `page_token` goes into the header X-OpenClaw-Setup of every change.

    `unlisted_proxy` is the address of a proxy that the request came through and gateway.trustedProxies does not list.
    """

    page_token: str
    model: str
    waiting: list[Waiting]
    unlisted_proxy: str
    upload_limit: int
    last_restore: RestoreOutcome | None
    fetching: Fetching | None

    __repr__ = masked


class Entrance(msgspec.Struct, frozen=True):
    """The gateway's token for the page to keep; "" when a token is not what lets people in."""

    token: str

    __repr__ = masked


class Done(msgspec.Struct, frozen=True):
    """It is done."""

    ok: bool = True


_ERRORS: Final = (401, 403, 404)
_PAGE = Operation("The set-up page; 404 unless SETUP_PASSWORD is set.", media=HTML_MEDIA, errors=(404,))
_FILE = Operation("A file of the set-up page.", media="application/octet-stream", errors=(404,))
_LOGIN = Operation(
    "Trades SETUP_PASSWORD for a session cookie of 30 minutes.", Done, request=SignIn, errors=(*_ERRORS, 429)
)
_STATE = Operation(
    "Tells where the set-up stands, and the token its page sends with changes.", SetupState, errors=_ERRORS
)
_PROVIDER = Operation(
    "Calls a model provider once; when it answers, keeps its key as a secret and makes it the agents' own.",
    Chosen,
    request=Choice,
    errors=(*_ERRORS, 409, 422, 429, 502, 503, 504),
)
_PAIR = Operation("Gives the page the gateway's token.", Entrance, errors=_ERRORS)
_APPROVE = Operation("Lets a waiting device in.", Done, request=Approval, errors=_ERRORS)
_EXPORT = Operation(
    "Downloads a backup, encrypted when `backup.passphrase` is set.",
    media="application/octet-stream",
    errors=(*_ERRORS, 409, 503),
)
_EXPORT_SEALED = Operation(
    "Downloads a backup, encrypted with a passphrase.",
    request=Encryption,
    media="application/octet-stream",
    errors=(*_ERRORS, 409, 503),
)
_IMPORT = Operation(
    "Restores a backup: checks all of the body, an archive, and begins again with it.",
    Staged,
    takes="application/octet-stream",
    errors=(*_ERRORS, 409, 503),
    headers=((PASSPHRASE.decode(), "What an encrypted backup was made with, percent-encoded."),),
)


@dataclass(frozen=True, slots=True)
class SetupDeps:
    """What the set-up needs. `password` None = it is closed."""

    desk: SetupPort
    clock: Clock
    config: Callable[[], GatewayConfig]
    password: Callable[[], Secret | None]


class SetupPages:
    """The handlers of `/setup`."""

    def __init__(self, deps: SetupDeps) -> None:
        self._deps = deps
        self._sessions = Sessions(deps.clock)
        self._limiter = SignInLimiter(lambda: deps.config().auth.rate_limit, deps.clock)
        self._bundle: Bundle | None = None
        self._sign_in = msgspec.json.Decoder(SignIn)
        self._choice = msgspec.json.Decoder(Choice)
        self._approval = msgspec.json.Decoder(Approval)
        self._encryption = msgspec.json.Decoder(Encryption)

    def routes(self) -> tuple[Route, ...]:
        """Return the routes; they check the set-up's own credential."""

        def get(path: str, handler: Any, doc: Operation) -> Route:
            return Route(("GET",), path, "control", handler, "public", doc=doc)

        def post(path: str, handler: Any, doc: Operation) -> Route:
            return Route(("POST",), path, "control", handler, "public", max_body=MAX_BODY_BYTES, doc=doc)

        return (
            get("/setup", self.page, _PAGE),
            get("/setup/file/{name}", self.file, _FILE),
            post("/setup/login", self.login, _LOGIN),
            get("/setup/state", self.state, _STATE),
            post("/setup/provider", self.provider, _PROVIDER),
            post("/setup/pair", self.pair, _PAIR),
            post("/setup/approve", self.approve, _APPROVE),
            get("/setup/export", self.export, _EXPORT),
            post("/setup/export", self.export_sealed, _EXPORT_SEALED),
            Route(("POST",), "/setup/import", "control", self.import_, "public", doc=_IMPORT),
        )

    async def page(self, request: Request) -> None:
        """Show the page; what it holds is no secret."""
        await self._show(request, "index.html")

    async def file(self, request: Request) -> None:
        """Send a file of the page."""
        await self._show(request, request.params["name"])

    async def login(self, request: Request) -> None:
        """Begin a session. Raises: RateLimited, Unauthorized, Forbidden."""
        password = self._password()
        _require_own_page(request)
        given = await request.json_body(self._sign_in)  # before the count is looked at: no guesses side by side
        key = request.source.key
        wait_s = self._limiter.retry_after_s(key)
        if wait_s is not None:
            raise RateLimited("too many wrong passwords", hint="Wait, then try again.", retry_after_s=wait_s)
        if not password.matches(given.password):
            self._limiter.failed(key)
            _log.warning("setup_password_refused", extra={"fields": {"client": key}})
            raise Unauthorized("this is not the set-up password", hint="It is the value of SETUP_PASSWORD.")
        self._limiter.succeeded(key)
        session_id = self._sessions.begin(password)
        _log.info("setup_session_began", extra={"fields": {"client": key}})
        await request.json(200, Done(), ((b"set-cookie", self._cookie(request, session_id)),))

    async def state(self, request: Request) -> None:
        """Tell where the set-up stands."""
        session_id = self._session(request)
        desk, source = self._deps.desk, request.source
        found = SetupState(
            page_token(session_id),
            desk.model(),
            desk.waiting(),
            "" if source.attributed else source.key,
            desk.upload_limit(),
            await desk.last_restore(),
            desk.fetching(),
        )
        await request.json(200, found)

    async def provider(self, request: Request) -> None:
        """Test a provider and write it down."""
        self._change(request)
        choice = await request.json_body(self._choice)
        await request.json(200, await self._deps.desk.choose(choice))

    async def pair(self, request: Request) -> None:
        """Give out the gateway's token."""
        self._change(request)
        token = self._deps.desk.token()
        await request.json(200, Entrance(token.reveal() if token else ""))

    async def approve(self, request: Request) -> None:
        """Let a device in."""
        self._change(request)
        await self._deps.desk.approve((await request.json_body(self._approval)).request_id)
        await request.json(200, Done())

    async def export(self, request: Request) -> None:
        """Send a backup."""
        self._session(request)
        await self._export(request, None)

    async def export_sealed(self, request: Request) -> None:
        """Send a backup under a passphrase."""
        self._change(request)
        given = (await request.json_body(self._encryption)).passphrase
        await self._export(request, Secret(given) if given else None)

    async def import_(self, request: Request) -> None:
        """Restore a backup, and begin again with it."""
        self._change(request)
        request.require_plain()
        desk = self._deps.desk
        staged = await desk.stage(request.pieces(desk.upload_limit()), request.announced, _passphrase(request))
        try:
            await request.json(200, staged)
        finally:
            desk.begin_again()

    async def _export(self, request: Request, passphrase: Secret | None) -> None:
        async with self._deps.desk.backup(passphrase) as made:
            name = f'attachment; filename="{made.name}"'.encode()
            head = ((b"content-type", b"application/octet-stream"), (b"content-disposition", name))
            await request.download(head, made.size, _pieces(made))

    def _password(self) -> Secret:
        password = self._deps.password()
        if password is None:
            raise NotFound("Not Found")
        return password

    def _session(self, request: Request) -> str:
        """Return the session of a request. Raises: NotFound while closed, Unauthorized."""
        password = self._password()
        if request.source.browser == "foreign":
            raise Forbidden("This page's origin is not allowed.", hint="Open /setup of this gateway.")
        session_id = _cookies(request).get(COOKIE, "")
        if not session_id or not self._sessions.holds(session_id, password):
            raise Unauthorized("there is no session", hint="Open /setup and give the password.")
        return session_id

    def _change(self, request: Request) -> None:
        session_id = self._session(request)
        _require_own_page(request)
        if not hmac.compare_digest(page_token(session_id).encode(), request.header(PAGE_TOKEN).encode()):
            raise Forbidden("The page's token is missing or old.", hint="Load /setup again.")

    def _cookie(self, request: Request, session_id: str) -> bytes:
        secure = request.source.https or self._deps.config().public_base_url.lower().startswith("https:")
        # Without a Path it is for the folder of the login as the browser sees it, below a proxy's prefix too.
        text = f"{COOKIE}={session_id}; Max-Age={SESSION_S}; HttpOnly; SameSite=Strict"
        return f"{text}{'; Secure' if secure else ''}".encode()

    async def _show(self, request: Request, name: str) -> None:
        self._password()
        if self._bundle is None:
            self._bundle = await asyncio.to_thread(find_files, ROOT)
        file = self._bundle.files.get(name)
        if file is None:
            raise NotFound("Not Found")
        body = await asyncio.to_thread(read_file, file)
        await request.answer(200, ((b"content-type", file.media.encode()), *SAFE, *_STRICT), body)


_POLICY: Final = (
    b"default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; script-src 'self'; "
    b"style-src 'self'; connect-src 'self'"
)
_STRICT: Final[tuple[Header, ...]] = ((b"x-frame-options", b"DENY"), (b"content-security-policy", _POLICY))


def _require_own_page(request: Request) -> None:
    if request.source.browser != "own":
        raise Forbidden("Only the set-up page of this gateway may do this.", hint="Open /setup in a browser.")


def _cookies(request: Request) -> dict[str, str]:
    pairs = (part.partition("=") for part in request.header(b"cookie").split(";"))
    return {name.strip(): value.strip() for name, _, value in pairs}


def _passphrase(request: Request) -> Secret | None:
    try:
        text = unquote(request.header(PASSPHRASE), errors="strict")
    except UnicodeDecodeError:
        raise InvalidRequest("the passphrase is not UTF-8, percent-encoded") from None
    return Secret(text) if text else None


async def _pieces(made: Made) -> AsyncIterator[bytes]:
    with await asyncio.to_thread(made.place.open, "rb") as file:
        while piece := await asyncio.to_thread(file.read, PIECE):
            yield piece
