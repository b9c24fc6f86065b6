"""What a shell script makes use of: with the parser of the execution door where that understands it, else word by word.

A word that stands where a command stands is a program. What is filled in at run time there cannot be told: it fails.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import Final

from openclaw.policy.exec.shell import Script, parse
from openclaw.policy.skill.finding import Notes
from openclaw.policy.skill.web import ANY, hosts

_PLAIN_TEXT: Final = """
    echo printf cd pwd test [ [[ true false exit return export local declare readonly read shift set unset getopts
    wait trap umask let type hash times ulimit break continue : if then else elif fi for in do done while until
    case esac function select { } ! ]] ] cat ls head tail sort uniq wc grep cut tr date mkdir dirname basename
    sleep seq mktemp cp mv touch rm diff cmp tee which command stat du df readlink realpath
"""
PLAIN: Final = frozenset(_PLAIN_TEXT.split())
"""What every system has and what only the files door bounds: it need not be declared."""
SHELL_NAMES: Final = frozenset(["sh", "bash", "zsh", "dash", "ksh", "ash"])
MAX_LINES: Final = 20_000

_SPLIT: Final = re.compile(r"\|\||&&|[|;&(]|\$\(|`|\bthen\b|\bdo\b|\belse\b|^|\n", re.M)
_ASSIGN: Final = re.compile(
    r"(?:[A-Za-z_]\w{0,99}\+?=(?:\"[^\"\n]{0,999}\"|'[^'\n]{0,999}'|(?:[^\s$`(]|\$(?!\()){0,999})\s+){0,99}"
)
_WORD: Final = re.compile(r"(?:\"[^\"\n]*\"|'[^'\n]*'|[^\s;|&()<>`\"'])+")
_END: Final = re.compile(r"[\n;|&]")
MAX_CALL: Final = 2_000
"""Characters of a call that are looked at for hosts."""
_NETWORK: Final = frozenset(
    ("curl", "wget", "aria2c", "http", "https", "xh", "nc", "ncat", "netcat", "telnet", "ssh", "scp", "sftp", "ftp")
) | frozenset(("rsync", "dig", "nslookup", "host", "ping", "socat", "lynx", "w3m"))
_ASIDE: Final = re.compile(r"--(?:connect-to|resolve|proxy\w*|socks\w*|preproxy|config|unix-socket|doh-url)\b|-[xK]")
"""Options by which curl goes elsewhere than the address says."""
_BARE: Final = re.compile(r"(?:[\w.-]{1,64}@)?((?:[A-Za-z0-9-]{1,63}\.){1,9}[A-Za-z]{2,24})(?=$|[/:?])")
_BLANK: Final = re.compile(r"[ \t]*")
_PROGRAM: Final = re.compile(r"[A-Za-z0-9_.+@-]+")
_VARIABLE: Final = re.compile(r"\$\{?([A-Za-z_]\w*)")
_SET: Final = re.compile(
    r"(?:^|[\s;&|(])(?:export |local |readonly |declare (?:-\w+ )?)?([A-Za-z_]\w*)\+?=|\bread (?:-\w+ )*(\w+)"
    r"|\bfor (\w+) in\b",
    re.M,
)
_OUT: Final = re.compile(r"(?<![0-9&<=-])(?:&|[0-9])?>>?\|?\s*(\"[^\"\n]+\"|'[^'\n]+'|[^\s;|&()<>`]+)")
_COMMENT: Final = re.compile(r"(?:^|(?<=\s))#[^\n]*", re.M)
_HEREDOC: Final = re.compile(r"<<-?\s{0,8}['\"]?(\w{1,64})['\"]?")
_FED: Final = re.compile(r"\b(?:python[0-9.]*|perl|ruby|node|php|(?:ba|z|da|k)?sh)\b[^\n|;&]{0,200}(?:<<| -[ce] )")
_SECRETLESS: Final = re.compile(
    r"(?:HOME|PATH|USER|LOGNAME|PWD|OLDPWD|SHELL|LANG|LC_\w+|TMPDIR|TERM|IFS|RANDOM|SECONDS|UID|EUID"
    r"|HOSTNAME|OSTYPE|BASH\w*|FUNCNAME|LINENO|OPTARG|OPTIND|REPLY|PPID|DEBUG|TZ|EDITOR|XDG_\w+)"
)


def read_shell(text: str, file: str, notes: Notes, first: int = 1, *, one_line: bool = False) -> None:
    """Note what a shell text does. `first` is the line of the file that it begins on."""
    if text.count("\n") > MAX_LINES:
        notes.fail("processes", "a program too large to be judged", file)
        return
    plain = _COMMENT.sub("", text.replace("\\\n", "  "))

    breaks = [at for at, char in enumerate(plain) if char == "\n"]

    def line(position: int) -> int:
        return first if one_line else first + bisect_left(breaks, position)

    for number, each in enumerate(text.split("\n")):
        for host in hosts(each):
            notes.power("network", host, file, first if one_line else first + number)
    functions = frozenset(re.findall(r"(?:^|\n)\s*(?:function\s+)?([A-Za-z_]\w*)\s*\(\)", plain))
    body = _without_documents(plain)
    if found := _FED.search(plain):
        notes.fail("processes", "it hands a program to an interpreter", file, line(found.start()))
    read = parse(body)
    if isinstance(read, Script):
        for step in read.steps:
            for command in step.commands:
                at = line(max(body.find(command.argv[0]), 0))
                _program(command.argv[0], functions, file, notes, at)
                _reaches(command.argv, file, notes, at)
    else:
        _by_words(body, functions, file, notes, line)
    _paths_and_variables(plain, body, file, notes, line)


def _paths_and_variables(plain: str, body: str, file: str, notes: Notes, line: Callable[[int], int]) -> None:
    for found in _OUT.finditer(body):
        target = found[1].strip("\"'")
        if target != "/dev/null" and not target.isdigit():
            notes.power("write", ANY if "$" in target else target, file, line(found.start()))
    own = {name for found in _SET.finditer(plain) for name in found.groups() if name}
    for found in _VARIABLE.finditer(body):
        if found[1] not in own and not _SECRETLESS.fullmatch(found[1]):
            notes.power("secrets", found[1], file, line(found.start()))


def _without_documents(text: str) -> str:
    """Return the text with the lines of its here-documents blank."""
    lines: list[str] = []
    end = ""
    for line in text.split("\n"):
        found = None if end else _HEREDOC.search(line)
        if end:
            end = "" if line.strip() == end else end
            lines.append("")
        else:
            lines.append(line[: found.start()] if found else line)
            end = found[1] if found else ""
    return "\n".join(lines)


def _by_words(text: str, functions: frozenset[str], file: str, notes: Notes, line: Callable[[int], int]) -> None:
    quiet = re.sub(r"'[^'\n]*'", lambda found: "'" + "_" * (len(found.group()) - 2) + "'", text)
    quiet = re.sub(r"\"[^\"\n$`]*\"", lambda found: '"' + "_" * (len(found.group()) - 2) + '"', quiet)
    quiet = re.sub(r"\$\(\(.*?\)\)", lambda found: "0" * len(found.group()), quiet)
    for found in _SPLIT.finditer(quiet):
        at = found.end()
        at = _BLANK.match(quiet, at).end()  # type: ignore[union-attr]
        begins = _ASSIGN.match(quiet, at)
        at = begins.end() if begins else at
        word = _WORD.match(quiet, at)
        if word is None or "=" in word.group().split("$")[0] or _is_case(quiet, word.end()):
            continue
        _program(text[word.start() : word.end()].strip("\"'"), functions, file, notes, line(word.start()))
        end = _END.search(quiet, word.end(), word.end() + MAX_CALL)
        words = text[word.start() : end.start() if end else word.end() + MAX_CALL].replace('"', "").replace("'", "")
        _reaches(words.split(), file, notes, line(word.start()))


def _reaches(argv: Sequence[str], file: str, notes: Notes, line: int) -> None:
    """Note the hosts that a program of the network is given without a scheme; any host when none is named."""
    if not argv or argv[0].rsplit("/", 1)[-1] not in _NETWORK:
        return
    named = any("://" in word for word in argv)
    if argv[0].rsplit("/", 1)[-1] == "curl" and any(_ASIDE.match(word) for word in argv):
        notes.power("network", ANY, file, line)
    for word in argv[1:]:
        if found := _BARE.match(word):
            named = True
            notes.power("network", found[1].lower(), file, line)
    if not named and len(argv) > 1:
        notes.power("network", ANY, file, line)


def _is_case(text: str, end: int) -> bool:
    return text[end : end + 1] == ")" and "$(" not in text[max(0, end - 80) : end]


def _program(word: str, functions: frozenset[str], file: str, notes: Notes, line: int) -> None:
    name = word.rsplit("/", 1)[-1]
    if not name or name in PLAIN or name in functions or word.isdigit():
        return
    if "$" in word and not word.startswith(("$(", "$((", "{baseDir}", "$0", "${0")):
        if word.lstrip("$").startswith("{baseDir}"):
            return
        notes.fail("processes", "it runs a program that is named at run time", file, line)
    elif _PROGRAM.fullmatch(name) and not word.startswith(("{baseDir}", "./scripts/", "scripts/", "-")):
        notes.power("programs", name, file, line)
