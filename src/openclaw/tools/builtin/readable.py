"""HTML → the text that a person would read, as plain Markdown: headings, lists, links, no scripts, nothing hidden.

1. One pass, linear in the page's length whatever is in it: a search that failed once is not tried again. (The standard
   library's parser is quadratic on hostile pages, and holds the interpreter's lock meanwhile.)
2. Nothing is an error: what does not end goes to the end, what is no tag is text.
3. Scripts, styles, forms' options, drawings and what is marked as hidden are left out.
4. It stops as soon as it has the text that was asked for.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import urljoin, urlsplit

MAX_TAG_CHARS = 4096
"""Attributes are looked for in so much of a tag; more is a page's own business (inline images)."""
MAX_LINK_CHARS = 300

_RAW = frozenset({"script", "style", "textarea", "xmp", "iframe", "noembed", "noframes"})
"""Elements whose content is not markup."""
_SKIPPED = frozenset({"noscript", "template", "svg", "math", "select", "canvas", "object", "audio", "video"})
_MAY_HIDE = frozenset({"div", "span", "section", "article", "aside", "nav", "header", "footer", "a", "b", "i", "table"})
"""Elements that authors always close, so that the end of a hidden one is known."""
_BLOCK = re.compile(
    "address|article|aside|blockquote|body|dd|details|div|dl|dt|fieldset|figcaption|figure|footer|form|h[1-6]|header|hr"
    "|li|main|nav|ol|p|pre|section|summary|table|tbody|thead|tr|ul"
)
_HEADING = {f"h{level}": "#" * level + " " for level in range(1, 7)}
_TAG_NAME = re.compile(r"/?[A-Za-z][^\s/>]{0,40}")
_ATTRIBUTE = re.compile(r"""([^\s=>"'/]{1,60})\s{0,9}=\s{0,9}(?:"([^"]*)"|'([^']*)'|([^\s>"']+))""")
_SPACE = re.compile(r"[ \t\r\n\f\v\u00a0]+")
_BLANKS = re.compile(r"\n{3,}")


class Readable(NamedTuple):
    """A page's title and text. `cut` says that there is more of it."""

    title: str
    text: str
    cut: bool


class _Piece(NamedTuple):
    kind: str
    """`text`, or a tag: `open`, `close`."""
    value: str
    """The text with its entities, or the tag's name in lower case."""
    attributes: str = ""


def readable(page: str, base_url: str, max_chars: int) -> Readable:
    """Return what is to be read on a page; links are made whole by `base_url`."""
    writer = _Writer(base_url)
    for piece in _pieces(page):
        writer.take(piece)
        if writer.written > max_chars:
            break
    text = _BLANKS.sub("\n\n", "".join(writer.out)).strip()
    return Readable(_one_line(writer.title)[:300], text[:max_chars], len(text) > max_chars)


class _Writer:
    """Takes the page's pieces, and keeps the text and the title."""

    def __init__(self, base_url: str) -> None:
        self.out: list[str] = []
        self.written = 0
        self.title = ""
        self._base_url = base_url
        self._skipping = ""
        self._depth = 0
        self._in_title = False
        self._in_pre = 0
        self._links: list[str] = []

    def take(self, piece: _Piece) -> None:
        """Go on by one piece."""
        kind, name, _ = piece
        if kind != "text" and name == "title":
            self._in_title = kind == "open" and not self.title and self._skipping != "svg"
        elif self._in_title:
            if kind == "text" and len(self.title) < 1000:
                self.title += _unescaped(name)
        elif self._skipping:
            self._skip(piece)
        elif kind == "text":
            self._text(_unescaped(name))
        elif kind == "open":
            self._open(piece)
        else:
            self._close(name)

    def _skip(self, piece: _Piece) -> None:
        if piece.value == self._skipping and piece.kind != "text":
            self._depth += 1 if piece.kind == "open" else -1
        if self._depth <= 0:
            self._skipping = ""

    def _open(self, piece: _Piece) -> None:
        name = piece.value
        if name in _SKIPPED or (name in _MAY_HIDE and _hidden(piece.attributes)):
            if not piece.attributes.endswith("/"):
                self._skipping, self._depth = name, 1
            return
        if _BLOCK.fullmatch(name):
            self._line(_HEADING.get(name, "- " if name == "li" else ""))
        match name:
            case "br":
                self._write("\n")
            case "td" | "th":
                self._write(" | ")
            case "pre":
                self._in_pre += 1
            case "a":
                self._links.append(self._address(piece.attributes))
                del self._links[:-16]
            case "img":
                if alt := _one_line(_attribute(piece.attributes, "alt")):
                    self._text(f"[image: {alt[:200]}]")

    def _close(self, name: str) -> None:
        if name == "pre":
            self._in_pre = max(0, self._in_pre - 1)
        if name == "a" and self._links and (address := self._links.pop()):
            self._write(f" ({address})")
        if _BLOCK.fullmatch(name):
            self._line("")

    def _text(self, text: str) -> None:
        if not self._in_pre:
            text = _SPACE.sub(" ", text)
            if not self.out or self.out[-1].endswith((" ", "\n")):
                text = text.removeprefix(" ")
        self._write(text)

    def _line(self, start: str) -> None:
        if self.out and not self.out[-1].endswith("\n"):
            self._write("\n")
        if start.startswith("#"):
            self._write("\n")
        self._write(start)

    def _write(self, text: str) -> None:
        if text:
            self.out.append(text)
            self.written += len(text)

    def _address(self, attributes: str) -> str:
        href = _attribute(attributes, "href")
        if not href or href.startswith("#") or len(href) > MAX_LINK_CHARS:
            return ""
        try:
            whole = urljoin(self._base_url, href)
            scheme = urlsplit(whole).scheme
        except ValueError:
            return ""
        return _SPACE.sub("%20", whole) if scheme in ("http", "https") else ""


def _hidden(attributes: str) -> bool:
    lowered = attributes.lower()
    if "hidden" not in lowered and "display" not in lowered:
        return False
    if re.search(r"(?:^|\s)hidden(?:[\s=/]|$)", lowered) or _attribute(lowered, "aria-hidden") == "true":
        return True
    style = _attribute(lowered, "style").replace(" ", "")
    return "display:none" in style or "visibility:hidden" in style


def _attribute(attributes: str, name: str) -> str:
    for match in _ATTRIBUTE.finditer(attributes):
        if match[1].lower() == name:
            return _unescaped(match[2] or match[3] or match[4] or "").strip()
    return ""


def _pieces(page: str) -> Iterator[_Piece]:
    """Yield text and tags. Each search that finds nothing ends the page's markup, so none is repeated."""
    at, end = 0, len(page)
    while at < end:
        start = page.find("<", at)
        if start < 0:
            yield _Piece("text", page[at:])
            return
        if start > at:
            yield _Piece("text", page[at:start])
        if page.startswith("<!--", start):
            at = _after(page, "-->", start + 4)
        elif page.startswith(("<!", "<?"), start):
            at = _after(page, ">", start)
        elif name := _TAG_NAME.match(page, start + 1):
            close = _tag_end(page, name.end())
            tag = name[0].lower()
            yield _Piece(
                "close" if tag[0] == "/" else "open", tag.removeprefix("/"), page[name.end() : close][:MAX_TAG_CHARS]
            )
            at = close + 1
            if tag in _RAW:
                at = _raw_end(page, tag, at)
        else:
            yield _Piece("text", "<")
            at = start + 1


def _after(page: str, mark: str, start: int) -> int:
    found = page.find(mark, start)
    return len(page) if found < 0 else found + len(mark)


_QUOTE_OR_END = re.compile("[\"'>]")


def _tag_end(page: str, at: int) -> int:
    """Return where the tag's `>` is, quoted ones passed over; an open quote ends the page."""
    while found := _QUOTE_OR_END.search(page, at):
        if found[0] == ">":
            return found.start()
        # A quote opens a value only after `=`; elsewhere it is a slip of the author.
        if page[found.start() - 1] != "=":
            at = found.end()
        elif (at := page.find(found[0], found.end()) + 1) == 0:
            return len(page)
    return len(page)


def _raw_end(page: str, tag: str, at: int) -> int:
    """Return where the closing tag of a raw element begins."""
    found = re.compile(f"</{tag}(?![a-z0-9])", re.IGNORECASE).search(page, at)
    return found.start() if found else len(page)


def _unescaped(text: str) -> str:
    if "&" not in text:
        return text
    try:
        return html.unescape(text)
    except ValueError:  # a number of thousands of digits
        return text


def _one_line(text: str) -> str:
    return _SPACE.sub(" ", text).strip()
