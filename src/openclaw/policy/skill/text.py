"""What any text of a skill is searched for: characters that hide, orders to the model, and commands that are dangers.

1. Orders are looked for in the text as it is read: without invisible characters, look-alikes folded, blanks joined.
2. Commands are looked for in the text as a shell joins its lines.
3. Every expression has bounded repetition: the cost is linear in the length.
"""

from __future__ import annotations

import base64
import binascii
import html
import re
import unicodedata
from collections.abc import Iterator
from itertools import islice
from typing import Final

from openclaw.policy.skill.finding import Notes, Row, line_of, shown
from openclaw.policy.skill.marks import COMMANDS, ORDERS
from openclaw.policy.skill.scan import first, scan

_HIDDEN: Final = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\u2028\u2029\u3164\ufeff\uffa0\ufff9-\ufffb\ufe00-\ufe0e\ud800-\udfff\ue000-\uf8ff"
    "\U0001d173-\U0001d17a\U000e0000-\U000e0fff\U000f0000-\U0010ffff]"
)
_JOINER: Final = "\u200d"
_WORD: Final = re.compile(r"[^\W\d_]+(?:[-'][^\W\d_]+)*")
_ALONE: Final = frozenset(("CYRILLIC", "GREEK", "CHEROKEE", "ARMENIAN", "COPTIC"))
_STYLED: Final = frozenset(
    ("MATHEMATICAL", "FULLWIDTH", "CIRCLED", "SQUARED", "PARENTHESIZED", "SUPERSCRIPT", "MODIFIER")
)
_LOOKS: Final = str.maketrans(
    "аеорсухіјѕԁɡһӏοανριτυкмтвнϲ" + "АВЕКМНОРСТХІЅΑΒΕΗΙΚΜΝΟΡΤΧΥΖ",
    "aeopcyxijsdghloavpituкмtвнc".replace("к", "k").replace("м", "m").replace("в", "b").replace("н", "h")
    + "ABEKMHOPCTXISABEHIKMNOPTXYZ",
)

_BAD_HOSTS: Final = re.compile(
    r"(?:webhook\.site|requestbin|pipedream\.net|ngrok[\w.-]*\.(?:io|app|dev)|trycloudflare\.com"
    r"|burpcollaborator|oast\.\w+"
    r"|interact\.sh|pastebin\.com|rentry\.co|glot\.io|hastebin|paste\.ee|dpaste|ghostbin|transfer\.sh|file\.io|0x0\.st"
    r"|gofile\.io|anonfiles|catbox\.moe|discord(?:app)?\.com/api/webhooks|api\.telegram\.org/bot|\.onion\b|bit\.ly"
    r"|tinyurl\.com|is\.gd|serveo\.net|localhost\.run"
    r"|(?:localhost|127\.0\.0\.1|\[::1\]|0\.0\.0\.0):187\d\d)",
    re.I,
)
_NUMBERS: Final = re.compile(
    r"https?://(?:[^\s/@\"'<>]*@)?(?:0x[0-9a-f]+|\d{1,3}(?:\.\d{1,3}){3}|\d{6,}|\[[0-9a-f:.]+\])", re.I
)
_BEACON: Final = re.compile(
    r"!\[[^\]\n]{0,200}\]\(\s*https?://[^)\s]{1,300}[?&][^)\s=]{1,60}=(?:\{|<|\$|%7B|[A-Z_]{4,}\b)"
)
"""A picture whose address is filled in: whoever shows it sends that away."""
_ENCODED: Final = re.compile(r"(?<![A-Za-z0-9+/_=-])[A-Za-z0-9+/]{32,}={0,2}(?![A-Za-z0-9+/_=-])")
_SAFE: Final = re.compile(r"(?<![A-Za-z0-9+/_=-])(?=[A-Za-z0-9]*[_-])[A-Za-z0-9_-]{32,}={0,2}(?![A-Za-z0-9+/_=-])")
_WRAPPED: Final = re.compile(r"(?:^[ \t>]{0,8}[A-Za-z0-9+/_-]{12,80}={0,2}[ \t]{0,8}$\n?){3,}", re.M)
_HEX: Final = re.compile(r"(?<![0-9a-fA-F])(?:[0-9a-fA-F]{2}){24,}(?![0-9a-fA-F])")
_ESCAPED: Final = re.compile(r"\\u([0-9a-fA-F]{4})")
MIN_COMMENT: Final = 12
_EMPHASIS: Final = re.compile(r"(?<![\w/.])_{1,3}(?=\w)|(?<=\w)_{1,3}(?![\w/.])")
_MARKS: Final = str.maketrans("’", "'", '*`"“”')
MAX_DECODED: Final = 64
OPAQUE_CHARS: Final = 400
"""An encoded text longer than this is more than an id or a checksum."""

_APART: Final = re.compile(r"(?<!\w)(?:[^\W\d_] ){3,40}[^\W\d_](?!\w)")
_MIXED: Final = re.compile(r"\b(?=[a-z0-9]{0,20}[0-9])(?=[a-z0-9]{0,20}[a-z])[a-z0-9]{3,20}\b", re.I)
_LEET: Final = str.maketrans("0134578", "oieastb")
_LINE_END: Final = re.compile(r"(?<=[^\n])\n(?=[^\n])")
_NOT: Final = re.compile(r"\b(?:never|do not|don't|dont|must not|should not|shall not|cannot|can't)(?: ever)? $", re.I)

_orders: Final = tuple((row, why, re.compile(pattern, re.I)) for row, why, pattern in ORDERS)
_commands: Final = tuple((row, why, re.compile(pattern, re.I | re.M)) for row, why, pattern in COMMANDS)


Orders = tuple[tuple[Row, str, re.Pattern[str]], ...]
_obeyed: Final[Orders] = tuple(each for each in _orders if each[0] == "content")


def look(text: str, file: str, notes: Notes) -> None:
    """Search one text for everything this file knows."""
    _characters(text, file, notes)
    read = folded(text)
    _search(read, file, notes)
    _comments(text, file, notes)
    for number, found in enumerate(_ENCODED.finditer(text)):
        if number >= MAX_DECODED:
            notes.fail("content", "it holds very many encoded texts", file)
            break
        _encoded(found.group(), file, line_of(text, found.start()), notes)
    for found in islice(_SAFE.finditer(text), MAX_DECODED):
        _decoded(_bytes_of(found.group().translate(_URL_SAFE)), file, line_of(text, found.start()), notes)
    for found in islice(_WRAPPED.finditer(text), MAX_DECODED):
        joined = re.sub(r"[\s>]+", "", found.group()).translate(_URL_SAFE)
        _decoded(_bytes_of(joined), file, line_of(text, found.start()), notes)
    for found in islice(_HEX.finditer(text), MAX_DECODED):
        _decoded(bytes.fromhex(found.group()), file, line_of(text, found.start()), notes)


def _search(text: str, file: str, notes: Notes) -> None:
    """`text` is folded: its lines are those of the file."""
    joined = text.replace("\\\n", "  ")
    for row, why, pattern in _commands:
        if found := first(pattern, joined):
            notes.fail(row, f"{why}: {shown(found.group().strip())!r}", file, line_of(text, found.start()))
    prose = _prose(joined)
    _search_orders(prose, _orders, file, notes)
    for reading in _readings(prose):
        _search_orders(reading, _obeyed, file, notes)
    if found := first(_BEACON, joined):
        notes.fail("egress", "it shows a picture whose address is filled in", file, line_of(text, found.start()))
    for pattern, why in ((_BAD_HOSTS, "a place that hides who is behind it"), (_NUMBERS, "an address without a name")):
        if found := first(pattern, joined):
            notes.fail("egress", f"it names {why}: {shown(found.group())}", file, line_of(text, found.start()))


def _search_orders(prose: str, orders: Orders, file: str, notes: Notes) -> None:
    for row, why, pattern in orders:
        for found in scan(pattern, prose):
            # `Never include passwords` is a warning, no order to do so.
            if row == "secrets" and _NOT.search(prose, max(0, found.start() - 24), found.start()):
                continue
            notes.fail(row, f"{why}: {shown(found.group().strip())!r}", file, line_of(prose, found.start()))
            break


def _readings(prose: str) -> Iterator[str]:
    """Return the text as a model reads it all the same: lines joined, entities, letters apart, digits for letters."""
    flat = _LINE_END.sub(" ", prose)
    if flat != prose:
        yield flat
    if "&#" in prose or "&" in prose:
        yield html.unescape(prose)
    apart = _APART.sub(lambda found: found.group().replace(" ", ""), prose)
    if apart != prose:
        yield apart
    if "\\u" in prose:
        yield _ESCAPED.sub(lambda found: chr(int(found[1], 16)), prose)
    plain = _MIXED.sub(lambda found: found.group().translate(_LEET), prose)
    if plain != prose:
        yield plain


def look_at_name(path: str, notes: Notes) -> None:
    """Search a file's name: the model is told it."""
    words = re.sub(r"[-_/.]+", " ", path)
    _search_orders(_prose(folded(words)), _orders, shown(path), notes)


def _prose(text: str) -> str:
    """Return the text with marks of emphasis and doubled blanks out of the way; its lines stay."""
    return re.sub(r"[ \t\u00a0]+", " ", _EMPHASIS.sub("", text.translate(_MARKS)))


def _comments(text: str, file: str, notes: Notes) -> None:
    begin = text.find("<!--")
    while begin >= 0:
        end = text.find("-->", begin + 4)
        if end < 0 or end - begin >= MIN_COMMENT:
            notes.warn("content", "a comment that a reader of the page does not see", file, line_of(text, begin))
            return
        begin = text.find("<!--", end)


def folded(text: str) -> str:
    """Return a text as it looks: without what cannot be seen, and look-alikes as the letters that they imitate."""
    if text.isascii():
        return text
    seen = _HIDDEN.sub("", text).replace(_JOINER, "")
    return unicodedata.normalize("NFKC", seen).translate(_LOOKS)


def _characters(text: str, file: str, notes: Notes) -> None:
    if text.isascii() and not _HIDDEN.search(text):
        return
    for found in _HIDDEN.finditer(text):
        if found.start() == 0 and found.group() == "\ufeff":
            continue
        if found.group() == _JOINER and _in_emoji(text, found.start()):
            continue
        name = f"U+{ord(found.group()):04X}"
        notes.fail("content", f"it holds a character that cannot be seen ({name})", file, line_of(text, found.start()))
        break
    for found in _WORD.finditer(text):
        word = found.group()
        if word.isascii():
            continue
        scripts = {unicodedata.name(char, "?").split()[0] for char in word if char.isalpha()}
        if ("LATIN" in scripts and scripts & _ALONE) or scripts & _STYLED:
            message = f"a word imitates another by letters of several alphabets: {shown(word)!a}"
            notes.fail("content", message, file, line_of(text, found.start()))
            break


def _in_emoji(text: str, at: int) -> bool:
    around = (text[at - 1 : at], text[at + 1 : at + 2])
    return all(char and (unicodedata.category(char) in ("So", "Sk") or char == "\ufe0f") for char in around)


_URL_SAFE: Final = str.maketrans("-_", "+/")


def _bytes_of(blob: str) -> bytes:
    """Return what base64 stands for; nothing for what is none."""
    bare = blob.rstrip("=")
    try:
        return base64.b64decode(bare + "=" * (-len(bare) % 4), validate=True)
    except (binascii.Error, ValueError):
        return b""


def _encoded(blob: str, file: str, line: int, notes: Notes) -> None:
    raw = _bytes_of(blob)
    if raw and not _decoded(raw, file, line, notes) and len(blob) > OPAQUE_CHARS:
        notes.fail("content", "it holds a long encoded text that nobody can read", file, line)


def _decoded(raw: bytes, file: str, line: int, notes: Notes) -> bool:
    """Look at what an encoded text says; say whether it is text."""
    try:
        inner = raw.decode()
    except UnicodeDecodeError:
        return False
    if not inner or sum(char.isprintable() or char in "\r\n\t" for char in inner) < 0.95 * len(inner):
        return False
    within = Notes()
    _search(folded(inner), file, within)
    if within.findings or re.search(r"https?://|\b(?:curl|wget|bash|python|import|eval)\b|<script", inner):
        notes.fail("content", f"it holds an encoded text that is code or an order: {shown(inner)!r}", file, line)
    elif len(inner) > OPAQUE_CHARS:
        notes.warn("content", "it holds a long encoded text", file, line)
    return True
