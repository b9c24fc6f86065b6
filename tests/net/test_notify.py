"""What we tell a service manager arrives at its socket, and nothing happens without one."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from openclaw.net.notify import Notifier


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, socket.socket]]:
    if request.param == "abstract" and sys.platform != "linux":
        pytest.skip("abstract sockets are Linux's")
    name = f"@openclaw-test-{os.getpid()}" if request.param == "abstract" else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(name.replace("@", "\0", 1) if name.startswith("@") else name)
        sock.settimeout(5)
        yield name, sock


def notifier(variables: Mapping[str, str]) -> Notifier:
    return Notifier(variables.get)


def test_a_message_arrives_as_one(manager: tuple[str, socket.socket]) -> None:
    name, sock = manager
    notifier({"NOTIFY_SOCKET": name}).tell("READY=1", "STATUS=listening")
    assert sock.recv(4096) == b"READY=1\nSTATUS=listening"


@pytest.mark.parametrize("name", ["", "nowhere", "/nowhere/at/all", "@nobody-listens-here"])
def test_without_a_manager_nothing_happens(name: str) -> None:
    notifier({"NOTIFY_SOCKET": name}).tell("READY=1")


@pytest.mark.parametrize(
    ("variables", "watchdog_s"),
    [
        ({}, 0.0),
        ({"WATCHDOG_USEC": "60000000"}, 60.0),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": str(os.getpid())}, 60.0),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "1"}, 0.0),
        ({"WATCHDOG_USEC": "soon"}, 0.0),
    ],
)
def test_the_watchdog_is_ours_only_when_it_names_us(variables: Mapping[str, str], watchdog_s: float) -> None:
    assert notifier(variables).watchdog_s == watchdog_s


def test_a_manager_that_does_not_read_does_not_stop_us(manager: tuple[str, socket.socket]) -> None:
    name, _ = manager
    telling = notifier({"NOTIFY_SOCKET": name})
    for _ in range(2000):
        telling.tell("WATCHDOG=1")
