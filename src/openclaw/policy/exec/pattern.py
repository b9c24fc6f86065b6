"""Patterns of words: what rules are written in. Pure; no regular expressions, time linear in the word.

1. `*` stands for any characters, `?` for one; in a path neither stands for `/`, and `**` for any characters.
2. Quotes ('…', "…") and a backslash make the next characters literal. `[` means itself.
3. A pattern without `*` and `?` is exact.
"""

from __future__ import annotations

from typing import Final

import msgspec

SIGN: Final = "@"
_ANY: Final = "**"
_SOME: Final = "*"
_ONE: Final = "?"
_PLAIN: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./,:=%+-^")


class Glob(msgspec.Struct, frozen=True):
    """One word's pattern. Shape: each token is a literal character (True) or a wildcard (False).

    `signed`: it begins with a `@` that is not quoted; such a word of a rule says what else the rule is bound to.
    """

    tokens: tuple[tuple[str, bool], ...]
    signed: bool = False
    exact: str | None = None
    """The one word that matches, or None when many do."""

    @property
    def is_rest(self) -> bool:
        """Whether it is a lone `*`: at the end of a rule that stands for any further arguments."""
        return self.tokens == ((_SOME, False),)

    def without(self, count: int) -> Glob:
        """Return the pattern of what follows the first tokens."""
        return _glob(list(self.tokens[count:]), signed=False)

    def matches(self, word: str, *, path: bool = False) -> bool:
        """Say whether a word matches. All places that are possible advance together, one bit each."""
        if self.exact is not None:
            return word == self.exact
        advance: dict[str, int] = {}
        one = some = free = 0
        for at, (char, literal) in enumerate(self.tokens):
            bit = 1 << at
            if literal:
                advance[char] = advance.get(char, 0) | bit
            elif char == _ONE:
                one |= bit
            elif char == _ANY or not path:
                free |= bit
            else:
                some |= bit
        stars = some | free
        places = _passed(1, stars)
        for char in word:
            open_here = char != "/" or not path
            stay = places & (stars if open_here else free)
            step = places & (advance.get(char, 0) | (one if open_here else 0))
            places = _passed(stay | step << 1, stars)
            if not places:
                return False
        return bool(places >> len(self.tokens) & 1)


def _passed(places: int, stars: int) -> int:
    """A star may stand for nothing: whoever is before it is behind it too. Stars are never neighbours."""
    return places | (places & stars) << 1


def _glob(tokens: list[tuple[str, bool]], *, signed: bool) -> Glob:
    literal = all(each for _, each in tokens)
    return Glob(tuple(tokens), signed, "".join(char for char, _ in tokens) if literal else None)


def words(text: str) -> tuple[Glob, ...] | None:
    """Return the patterns that a rule's text consists of, None when a quote is not closed."""
    found: list[Glob] = []
    tokens: list[tuple[str, bool]] = []
    begun, signed, at = False, False, 0
    while at < len(text):
        char = text[at]
        if char.isspace():
            if begun:
                found.append(_glob(tokens, signed=signed))
            tokens, begun = [], False
            at += 1
            continue
        signed = signed if begun else char == SIGN
        begun = True
        if char in "'\"":
            close = text.find(char, at + 1)
            if close < 0:
                return None
            tokens.extend((each, True) for each in text[at + 1 : close])
            at = close + 1
        elif char == "\\":
            if at + 1 == len(text):
                return None
            tokens.append((text[at + 1], True))
            at += 2
        else:
            at += _wildcard(tokens, text, at)
    if begun:
        found.append(_glob(tokens, signed=signed))
    return tuple(found)


def _wildcard(tokens: list[tuple[str, bool]], text: str, at: int) -> int:
    """Add what stands at `at`, return how many characters it took."""
    char = text[at]
    if char != _SOME:
        tokens.append((char, char != _ONE))
        return 1
    end = at
    while end < len(text) and text[end] == _SOME:
        end += 1
    star = _ANY if end - at > 1 else _SOME
    if tokens and not tokens[-1][1] and tokens[-1][0] in (_SOME, _ANY):
        tokens[-1] = (_ANY, False)
    else:
        tokens.append((star, False))
    return end - at


def quoted(word: str) -> str:
    """Return a pattern that matches this word alone."""
    if word and all(char in _PLAIN for char in word):
        return word
    return "'" + word.replace("'", "'\"'\"'") + "'"


def name_set(text: str) -> frozenset[str]:
    """Return the words of a text: how the tables of this room are written."""
    return frozenset(text.split())
