"""Programs that only read what they are shown: the calls of them that need no rule. Pure.

1. A call is safe when every option is in its program's table: nothing there writes, runs, follows links out of a
   folder, or reads names of further files from a file. Beginnings of long options are not understood.
2. What the call reads is told apart from its other words: the caller decides where those files may lie.
3. Only programs of the system's own directories count, under their own name: `ls` elsewhere is not this `ls`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Literal

import msgspec

from openclaw.policy.exec.pattern import name_set

SYSTEM_FOLDERS: Final = ("/usr/bin", "/bin", "/usr/sbin", "/sbin")

Operands = Literal["paths", "files", "text", "format", "pattern", "none"]


class Reading(msgspec.Struct, frozen=True):
    """A safe call, and the words of it that name what it reads. `plain`: none of them may be a folder."""

    paths: tuple[str, ...] = ()
    plain: bool = False


class _Shape(msgspec.Struct, frozen=True):
    """Options that stand alone and that take a value, by letter and by name, and what the operands are.

    Shape: `format` is a text after `+` (date would set the clock by any other). `pattern` is one text, unless one of
    the `pattern_options` gave it, and then paths. `digits`: -20 is an option.
    """

    operands: Operands
    letters: str = ""
    valued: str = ""
    names: frozenset[str] = frozenset()
    valued_names: frozenset[str] = frozenset()
    most: int = 4096
    pattern_options: tuple[str, ...] = ()
    digits: bool = False


_SUM: Final = _Shape("paths", "btz", "", name_set("binary text zero tag"))
_GREP: Final = _Shape(
    "pattern",
    "EFGivwxcLlqsbHhnoTaIrUZz",
    "emABC",
    name_set(
        "extended-regexp fixed-strings basic-regexp ignore-case no-ignore-case invert-match word-regexp line-regexp "
        "count files-without-match files-with-matches quiet silent no-messages byte-offset with-filename no-filename "
        "line-number only-matching initial-tab text recursive null color colour null-data"
    ),
    name_set("regexp max-count after-context before-context context color colour include exclude exclude-dir label"),
    pattern_options=("-e", "--regexp"),
    digits=True,
)
_SHAPES: Final = {
    "basename": _Shape("text", "az", "s", name_set("multiple zero"), name_set("suffix")),
    "cat": _Shape(
        "paths", "AbeEnstTuv", "", name_set("number number-nonblank show-all show-ends show-tabs squeeze-blank")
    ),
    "cksum": _Shape("paths"),
    "cmp": _Shape("paths", "bls", "in", name_set("print-bytes verbose quiet silent"), name_set("bytes"), 2),
    "comm": _Shape("paths", "123z", "", name_set("check-order nocheck-order total"), name_set("output-delimiter"), 2),
    "cut": _Shape(
        "paths", "snz", "bcdf", name_set("complement only-delimited"), name_set("bytes characters delimiter fields")
    ),
    "date": _Shape(
        "format", "uR", "d", name_set("utc universal rfc-email iso-8601"), name_set("date iso-8601 rfc-3339"), 1
    ),
    "df": _Shape("paths", "ahHiklPT", "", name_set("all human-readable si inodes local portability print-type")),
    "diff": _Shape(
        "files",
        "abBdeEinpqstTuwy",
        "UCW",
        name_set(
            "brief report-identical-files side-by-side ignore-case ignore-all-space ignore-space-change unified "
            "ignore-blank-lines text minimal color suppress-common-lines strip-trailing-cr"
        ),
        name_set("unified context width color label"),
        2,
    ),
    "dirname": _Shape("text", "z", "", name_set("zero")),
    "du": _Shape(
        "paths",
        "0abchkmsSx",
        "dt",
        name_set("all apparent-size bytes human-readable summarize total separate-dirs one-file-system null"),
        name_set("max-depth threshold block-size exclude"),
    ),
    "echo": _Shape("text"),
    "expand": _Shape("paths", "i", "t", name_set("initial"), name_set("tabs")),
    "false": _Shape("none"),
    "fold": _Shape("paths", "bs", "w", name_set("bytes spaces"), name_set("width")),
    "grep": _GREP,
    "head": _Shape("paths", "qvz", "cn", name_set("quiet silent verbose"), name_set("bytes lines"), digits=True),
    "id": _Shape("text", "agGnruz", "", name_set("group groups name real user zero")),
    "ls": _Shape(
        "paths",
        "1aAbBcCdfFgGhiklmnNopqQrRsStuUvxXZ",
        "ITw",
        name_set(
            "all almost-all author escape directory classify color file-type full-time group-directories-first "
            "no-group human-readable si inode kibibytes numeric-uid-gid literal hide-control-chars quote-name reverse "
            "recursive size zero"
        ),
        name_set("color classify format sort time time-style ignore hide width tabsize block-size indicator-style"),
    ),
    "md5sum": _SUM,
    "nl": _Shape(
        "paths", "p", "bdfhilnsvw", name_set("no-renumber"), name_set("body-numbering number-width number-format")
    ),
    "nproc": _Shape("none", "", "", name_set("all")),
    "od": _Shape(
        "paths", "bcdosvx", "AjNt", name_set("output-duplicates"), name_set("address-radix format skip-bytes")
    ),
    "paste": _Shape("paths", "sz", "d", name_set("serial"), name_set("delimiters")),
    "printf": _Shape("text"),
    "pwd": _Shape("none", "LP", "", name_set("logical physical")),
    "readlink": _Shape("paths", "efmnqsvz", "", name_set("canonicalize canonicalize-existing no-newline zero")),
    "realpath": _Shape(
        "paths",
        "emLPqsz",
        "",
        name_set("canonicalize-existing no-symlinks zero"),
        name_set("relative-to relative-base"),
    ),
    "rev": _Shape("paths"),
    "seq": _Shape("text", "w", "fs", name_set("equal-width"), name_set("separator format"), digits=True),
    "sha1sum": _SUM,
    "sha256sum": _SUM,
    "sha512sum": _SUM,
    "sleep": _Shape("text", most=1),
    "sort": _Shape(
        "paths",
        "bcCdfghiMnRrsuVz",
        "kt",
        name_set("reverse numeric-sort unique stable human-numeric-sort version-sort ignore-case general-numeric-sort"),
        name_set("key field-separator"),
    ),
    "stat": _Shape("paths", "ft", "c", name_set("file-system terse"), name_set("format printf")),
    "tac": _Shape("paths", "br", "s", name_set("before regex"), name_set("separator")),
    "tail": _Shape("paths", "qvz", "cn", name_set("quiet silent verbose"), name_set("bytes lines"), digits=True),
    "tr": _Shape("text", "cCdst", "", name_set("complement delete squeeze-repeats truncate-set1")),
    "true": _Shape("none"),
    "uname": _Shape("none", "asnrvmpio", "", name_set("all machine kernel-name kernel-release")),
    "uniq": _Shape("paths", "cdDiuz", "fsw", name_set("count repeated unique ignore-case"), name_set("skip-fields"), 1),
    "wc": _Shape("paths", "clLmw", "", name_set("bytes chars lines words max-line-length")),
    "whoami": _Shape("none"),
}
_FIND_TESTS: Final = name_set(
    "-a -and -o -or -not ! , ( ) -depth -mount -xdev -noleaf -daystart -empty -executable -readable -writable -true "
    "-false -nouser -nogroup -print -print0 -ls -prune -quit -P"
)
_FIND_VALUED: Final = name_set(
    "-name -iname -path -ipath -wholename -iwholename -regex -iregex -regextype -type -size -mtime -mmin -atime -amin "
    "-ctime -cmin -maxdepth -mindepth -perm -user -group -uid -gid -links -inum -printf"
)
_SED_SCRIPT: Final = frozenset("0123456789,$;p")
_SED_OPTIONS: Final = name_set("-n -E -r -nE -En --quiet --silent")
_TEXT_OPTIONS: Final = ("--help", "--version")


def reading(name: str, argv: Sequence[str]) -> Reading | None:
    """Return what a safe call reads, None when the call is not known to be safe. Shape: `name` has no directory."""
    if special := _SPECIAL.get(name):
        return special(argv[1:])
    shape = _SHAPES.get(name)
    return None if shape is None else _by_shape(shape, argv[1:])


def programs() -> frozenset[str]:
    """Return the names of all programs that have safe calls."""
    return frozenset((*_SHAPES, *_SPECIAL))


def _by_shape(shape: _Shape, words: Sequence[str]) -> Reading | None:
    operands: list[str] = []
    has_pattern = False
    at = 0
    while at < len(words):
        word = words[at]
        at += 1
        if word == "--":
            operands += words[at:]
            break
        if not word.startswith("-") or word == "-":
            operands.append(word)
            continue
        taken = _option(shape, word)
        if taken is None or at + taken > len(words):
            return None
        has_pattern = has_pattern or _gives_pattern(shape, word)
        at += taken
    return _operands(shape, operands, has_pattern)


def _operands(shape: _Shape, operands: list[str], has_pattern: bool) -> Reading | None:
    if len(operands) > shape.most or (shape.operands == "none" and operands):
        return None
    if shape.operands == "pattern" and not has_pattern:
        if not operands:
            return None
        operands = operands[1:]
    if shape.operands == "format" and any(not word.startswith("+") for word in operands):
        return None
    if shape.operands in ("text", "format", "none"):
        return Reading()
    return Reading(tuple(word for word in operands if word != "-"), plain=shape.operands == "files")


def _option(shape: _Shape, word: str) -> int | None:
    """Return how many further words an option takes, None when it is not in the table."""
    if word.startswith("--"):
        name, equals, _ = word[2:].partition("=")
        if equals:
            return 0 if name in shape.valued_names else None
        return 0 if name in shape.names else None  # a value in the next word might be an operand after all
    if shape.digits and word[1:].isdigit() and word.isascii():
        return 0
    for place, letter in enumerate(word[1:], 2):
        if letter in shape.valued:
            return 0 if place < len(word) else 1
        if letter not in shape.letters:
            return None
    return 0


def _gives_pattern(shape: _Shape, word: str) -> bool:
    if word.startswith("--"):
        return word.partition("=")[0] in shape.pattern_options
    for letter in word[1:]:
        if "-" + letter in shape.pattern_options:
            return True
        if letter in shape.valued:
            return False
    return False


def _echo(words: Sequence[str]) -> Reading | None:
    return None if len(words) == 1 and words[0] in _TEXT_OPTIONS else Reading()


def _printf(words: Sequence[str]) -> Reading | None:
    """The shell's own printf writes variables with -v: nothing that looks like an option passes."""
    return None if not words or words[0].startswith("-") else Reading()


def _find(words: Sequence[str]) -> Reading | None:
    at = 0
    paths: list[str] = []
    while at < len(words) and not words[at].startswith(("-", "(", "!", ",")):
        paths.append(words[at])
        at += 1
    while at < len(words):
        if words[at] in _FIND_VALUED and at + 1 < len(words):
            at += 2
        elif words[at] in _FIND_TESTS:
            at += 1
        else:
            return None
    return Reading(tuple(paths) or (".",))


def _sed(words: Sequence[str]) -> Reading | None:
    """Only the printing of lines by number: every other script could write, or run."""
    at = 0
    while at < len(words) and words[at] in _SED_OPTIONS:
        at += 1
    if at == len(words) or not words[at] or not set(words[at]) <= _SED_SCRIPT:
        return None
    paths = words[at + 1 :]
    return None if any(word.startswith("-") for word in paths) else Reading(tuple(paths))


_SPECIAL: Final[dict[str, Callable[[Sequence[str]], Reading | None]]] = {
    "echo": _echo,
    "find": _find,
    "printf": _printf,
    "sed": _sed,
}
