"""Structured logs: one JSON object a line in the file, pretty lines on a terminal, secrets cut out of both."""

from __future__ import annotations

import json
import logging
import logging.handlers
import os
import sys
from datetime import UTC, datetime
from io import TextIOWrapper
from pathlib import Path
from typing import Any, Literal, TextIO

from openclaw.telemetry.redact import REDACTOR, Redactor

Style = Literal["auto", "pretty", "json"]
LOG_FILE = "openclaw.log"
_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
_COLOURS = {"DEBUG": "2", "INFO": "32", "WARNING": "33", "ERROR": "31", "CRITICAL": "31;1"}


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    fields = getattr(record, "fields", None)
    return fields if isinstance(fields, dict) else {}


def _component(record: logging.LogRecord) -> str:
    return record.name.removeprefix("openclaw.")


class JsonFormatter(logging.Formatter):
    """One JSON object: time, level, event, component, then the event's fields; `error` holds a trace."""

    def __init__(self, redactor: Redactor = REDACTOR) -> None:
        super().__init__()
        self._redactor = redactor

    def format(self, record: logging.LogRecord) -> str:
        """Return the line without its newline."""
        stamp = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line: dict[str, Any] = {
            "time": stamp.replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            "component": _component(record),
        }
        for key, value in _fields(record).items():
            line.setdefault(key, value)
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return self._redactor.clean(json.dumps(line, ensure_ascii=False, default=str))


class PrettyFormatter(logging.Formatter):
    """A short line for people: time, level, component, event, key=value."""

    def __init__(self, colour: bool, redactor: Redactor = REDACTOR) -> None:
        super().__init__()
        self._colour = colour
        self._redactor = redactor

    def format(self, record: logging.LogRecord) -> str:
        """Return the line without its newline."""
        stamp = datetime.fromtimestamp(record.created, UTC).astimezone().strftime("%H:%M:%S")
        level = f"{record.levelname.lower():7}"
        if self._colour:
            level = f"\x1b[{_COLOURS.get(record.levelname, '0')}m{level}\x1b[0m"
        extra = "".join(f" {key}={value}" for key, value in _fields(record).items())
        text = f"{stamp} {level} {_component(record):12} {record.getMessage()}{extra}"
        if record.exc_info:
            text += "\n" + self.formatException(record.exc_info)
        return self._redactor.clean(text)


class PrivateFile(logging.handlers.RotatingFileHandler):
    """A rotated file that only its owner reads, also after it was rotated."""

    def _open(self) -> TextIOWrapper:
        def private(path: str, flags: int) -> int:
            return os.open(path, flags, 0o600)

        return open(self.baseFilename, self.mode, encoding=self.encoding, opener=private)  # type: ignore[return-value]


def configure(
    *,
    level: str = "info",
    style: Style = "auto",
    logs_dir: Path | None = None,
    max_file_bytes: int = 10_000_000,
    max_files: int = 5,
    stream: TextIO | None = None,
    console_level: str | None = None,
) -> None:
    """Install the root handlers; call it again to change them (a reload). Files are 0600, rotated and capped."""
    out = stream or sys.stderr
    tty = out.isatty()
    console = logging.StreamHandler(out)
    console.setFormatter(JsonFormatter() if style == "json" or (style == "auto" and not tty) else PrettyFormatter(tty))
    if console_level is not None:
        console.setLevel(_LEVELS[console_level])
    handlers: list[logging.Handler] = [console]
    if logs_dir is not None:
        logs_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        file = PrivateFile(logs_dir / LOG_FILE, maxBytes=max_file_bytes, backupCount=max_files, encoding="utf-8")
        file.setFormatter(JsonFormatter())
        handlers.append(file)
    root = logging.getLogger()
    for old in list(root.handlers):
        root.removeHandler(old)
        old.close()
    for handler in handlers:
        root.addHandler(handler)
    root.setLevel(logging.WARNING)
    logging.getLogger("openclaw").setLevel(_LEVELS.get(level, logging.INFO))
    logging.captureWarnings(True)
