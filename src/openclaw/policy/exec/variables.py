"""Variables that a command may be given: an allowlist, because what a variable does is up to every program. Pure.

1. HARMLESS names with plain values pass, and those that the operator has named. Every other name is asked about.
2. Names that make programs load or run something else are hijackers: not even a caller with a free hand sets those.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal

from openclaw.policy.exec.pattern import name_set

HARMLESS: Final = name_set(
    "CI CLICOLOR CLICOLOR_FORCE COLORTERM COLUMNS FORCE_COLOR LANG LANGUAGE LC_ALL LC_COLLATE LC_CTYPE LC_MESSAGES "
    "LC_MONETARY LC_NUMERIC LC_TIME LINES NO_COLOR TERM TZ"
)
_HIJACKERS: Final = name_set(
    "BASHOPTS BASH_ENV BASH_XTRACEFD BROWSER CDPATH CLASSPATH EDITOR ENV FCEDIT FPATH GCONV_PATH GETCONF_DIR "
    "GLOBIGNORE HISTFILE HOME HOSTALIASES IFS LESSCLOSE LESSOPEN LOCALDOMAIN LOCPATH MAILPATH MAKEFILES MAKEFLAGS "
    "MALLOC_TRACE MANPAGER NLSPATH OLDPWD PAGER PATH PERL5DB PERL5LIB PERL5OPT PERLLIB PROMPT_COMMAND PS0 PS1 PS2 "
    "PS4 PWD RESOLV_HOST_CONF RES_OPTIONS RUBYLIB RUBYOPT SHELL SHELLOPTS TERMCAP TERMINFO TERMINFO_DIRS TMPDIR "
    "TZDIR VIMINIT EXINIT VISUAL ZDOTDIR"
)
_HIJACKING: Final = (
    "BASH_FUNC_", "CARGO_", "DYLD_", "GEM_", "GIT_", "GLIBC_", "GO", "JAVA_", "JDK_", "LD_", "LUA_", "MALLOC_",
    "NODE_", "NPM_", "npm_", "OPENCLAW_", "PIP_", "PYTHON", "RIPGREP_", "RUST", "SSH_", "SUDO_", "TAR_", "UV_", "XDG_",
)  # fmt: skip
_VALUE: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.,:@%+=-")

Kind = Literal["harmless", "unlisted", "hijacker"]


def kind(name: str, value: str, named: frozenset[str] = frozenset()) -> Kind:
    """Return what setting this variable amounts to. `named` are the operator's: no hijacker becomes harmless."""
    if name in _HIJACKERS or name.startswith(_HIJACKING) or not name.isidentifier() or not name.isascii():
        return "hijacker"
    return "harmless" if name in named or (name in HARMLESS and _plain(name, value)) else "unlisted"


def worst(variables: Iterable[tuple[str, str]], named: frozenset[str] = frozenset()) -> tuple[Kind, str]:
    """Return the worst kind among these, and the name that it is about."""
    found: tuple[Kind, str] = ("harmless", "")
    for name, value in variables:
        what = kind(name, value, named)
        if what == "hijacker":
            return what, name
        if what == "unlisted":
            found = (what, name)
    return found


def _plain(name: str, value: str) -> bool:
    """Say whether a value names nothing in the file system: a locale, as a time zone, may else be a path."""
    if name == "TZ":
        area, _, city = value.partition("/")
        return bool(area) and ".." not in value and not area.startswith(":") and set(area + city) <= _VALUE
    return len(value) <= 256 and set(value) <= _VALUE
