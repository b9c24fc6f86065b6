"""What a text means to bash, when that can be told from the text alone. Pure, and linear in its length.

1. A text is a script of steps joined by `;`, newline, `&&` and `||`; a step is a pipeline of simple commands; a command
   is literal words with redirections and assignments before it.
2. What is understood means exactly the same to bash 5 in a UTF-8 locale: the words are what bash hands to execve.
3. Whatever else the text holds (expansion, substitution, glob, brace, tilde, here-document, subshell, background,
   keyword, a builtin that changes the shell, a character that does not print) makes the whole text Unclear.
4. `cd FOLDER` is understood only before everything else, joined by `&&`, `;` or a newline.
5. Every character is looked at a bounded number of times; nothing backtracks. Limits end the reading early.
"""

from __future__ import annotations

import re
from typing import Final, Literal

import msgspec

from openclaw.policy.exec.pattern import name_set

MAX_CHARS: Final = 1 << 20
MAX_WORD_BYTES: Final = 131_071
"""The longest argument that Linux takes (MAX_ARG_STRLEN, with its final NUL)."""
MAX_WORD_TEXT: Final = 2 * MAX_WORD_BYTES + 2
"""What such an argument takes in the text when every character of it is escaped."""
MAX_COMMANDS: Final = 512
MAX_WORDS: Final = 16_384

Join = Literal["always", "and", "or"]
Mode = Literal["read", "write", "append", "dup"]


class Unclear(msgspec.Struct, frozen=True):
    """The text cannot be decided: why, and at which character."""

    reason: str
    position: int


class Redirection(msgspec.Struct, frozen=True):
    """`target` is a path, or for `dup` the number of the descriptor that is copied."""

    fd: int
    mode: Mode
    target: str


class Command(msgspec.Struct, frozen=True):
    """One program's call. Shape: argv has at least one word; redirections hold in their order."""

    argv: tuple[str, ...]
    assignments: tuple[tuple[str, str], ...] = ()
    redirections: tuple[Redirection, ...] = ()


class Step(msgspec.Struct, frozen=True):
    """A pipeline, and whether the status before it lets it run: always, after success (and), after failure (or)."""

    join: Join
    commands: tuple[Command, ...]


class Folder(msgspec.Struct, frozen=True):
    """A change of directory. Where it is `needed`, bash would go on without it if it failed."""

    path: str
    needed: bool


class Script(msgspec.Struct, frozen=True):
    """The whole text: first the changes of directory, then the steps."""

    steps: tuple[Step, ...]
    folders: tuple[Folder, ...] = ()


KEYWORDS: Final = name_set(
    "! [[ ]] { } if then else elif fi case esac for select while until do done in function time coproc"
)
SHELL_BUILTINS: Final = name_set(
    ". : alias bg bind break builtin caller cd compgen complete compopt continue declare dirs disown enable eval exec "
    "exit export fc fg getopts hash help history jobs let local logout mapfile popd pushd read readarray readonly "
    "return set shift shopt source suspend times trap type typeset ulimit umask unalias unset wait"
)
"""What changes the shell itself, or exists only in it: no program of that name could stand in."""

_PLAIN: Final = re.compile(r"""[^ \t\n|&;()<>\\'"$`*?\[{}~!]+""")
_IN_DOUBLE: Final = re.compile(r'[^"\\$`]+')
_BLANKS: Final = re.compile(r"(?:[ \t]++|\\\n)*+(?:#[^\n]*+)?+")
_LINES: Final = re.compile(r"(?:[ \t\n]++|\\\n|#[^\n]*+)*+")
_ASSIGNMENT: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*+=")
_LIST_ASSIGNMENT: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*+\+=")
_ENDS: Final = frozenset("\n|;")
_BLANK: Final = frozenset(" \t\n")
_BEFORE_TILDE: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-^@/")
_SPECIAL_FILES: Final = ("/dev/tcp/", "/dev/udp/", "/dev/fd/", "/dev/stdin", "/dev/stdout", "/dev/stderr")
_UNCLEAR: Final = {
    "$": "an expansion or substitution ($)",
    "`": "a command substitution (`)",
    "*": "a glob (*)",
    "?": "a glob (?)",
    "[": "a glob or test ([)",
    "{": "a brace expansion or group",
    "}": "a brace expansion or group",
    "(": "a subshell, function or list",
    ")": "a subshell, function or list",
}


class Stopped(Exception):
    """The reading stopped at what is unclear."""

    def __init__(self, reason: str, position: int) -> None:
        super().__init__(reason)
        self.unclear = Unclear(reason, position)


class _Word(msgspec.Struct, frozen=True):
    """`bare`: no character of it was quoted. `start` is where it begins."""

    value: str
    bare: bool
    start: int


def parse(text: str) -> Script | Unclear:
    """Return what the text means, or why that cannot be told. Shape: at most MAX_CHARS characters are looked at."""
    if len(text) > MAX_CHARS:
        return Unclear(f"the text has more than {MAX_CHARS} characters", MAX_CHARS)
    if not unprintable_free(text):
        position = next(at for at, char in enumerate(text) if not (char.isprintable() or char in "\n\t"))
        return Unclear(f"a character that does not print (U+{ord(text[position]):04X})", position)
    try:
        return Reader(text).script()
    except Stopped as stop:
        return stop.unclear


def unprintable_free(text: str) -> bool:
    """Say whether a text holds no control, format (bidi, zero width), unassigned or exotic space character."""
    return text.replace("\n", "").replace("\t", "").isprintable()


class Reader:
    """One reading of one text. `steps` counts the tokens and pieces it took."""

    def __init__(self, text: str) -> None:
        self.steps = 0
        self._text = text
        self._end = len(text)
        self._at = 0
        self._commands = 0
        self._words = 0

    def script(self) -> Script:
        """Read everything. Raises: Stopped at what is unclear."""
        steps: list[Step] = []
        join: Join = "always"
        while self._line_break():
            steps.append(Step(join, self._pipeline()))
            join = self._join()
        if join != "always":
            raise Stopped("nothing after && or ||", self._end)
        return _folded(steps)

    def _join(self) -> Join:
        """Read what stands between two steps. Raises: Stopped unless `;`, newline, `&&`, `||` or the end is here."""
        if self._at >= self._end:
            return "always"
        two = self._text[self._at : self._at + 2]
        if two in ("&&", "||"):
            self._at += 2
            return "and" if two == "&&" else "or"
        self._at += 1  # `_command` ends only at these, `;` or a newline
        return "always"

    def _pipeline(self) -> tuple[Command, ...]:
        commands = [self._command()]
        while self._text.startswith("|", self._at) and not self._text.startswith("||", self._at):
            if self._text.startswith("|&", self._at):
                raise Stopped("a pipe of errors (|&)", self._at)
            self._at += 1
            self._line_break()
            commands.append(self._command())
        return tuple(commands)

    def _line_break(self) -> bool:
        """Pass blanks, newlines and comments; say whether anything is left."""
        self._pass(_LINES)
        return self._at < self._end

    def _blanks(self) -> None:
        """Pass blanks, continued lines and a comment: we stand between words."""
        self._pass(_BLANKS)

    def _pass(self, what: re.Pattern[str]) -> None:
        self.steps += 1
        if found := what.match(self._text, self._at):
            self._at = found.end()

    def _command(self) -> Command:
        start = self._at
        self._commands += 1
        if self._commands > MAX_COMMANDS:
            raise Stopped(f"more than {MAX_COMMANDS} commands", self._at)
        words: list[_Word] = []
        assignments: list[tuple[str, str]] = []
        redirections: list[Redirection] = []
        while self._more():
            if self._at_redirection():
                redirections.extend(self._redirection(None))
                continue
            assigned = None if words else _ASSIGNMENT.match(self._text, self._at)
            if not words and _LIST_ASSIGNMENT.match(self._text, self._at):
                raise Stopped("an assignment that appends", self._at)
            word = self._word(first=not words)
            if assigned:
                name = assigned.group()[:-1]
                assignments.append((name, word.value[len(name) + 1 :]))
            elif word.bare and word.value.isascii() and word.value.isdigit() and self._peek() in ("<", ">"):
                redirections.extend(self._redirection(word))
            else:
                words.append(word)
        if not words:
            raise Stopped("no program", start)
        return Command(_argv(words, bool(assignments)), tuple(assignments), tuple(redirections))

    def _more(self) -> bool:
        """Pass blanks; say whether the command goes on. Raises: Stopped at a background `&`."""
        self._blanks()
        char = self._peek()
        if not char or char in _ENDS:
            return False
        if char == "&":
            if self._text.startswith("&&", self._at):
                return False
            if not self._text.startswith("&>", self._at):
                raise Stopped("a command in the background (&)", self._at)
        self._words += 1
        if self._words > MAX_WORDS:
            raise Stopped(f"more than {MAX_WORDS} words", self._at)
        return True

    def _peek(self) -> str:
        return self._text[self._at] if self._at < self._end else ""

    def _at_redirection(self) -> bool:
        return self._text[self._at] in "<>" or self._text.startswith("&>", self._at)

    def _redirection(self, number: _Word | None) -> tuple[Redirection, ...]:
        """Read one redirection, after its number if it has one."""
        start = self._at
        operator = self._operator()
        if number is not None and number.value not in ("0", "1", "2"):
            raise Stopped("a redirection of another descriptor than 0, 1 and 2", number.start)
        self._blanks()
        if not self._peek() or self._peek() in "\n|;&<>":
            raise Stopped("a redirection without a target", start)
        target = self._word(first=False)
        if target.bare and target.value.isdigit() and self._peek() in ("<", ">"):
            raise Stopped("a redirection whose target is the number of another", start)
        if operator in (">&", "<&"):
            if not target.bare or target.value not in ("0", "1", "2"):
                raise Stopped(f"{operator} with another target than 0, 1 and 2", start)
            fd = (1 if operator == ">&" else 0) if number is None else int(number.value)
            return (Redirection(fd, "dup", target.value),)
        if not target.value or target.value.startswith(_SPECIAL_FILES):
            raise Stopped("a redirection to a file that only the shell knows", start)
        if operator in ("&>", "&>>"):
            mode: Mode = "write" if operator == "&>" else "append"
            return (Redirection(1, mode, target.value), Redirection(2, "dup", "1"))
        mode = {"<": "read", ">": "write", ">|": "write", ">>": "append"}[operator]  # type: ignore[assignment]
        fd = (0 if mode == "read" else 1) if number is None else int(number.value)
        return (Redirection(fd, mode, target.value),)

    def _operator(self) -> str:
        text, at = self._text, self._at
        for operator in ("&>>", "<<", "<>", "&>", ">>", ">|", ">&", "<&", ">", "<"):
            if text.startswith(operator, at):
                if operator in ("<<", "<>"):
                    raise Stopped("a here-document, here-string or <>", at)
                self._at += len(operator)
                return operator
        raise Stopped("an operator", at)

    def _word(self, *, first: bool) -> _Word:
        """Read one word. Raises: Stopped at what is not literal."""
        text, start = self._text, self._at
        parts: list[str] = []
        bare = True
        while self._at < min(self._end, start + MAX_WORD_TEXT):
            self.steps += 1
            if found := _PLAIN.match(text, self._at):
                parts.append(found.group())
                self._at = found.end()
                continue
            char = text[self._at]
            if char in " \t\n|&;<>":
                break
            if char == "'":
                bare = False
                self._single(parts)
            elif char == '"':
                bare = False
                self._double(parts)
            elif char == "\\":
                if self._continued():
                    break
                bare = False
                parts.append(text[self._at + 1])
                self._at += 2
            else:
                parts.append(self._odd(char, at_start=first and self._at == start))
        value = "".join(parts)
        too_long = self._at >= start + MAX_WORD_TEXT
        if too_long or (len(value) > MAX_WORD_BYTES // 4 and len(value.encode()) > MAX_WORD_BYTES):
            raise Stopped("a word that is too long for any program", start)
        return _Word(value, bare, start)

    def _continued(self) -> bool:
        """Pass a continued line that ends a word. Raises: Stopped when it does not, or when nothing follows."""
        after = self._text[self._at + 1 : self._at + 2]
        if not after:
            raise Stopped("a backslash at the end", self._at)
        if after != "\n":
            return False
        if self._text[self._at + 2 : self._at + 3] not in (" ", "\t", "\n", ""):
            raise Stopped("a line that is continued within a word", self._at)
        self._at += 2
        return True

    def _odd(self, char: str, *, at_start: bool) -> str:
        """Return a character, or two, that are literal only where they stand."""
        at, text = self._at, self._text
        if char == "{" and text.startswith("{}", at) and not at_start:
            self._at += 2
            return "{}"
        if char == "~" and at and text[at - 1] in _BEFORE_TILDE:
            self._at += 1
            return char
        if char == "!" and not at_start and (text[at + 1 : at + 2] or " ") in " \t\n=":
            self._at += 1
            return char
        reason = "a home directory (~)" if char == "~" else "a negation or history (!)" if char == "!" else ""
        raise Stopped(reason or _UNCLEAR[char], at)

    def _single(self, parts: list[str]) -> None:
        close = self._text.find("'", self._at + 1)
        if close < 0:
            raise Stopped("a quote that is not closed", self._at)
        parts.append(self._text[self._at + 1 : close])
        self._at = close + 1

    def _double(self, parts: list[str]) -> None:
        text, start = self._text, self._at
        self._at += 1
        while self._at < min(self._end, start + MAX_WORD_TEXT):
            self.steps += 1
            if found := _IN_DOUBLE.match(text, self._at):
                parts.append(found.group())
                self._at = found.end()
                continue
            char = text[self._at]
            if char == '"':
                self._at += 1
                return
            if char != "\\":
                raise Stopped(_UNCLEAR[char], self._at)
            after = text[self._at + 1 : self._at + 2]
            if after not in ("$", "`", '"', "\\", "\n"):
                after = "\\" + after
            parts.append("" if after == "\n" else after)
            self._at += 2
        raise Stopped("a quote that is not closed, or not soon enough", start)


def _argv(words: list[_Word], assigns: bool) -> tuple[str, ...]:
    """Return the words of a call. Raises: Stopped at a keyword, or a builtin that has no program's meaning."""
    head = words[0]
    if head.bare and head.value in KEYWORDS:
        raise Stopped(f"the keyword {head.value}", head.start)
    argv = [word.value for word in words]
    if argv[0] == "command":  # the shell's way to say: this program, not a function of its name
        if assigns or len(argv) < 2 or argv[1].startswith("-"):
            raise Stopped("a use of the builtin command", head.start)
        argv, head = argv[1:], words[1]
        if argv[0] in ("cd", "command"):
            raise Stopped("a use of the builtin command", head.start)
    if not argv[0] or argv[0].startswith("%"):
        raise Stopped("no program", head.start)
    if argv[0] in SHELL_BUILTINS and argv[0] != "cd":
        raise Stopped(f"the shell's own {argv[0]}", head.start)
    return tuple(argv)


def _folded(steps: list[Step]) -> Script:
    """Return the script with its leading `cd` steps as folders. Raises: Stopped at any other `cd`."""
    folders: list[Folder] = []
    rest = steps
    while rest and rest[0].commands[0].argv[0] == "cd":
        folder = _folder(rest[0].commands)
        if folder is None or len(rest) < 2 or rest[1].join == "or":
            raise Stopped("a cd that is not simply the way to the next command", 0)
        folders.append(Folder(folder, rest[1].join == "always"))
        rest = [Step("always", rest[1].commands), *rest[2:]]
    if any(command.argv[0] == "cd" for step in rest for command in step.commands):
        raise Stopped("a cd that is not simply the way to the next command", 0)
    if not rest:
        raise Stopped("no program", 0)
    return Script(tuple(rest), tuple(folders))


def _folder(commands: tuple[Command, ...]) -> str | None:
    """Return where one `cd` leads, None when it is more than `cd FOLDER`."""
    only = commands[0]
    if len(commands) > 1 or only.redirections or only.assignments or len(only.argv) != 2:
        return None
    folder = only.argv[1]
    names = [name for name in folder.split("/") if name not in ("", ".")]
    down = next((at for at, name in enumerate(names) if name != ".."), len(names))
    if ".." in names[down:]:  # the shell wants each folder to be there before it takes a step back
        return None
    return folder if folder and folder[0] not in "-~" else None
