"""Programs that run the command which follows them: looked through, so that the inner command is judged too. Pure.

1. Only options of the tables are understood; any other makes the wrapper opaque, and opaque is asked about.
2. `bash -c TEXT` is read by the same parser; of other shells only what they and bash understand alike.
3. What starts other commands from its input (xargs) or with other rights (sudo) is never looked through.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec


class Words(msgspec.Struct, frozen=True):
    """The inner command as words, with variables set for it. Shape: argv has at least one word."""

    argv: tuple[str, ...]
    assignments: tuple[tuple[str, str], ...] = ()


class Text(msgspec.Struct, frozen=True):
    """The inner command as text for a shell."""

    text: str


class Opaque(msgspec.Struct, frozen=True):
    """A wrapper whose inner command cannot be told, and why."""

    reason: str


class _Wrapper(msgspec.Struct, frozen=True):
    """Letters and long names that stand alone, those that take a value, and how many operands precede the command."""

    letters: str = ""
    valued: str = ""
    names: frozenset[str] = frozenset()
    valued_names: frozenset[str] = frozenset()
    operands: int = 0


_WRAPPERS: Final = {
    "timeout": _Wrapper(
        "v", "ks", frozenset(("preserve-status", "foreground", "verbose")), frozenset(("kill-after", "signal")), 1
    ),
    "nice": _Wrapper("", "n", frozenset(), frozenset(("adjustment",))),
    "nohup": _Wrapper(),
    "stdbuf": _Wrapper("", "ioe", frozenset(), frozenset(("input", "output", "error"))),
    "setsid": _Wrapper("w", "", frozenset(("wait",))),
    "ionice": _Wrapper("t", "cn", frozenset(("ignore",)), frozenset(("class", "classdata"))),
    "time": _Wrapper("pqv", "f", frozenset(("portability", "quiet", "verbose")), frozenset(("format",))),
}
WRAPPERS: Final = frozenset((*_WRAPPERS, "env"))
SHELLS: Final = frozenset(("bash", "sh", "dash"))
_SHELL_OPTIONS: Final = frozenset("eux")
_AMPERSAND: Final = ("&>", ">&")


def look(called: tuple[str, str], argv: Sequence[str]) -> Words | Text | Opaque | None:
    """Return what a call of a wrapper runs, None when the program is no wrapper that is looked through.

    Shape: `called` is the name that the program was found under, and the one it is stored under (sh may be dash).
    """
    name, stored = called
    if {"busybox", "toybox"} & set(called):
        return Opaque("it is one program that can be any of many")
    if name in SHELLS and stored in SHELLS:
        return _shell(argv, bash=stored == "bash")
    if not WRAPPERS & set(called):
        return None
    if name != stored:
        return Opaque("it is stored under another name")
    return _env(argv) if name == "env" else _inner(_WRAPPERS[name], argv)


def _inner(wrapper: _Wrapper, argv: Sequence[str]) -> Words | Opaque:
    at: int | None = 1
    while at is not None and at < len(argv) and argv[at].startswith("-") and argv[at] != "--":
        at = _after_option(wrapper, argv, at)
    if at is None:
        return Opaque("it has options that are not looked through")
    if at < len(argv) and argv[at] == "--":
        at += 1
    inner = tuple(argv[at + wrapper.operands :])
    if not inner or inner[0].startswith("-"):
        return Opaque("it names no command")
    return Words(inner)


def _after_option(wrapper: _Wrapper, argv: Sequence[str], at: int) -> int | None:
    """Return where the words after an option begin, None when the option is not known."""
    word = argv[at]
    if word.startswith("--"):
        name, equals, _ = word[2:].partition("=")
        if name in wrapper.valued_names:
            return at + (1 if equals else 2)
        return at + 1 if name in wrapper.names and not equals else None
    for place, letter in enumerate(word[1:], 2):
        if letter in wrapper.valued:
            return at + (1 if place < len(word) else 2)
        if letter not in wrapper.letters:
            return None
    return at + 1 if len(word) > 1 else None


def _env(argv: Sequence[str]) -> Words | Opaque:
    at, cleared = 1, False
    while at < len(argv) and argv[at].startswith("-"):
        word = argv[at]
        at += 1
        if word == "--":
            break
        if word in ("-", "-i", "--ignore-environment"):
            cleared = True
        elif word in ("-u", "--unset") and at < len(argv) and argv[at] != "PATH":
            at += 1
        else:
            return Opaque("it has options that are not looked through")
    assignments: list[tuple[str, str]] = []
    while at < len(argv) and "=" in argv[at]:
        name, _, value = argv[at].partition("=")
        assignments.append((name, value))
        at += 1
    inner = tuple(argv[at:])
    if not inner or inner[0].startswith("-"):
        return Opaque("it names no command")
    if cleared and "/" not in inner[0]:
        return Opaque("without variables it looks for its command elsewhere")
    return Words(inner, tuple(assignments))


def _shell(argv: Sequence[str], *, bash: bool) -> Text | Opaque:
    at = 1
    while at < len(argv) and bash and argv[at] in ("--norc", "--noprofile"):
        at += 1
    while at + 1 < len(argv):
        word = argv[at]
        if not word.startswith("-") or word.startswith("--"):
            break
        letters = word[1:]
        if letters.endswith("o") and set(letters[:-1]) <= _SHELL_OPTIONS and argv[at + 1] == "pipefail":
            at += 2
        elif letters.endswith("c") and set(letters[:-1]) <= _SHELL_OPTIONS:
            return _text(argv[at + 1], bash=bash)
        elif letters and set(letters) <= _SHELL_OPTIONS:
            at += 1
        else:
            break
    return Opaque("it is a shell that runs more than one literal text")


def _text(text: str, *, bash: bool) -> Text | Opaque:
    if text.startswith(("-", "+")):
        return Opaque("its text looks like an option")
    if not bash and any(sign in text for sign in _AMPERSAND):
        return Opaque("shells do not agree on what & means beside >")
    return Text(text)
