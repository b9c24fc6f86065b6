"""sd_notify: telling the service manager how we are, over the socket that it named in NOTIFY_SOCKET.

Source: sd_notify(3). A datagram of `NAME=value` lines to a path, or to an abstract name that is written with an `@`.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable


class Notifier:
    """Tells, and forgets: without a manager, or when it does not listen, nothing happens."""

    def __init__(self, get: Callable[[str], str | None]) -> None:
        name = get("NOTIFY_SOCKET") or ""
        self._address = f"\0{name[1:]}" if name.startswith("@") else name if name.startswith("/") else ""
        pid, usec = get("WATCHDOG_PID") or "", get("WATCHDOG_USEC") or ""
        ours = not pid or pid == str(os.getpid())
        self.watchdog_s = int(usec) / 1e6 if ours and usec.isdigit() else 0.0
        """How often at least it wants to hear from us, 0 = it does not care."""

    def tell(self, *lines: str) -> None:
        """Send lines as one message. Shape: below the size of a datagram."""
        if not self._address:
            return
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.setblocking(False)  # a manager that does not read must not stop the loop
            sock.sendto("\n".join(lines).encode(errors="replace"), self._address)
