"""git, made inert: a repository's own configuration may not choose what runs.

1. Every git runs with NEUTRAL in its environment: no system or user configuration, and the keys that run something
   answered before the repository's file is heard.
2. Keys whose names anybody may make up (filter.X.clean, diff.X.textconv …) cannot be answered beforehand. So the
   repository's file is read, and any section or key that is not known to be harmless is asked about.
3. Options that choose another configuration, directory, program or output, and subcommands that run others or reach
   other hosts, pass only by a rule that spells out the whole call.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from openclaw.policy.exec.pattern import name_set

MAX_CONFIG_BYTES: Final = 65_536

_ANSWERS: Final = (
    ("core.fsmonitor", "false"),
    ("core.hooksPath", "/dev/null"),
    ("core.pager", "cat"),
    ("core.editor", "false"),
    ("core.askPass", "true"),
    ("core.sshCommand", "ssh"),
    ("core.alternateRefsCommand", "true"),
    ("core.attributesFile", "/dev/null"),
    ("sequence.editor", "false"),
    ("credential.helper", ""),
    ("gpg.program", "false"),
    ("gpg.ssh.program", "false"),
    ("gpg.x509.program", "false"),
    ("log.showSignature", "false"),
    ("commit.gpgSign", "false"),
    ("tag.gpgSign", "false"),
    ("gc.auto", "0"),
    ("maintenance.auto", "false"),
    ("protocol.ext.allow", "never"),
    ("safe.bareRepository", "explicit"),
    ("submodule.recurse", "false"),
    ("diff.ignoreSubmodules", "all"),
)
NEUTRAL: Final = tuple(
    sorted(
        (
            ("GIT_CONFIG_NOSYSTEM", "1"),
            ("GIT_CONFIG_GLOBAL", "/dev/null"),
            ("GIT_ATTR_NOSYSTEM", "1"),
            ("GIT_TERMINAL_PROMPT", "0"),
            ("GIT_OPTIONAL_LOCKS", "0"),
            ("GIT_PAGER", "cat"),
            ("GIT_EDITOR", "false"),
            ("GIT_SEQUENCE_EDITOR", "false"),
            ("GIT_CONFIG_COUNT", str(len(_ANSWERS))),
            *((f"GIT_CONFIG_KEY_{at}", key) for at, (key, _) in enumerate(_ANSWERS)),
            *((f"GIT_CONFIG_VALUE_{at}", value) for at, (_, value) in enumerate(_ANSWERS)),
        )
    )
)
"""What a git that was allowed by rule gets in its environment, over everything else."""

_GLOBAL_FLAGS: Final = frozenset(
    ("--no-pager", "--no-optional-locks", "--literal-pathspecs", "--no-replace-objects", "--version")
)
_SUBCOMMANDS: Final = name_set(
    "add blame branch checkout cherry commit count-objects describe diff diff-tree for-each-ref init log ls-files "
    "ls-tree merge-base mv name-rev reflog reset restore rev-list rev-parse rm shortlog show show-ref stash status "
    "switch tag version whatchanged"
)
_OPTIONS: Final = (
    "config", "config-env", "edit", "exec", "exec-path", "ext-diff", "filters", "git-dir", "gpg-sign", "no-index",
    "open-files-in-pager", "output", "output-directory", "receive-pack", "separate-git-dir", "show-signature", "sign",
    "template", "textconv", "upload-pack", "verify-signatures", "work-tree", "recurse-submodules", "interactive",
    "pathspec-from-file", "file", "contents", "super-prefix",
)  # fmt: skip
_HARMLESS_KEYS: Final = {
    "core": name_set(
        "repositoryformatversion filemode bare logallrefupdates ignorecase precomposeunicode symlinks autocrlf eol "
        "safecrlf quotepath abbrev checkstat trustctime compression"
    ),
    "user": frozenset(("name", "email")),
    "init": frozenset(("defaultbranch",)),
    "pull": frozenset(("rebase", "ff")),
    "push": frozenset(("default", "autosetupremote")),
    "fetch": frozenset(("prune",)),
    "rebase": frozenset(("autostash",)),
    "advice": None,
    "color": None,
    "remote": frozenset(("url", "pushurl", "fetch", "tagopt", "prune")),
    "branch": frozenset(("remote", "merge", "rebase", "description", "vscode-merge-base")),
}


def choice(argv: Sequence[str]) -> str:
    """Return the word of a git call that takes the decision out of our hands, or nothing."""
    at = 1
    while at < len(argv) and argv[at] in _GLOBAL_FLAGS:
        at += 1
    if at == len(argv):
        return "" if "--version" in argv else "git without a subcommand"
    if argv[at] not in _SUBCOMMANDS:
        return argv[at]
    for word in argv[at + 1 :]:
        if word == "--":
            break
        name = word[2:].partition("=")[0]
        if word.startswith("--") and any(option.startswith(name) for option in _OPTIONS):
            return word
        if word.startswith(("-O", "-S", "-i", "-e")) and argv[at] not in ("diff", "log", "show"):
            return word
        if word.startswith(("-F", "-t")) and len(word) > 2 and argv[at] in ("commit", "tag", "stash"):
            return word  # the file stands within the word, where nobody looks for it
    return ""


def active(cwd: str) -> tuple[str, str]:
    """Return the configuration of the repository around a directory, and what there may run something, or nothing.

    Reads the disk. Shape: both are empty where there is no repository.
    """
    for folder in (Path(cwd), *Path(cwd).parents):
        mark = folder / ".git"
        if mark.is_dir() and not mark.is_symlink():
            return str(mark / "config"), _active_repository(mark)
        if mark.exists() or mark.is_symlink():
            return str(mark), f"{mark} leads elsewhere"
        if (folder / "HEAD").exists():
            return str(folder / "config"), f"{folder} may be a bare repository"
    return "", ""


def _active_repository(folder: Path) -> str:
    for name in ("config.worktree", "commondir", "info/attributes", "objects/info/alternates"):
        if (folder / name).exists() or (folder / name).is_symlink():
            return f"the repository has {name}"
    if (folder.parent / ".gitmodules").exists():
        return "the repository has submodules, whose own configuration is heard too"
    config = folder / "config"
    try:
        with config.open("rb") as file:
            data = file.read(MAX_CONFIG_BYTES + 1)
        text = data.decode()
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError):
        return "the repository's configuration cannot be read"
    if len(data) > MAX_CONFIG_BYTES or config.is_symlink():
        return "the repository's configuration is not a small file"
    return _active_line(text)


def _active_line(text: str) -> str:
    """Return the first line of a configuration that is not known to be harmless. Shape: continued lines are not."""
    allowed: frozenset[str] | None = frozenset()
    for line in text.split("\n"):  # git knows no other end of a line: what follows one might be a comment to it
        plain = line.strip(" \t\r")
        if not plain or plain[0] in "#;":
            continue
        shown = f"the repository's configuration says: {plain[:80]}"
        if plain.endswith("\\"):
            return shown
        if plain[0] == "[":
            section = plain[1:-1].partition(" ")[0].lower()
            if not plain.endswith("]") or plain.count("]") > 1 or section not in _HARMLESS_KEYS:
                return shown
            allowed = _HARMLESS_KEYS[section]
            continue
        key = plain.partition("=")[0].strip().lower()
        if not key.replace("-", "").isalnum() or (allowed is not None and key not in allowed):
            return shown
    return ""
