"""The web tools: `web_fetch` reads a page, `http_request` talks to an API. Both go out by `Egress`."""

from __future__ import annotations

import codecs
import re
from typing import Annotated, Literal

from msgspec import Meta

from openclaw.base.errors import ToolError
from openclaw.tools.action import Context, action, build_tool
from openclaw.tools.api import Tool
from openclaw.tools.builtin.egress import TIMEOUT_S, Answer, Egress
from openclaw.tools.call_key import call_key
from openclaw.tools.thread import in_thread
from openclaw.tools.untrusted import fenced, visible

PAGE_LIMIT_BYTES = 2 * 1024 * 1024
BODY_LIMIT_BYTES = 256 * 1024
RESULT_BYTES = 256 * 1024
MAX_CHARS = 60_000

_HTML = frozenset({"text/html", "application/xhtml+xml"})
_TEXT = re.compile(
    r"text/[\w.+-]+|application/(?:[\w.-]+\+)?(?:json|xml|yaml|x-yaml|javascript|x-ndjson|toml|x-www-form-urlencoded)"
)
# Only codings whose decoders are linear and give text: Python also has rot13, zip and punycode under such names.
_CHARSET = re.compile(
    r"ascii|utf-(?:8|16|32)(?:-[lb]e|-sig)?|iso8859-\d+|cp\d{3,4}|koi8-[rut]|(?:euc|shift|iso2022)_\w+|gb\w+|big5\w*|mac-\w+"
)
_IN_META = re.compile(rb"""<meta[^>]{0,200}charset\s{0,9}=\s{0,9}["']?\s{0,9}([A-Za-z0-9_:.-]{1,40})""", re.IGNORECASE)
_BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))

Url = Annotated[str, Meta(description="Whole address, http:// or https://.")]
MaxChars = Annotated[int, Meta(description="Longest text to return, in characters.", ge=100, le=MAX_CHARS)]


def web_tools(egress: Egress) -> tuple[Tool, ...]:
    """Return the tools that reach the web, through one way out."""

    @action(timeout_s=TIMEOUT_S + 10, result_bytes=RESULT_BYTES)
    async def web_fetch(url: Url, context: Context, max_chars: MaxChars = 20_000) -> str:
        """Read a web page or text file by its address. Pages come as plain text with links; the rest as it is."""
        answer = await egress.request(
            context,
            "tool web_fetch",
            "GET",
            url,
            headers={"Accept": "text/html, application/xhtml+xml, text/*;q=0.9, application/json;q=0.9, */*;q=0.1"},
            limit_bytes=PAGE_LIMIT_BYTES,
        )
        return await in_thread(page_text, answer=answer, max_chars=max_chars)

    @action(writes=True, inward=True, timeout_s=TIMEOUT_S + 10, result_bytes=RESULT_BYTES)
    async def http_request(
        method: Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"],
        url: Url,
        context: Context,
        headers: Annotated[dict[str, str], Meta(description="Headers to send.")] = {},  # noqa: B006  # never changed
        body: Annotated[str, Meta(description="Body to send, as text.", max_length=BODY_LIMIT_BYTES)] = "",
        max_chars: MaxChars = 20_000,
    ) -> str:
        """Send one HTTP request to an API and return status, headers and body. GET and HEAD follow redirects."""
        if body and method in ("GET", "HEAD"):
            raise ToolError(f"{method} takes no body.")
        sent = dict(headers)
        if method in ("POST", "PATCH") and context.idempotency_key and "idempotency-key" not in map(str.lower, sent):
            # A resumed run sends it again; it tells a stranger nothing of the run.
            sent["Idempotency-Key"] = call_key(context.idempotency_key, method, url, body)
        answer = await egress.request(
            context,
            "tool http_request",
            method,
            url,
            headers=sent,
            body=body.encode("utf-8", "replace") if body else None,
            limit_bytes=BODY_LIMIT_BYTES,
        )
        return await in_thread(answer_text, answer=answer, max_chars=max_chars)

    return build_tool(web_fetch), build_tool(http_request)


def page_text(answer: Answer, max_chars: int) -> str:
    """Return a page as the model reads it. Raises: ToolError for a failure's status and for what is no text."""
    address = answer.place.url
    if not 200 <= answer.status < 300:
        said = fenced(address, _decoded(answer)[:500]) if _is_text(answer) and answer.body else ""
        raise ToolError(f"{address} answered with status {answer.status}. {said}".rstrip())
    kind = answer.content_type
    if not _is_text(answer):
        raise ToolError(f"{address} is {visible(kind)[:80] or 'of no known type'}, not text. It cannot be read here.")
    text, title, cut = _decoded(answer), "", answer.cut
    if kind in _HTML:
        from openclaw.tools.builtin.readable import readable

        title, text, more = readable(text, address, max_chars)
        cut = cut or more
    notes = [
        f"Address: {address}",
        f"Title: {visible(title)}" if title else "",
        f"Type: {visible(kind)}" if kind else "",
    ]
    if cut or len(text) > max_chars:
        notes.append(f"Cut: only the first {min(len(text), max_chars)} characters are shown.")
    return "\n".join([*filter(None, notes), fenced(address, text[:max_chars] or "(no text)")])


def answer_text(answer: Answer, max_chars: int) -> str:
    """Return an API's answer as the model reads it."""
    shown = "\n".join(f"{name}: {value}" for name, value in list(answer.headers.items())[:50])[:8_000]
    if not answer.body:
        text = "(no body)"
    elif _is_text(answer):
        text = _decoded(answer)
    else:
        text = f"({len(answer.body)} bytes of {answer.content_type[:80]}, which are not text)"
    cut = f" Cut: only the first {max_chars} characters are shown." if answer.cut or len(text) > max_chars else ""
    return f"Status: {answer.status}. Address: {answer.place.url}.{cut}\n" + fenced(
        answer.place.url, f"{shown}\n\n{text[:max_chars]}"
    )


def _is_text(answer: Answer) -> bool:
    kind = answer.content_type
    return bool(_TEXT.fullmatch(kind)) or kind in _HTML or (not kind and b"\0" not in answer.body[:1024])


def _decoded(answer: Answer) -> str:
    for bom, name in _BOMS:
        if answer.body.startswith(bom):
            return answer.body[len(bom) :].decode(name, "replace")
    given = re.search(
        r"charset\s{0,9}=\s{0,9}[\"']?([^\s;\"']{1,40})", answer.headers.get("Content-Type", ""), re.IGNORECASE
    )
    meta = _IN_META.search(answer.body, 0, 2048) if answer.content_type in _HTML else None
    name = given[1] if given else meta[1].decode("ascii") if meta else "utf-8"
    return answer.body.decode(_charset(name), "replace")


def _charset(name: str) -> str:
    try:
        found = codecs.lookup(name).name
    except (LookupError, ValueError):
        return "utf-8"
    if found == "iso8859-1" or found == "ascii":  # what the web calls so is cp1252
        return "cp1252"
    return found if _CHARSET.fullmatch(found) else "utf-8"
