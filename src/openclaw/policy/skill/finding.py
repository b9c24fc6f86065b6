"""What an audit notes while it reads: dangers, and powers that are to be compared with what the skill declares."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from openclaw.policy.skill.head import Powers

Row = Literal["metadata", "egress", "files", "processes", "secrets", "updates", "content"]
State = Literal["pass", "warn", "fail"]
Power = Literal["network", "read", "write", "programs", "secrets", "mention"]
"""`mention` is a host that prose names: nothing uses it."""

ROWS: Final[tuple[Row, ...]] = ("metadata", "egress", "files", "processes", "secrets", "updates", "content")
ROW_OF: Final[dict[Power, Row]] = {
    "network": "egress",
    "read": "files",
    "write": "files",
    "programs": "processes",
    "secrets": "secrets",
    "mention": "egress",
}
MAX_FINDINGS: Final = 200
MAX_POWERS: Final = 200
MAX_SHOWN: Final = 120


class Finding(msgspec.Struct, frozen=True, order=True):
    """What was seen, and where. Shape: `line` counts from 1; 0 = the file or the whole skill."""

    row: Row
    state: State
    message: str
    file: str = ""
    line: int = 0

    @property
    def where(self) -> str:
        """`file:line`, `file`, or nothing."""
        return f"{self.file}:{self.line}" if self.line else self.file


class Notes:
    """Collects findings and powers, each once and bounded. A finding that has no more room still fails its row."""

    def __init__(self) -> None:
        self.findings: dict[tuple[str, ...], Finding] = {}
        self.powers: dict[tuple[Power, str], tuple[str, int]] = {}

    def fail(self, row: Row, message: str, file: str = "", line: int = 0) -> None:
        """Note what shuts the door."""
        self._add(Finding(row, "fail", message, file, line))

    def warn(self, row: Row, message: str, file: str = "", line: int = 0) -> None:
        """Note what a person should see."""
        self._add(Finding(row, "warn", message, file, line))

    def power(self, kind: Power, value: str, file: str, line: int) -> None:
        """Note what a file makes use of, at its first place."""
        value = shown(value)
        if len(self.powers) < MAX_POWERS:
            self.powers.setdefault((kind, value), (file, line))
        else:
            self.fail(ROW_OF[kind], f"it uses more than {MAX_POWERS} hosts, paths, programs and variables", file)

    def observed(self) -> Powers:
        """Return the powers that were seen."""
        names: tuple[Power, ...] = ("network", "read", "write", "programs", "secrets")
        return Powers(*(tuple(sorted(value for kind, value in self.powers if kind == name)) for name in names))

    def _add(self, finding: Finding) -> None:
        # The first place of a message is enough; one more of the same teaches nobody.
        key = (finding.row, finding.message, finding.file)
        if key not in self.findings and (len(self.findings) < MAX_FINDINGS or finding.state == "fail"):
            if len(self.findings) >= 2 * MAX_FINDINGS:
                return
            self.findings[key] = finding


def shown(text: str, most: int = MAX_SHOWN) -> str:
    """Return a stranger's text as one line of at most so many characters."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text[:most])[:most]


def line_of(text: str, position: int) -> int:
    """Return the line (from 1) that a position lies in."""
    return text.count("\n", 0, position) + 1
