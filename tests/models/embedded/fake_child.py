"""A stand-in for the model's process: same stdin, same stdout, an HTTP server that answers by the letter.

What it does is written in the model file: `answer`, `endless`, `broken`, `missing`, `mute` (ends at once) or `hang`
(never says that it listens). Every start adds a byte to `<file>.starts`, an abandoned endless answer makes
`<file>.gone`.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

ORDER: dict[str, Any] = json.loads(sys.stdin.readline())
FILE = Path(ORDER["path"])
MODE = FILE.read_text()


class Handler(BaseHTTPRequestHandler):
    """Answers chat completions."""

    def do_POST(self) -> None:
        """Stream the last message back, in letters, or write for ever."""
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.headers["Authorization"] != f"Bearer {ORDER['key']}":
            self.send_error(401)
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream" if asked.get("stream") else "application/json")
        self.end_headers()
        text = f"{asked['messages'][-1]['content']} max={asked['max_tokens']}"
        if not asked.get("stream"):
            choice = {"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
            self.wfile.write(json.dumps({"model": ORDER["model"], "choices": [choice]}).encode())
            return
        try:
            if MODE == "endless":
                while True:
                    self._piece("x")
                    time.sleep(0.01)
            for letter in text:
                self._piece(letter)
            self._event({"choices": [{"delta": {}, "finish_reason": "stop"}], "model": ORDER["model"]})
            self.wfile.write(b"data: [DONE]\n\n")
        except OSError:
            FILE.with_suffix(".gone").touch()

    def _piece(self, text: str) -> None:
        self._event({"choices": [{"delta": {"content": text}}], "model": ORDER["model"]})

    def _event(self, value: dict[str, Any]) -> None:
        self.wfile.write(b"data: " + json.dumps(value).encode() + b"\n\n")
        self.wfile.flush()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def main() -> None:
    """Do what the model file says."""
    with FILE.with_suffix(".starts").open("a") as starts:
        starts.write("x")
    if MODE == "mute":
        print("llama: boom", file=sys.stderr, flush=True)
        sys.exit(3)
    if MODE in ("broken", "missing"):
        error = "bad magic" if MODE == "broken" else "ModuleNotFoundError: No module named 'xllamacpp'"
        print(json.dumps({"error": error}), flush=True)
        sys.exit(1)
    if MODE != "hang":
        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        print(json.dumps({"url": f"http://127.0.0.1:{server.server_port}"}), flush=True)
    while os.read(0, 4096):
        pass
    os._exit(0)


main()
