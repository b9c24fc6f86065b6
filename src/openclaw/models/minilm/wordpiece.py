"""Text → token numbers, as BERT's uncased models were trained on it. Pure.

1. Controls go, white space becomes a space, CJK characters stand alone, accents and case go.
2. Words end at white space and at each punctuation character, which is a word of its own.
3. A word is cut from its start into the longest pieces that the vocabulary has; later pieces begin with `##`. A word
   that cannot be cut so, or has more than MAX_WORD_CHARS characters, is one unknown token.

Source: google-research/bert, tokenization.py; checked against the `tokenizers` library.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping

MAX_WORD_CHARS = 100
_CJK = (
    (0x4E00, 0x9FFF),
    (0x3400, 0x4DBF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F),
    (0x2B820, 0x2CEAF),
    (0xF900, 0xFAFF),
    (0x2F800, 0x2FA1F),
)


class WordPiece:
    """A vocabulary, and the cutting of texts by it."""

    def __init__(self, vocabulary: Mapping[str, int]) -> None:
        self._numbers = vocabulary
        self._unknown = vocabulary["[UNK]"]
        self._start, self._end = vocabulary["[CLS]"], vocabulary["[SEP]"]

    def numbers(self, text: str, limit: int) -> list[int]:
        """Return at most `limit` token numbers, the marks of start and end among them."""
        out = [self._start]
        for word in split(text):
            out += self._pieces(word)
            if len(out) >= limit:
                break
        return [*out[: limit - 1], self._end]

    def _pieces(self, word: str) -> list[int]:
        if len(word) > MAX_WORD_CHARS:
            return [self._unknown]
        pieces: list[int] = []
        start = 0
        while start < len(word):
            prefix = "##" if start else ""
            for end in range(len(word), start, -1):
                number = self._numbers.get(prefix + word[start:end])
                if number is not None:
                    pieces.append(number)
                    start = end
                    break
            else:
                return [self._unknown]
        return pieces


def split(text: str) -> Iterator[str]:
    """Yield the words of a text, cleaned, without case and accents."""
    clean = "".join(map(_cleaned, text))
    for run in clean.split():
        bare = "".join(ch for ch in unicodedata.normalize("NFD", run) if unicodedata.category(ch) != "Mn").lower()
        start = 0
        for at, char in enumerate(bare):
            if _is_punctuation(char):
                if start < at:
                    yield bare[start:at]
                yield char
                start = at + 1
        if start < len(bare):
            yield bare[start:]


def _cleaned(char: str) -> str:
    if char in "\t\n\r":
        return " "
    if char in "\0\ufffd" or unicodedata.category(char) in ("Cc", "Cf", "Co", "Cs"):
        return ""
    if char.isspace():
        return " "
    code = ord(char)
    return f" {char} " if code >= 0x3400 and any(first <= code <= last for first, last in _CJK) else char


def _is_punctuation(char: str) -> bool:
    if char.isascii():
        return not char.isalnum() and char > " " and char != "\x7f"
    return unicodedata.category(char).startswith("P")
