"""What is wrong with a configuration, said so that a person can fix it without searching."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

IssueKind = Literal[
    "parse-error",
    "unreadable",
    "unknown-key",
    "not-available",
    "invalid-value",
    "missing-env",
    "unresolved-secret",
    "duplicate-id",
    "overridden",
    "old-name",
]


class Issue(msgspec.Struct, frozen=True, omit_defaults=True):
    """One finding about the configuration.

    Shape: `path` is a key path (`agents.list[0].model`) or the name of an environment variable; `line` and `column`
    count from 1, 0 means that the file does not hold the place. `section` is the part that is affected, and for
    severity `error` disabled or back on its default. `file` is the included file that is meant, "" for the main one.
    """

    kind: IssueKind
    path: str
    message: str
    line: int = 0
    column: int = 0
    severity: Literal["error", "warning"] = "error"
    hint: str = ""
    section: str = ""
    file: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON shape that the CLI and the RPC print."""
        builtins: dict[str, Any] = msgspec.to_builtins(self)
        return builtins

    def __str__(self) -> str:
        where = f" ({self.file and f'{self.file}, '}line {self.line}, column {self.column})" if self.line else ""
        hint = f" — {self.hint}" if self.hint else ""
        return f"{self.path or 'file'}{where}: {self.message}{hint}"
