"""The Python stand-ins of the tests in a process of their own: the wires and failures that the C stand-in lacks.

They are slow: some 50 µs for each chunk. What the gateway adds is told against asking the same stand-in directly.
"""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import uvloop
from tests.stand_ins.bedrock import BedrockStandIn
from tests.stand_ins.ollama import OllamaStandIn
from tests.stand_ins.openai import OpenAIStandIn
from tests.stand_ins.server import Answer, Failure

from bench.machine import pinned
from bench.tools import BadRun

CHUNKS = 10
REST_S = 600
"""What the busy one asks for: longer than anybody waits, so that the gateway goes on at once."""


class Origins(msgspec.Struct, frozen=True):
    """Where they listen."""

    openai: str
    ollama: str
    bedrock: str
    busy: str


async def _serve() -> None:
    answer = Answer(text="x" * 8 * CHUNKS, pieces=CHUNKS)
    refusal = Failure(529, "overloaded", headers={"retry-after": str(REST_S)})
    async with (
        OpenAIStandIn(lambda request: answer) as openai,
        OllamaStandIn(lambda request: answer) as ollama,
        BedrockStandIn(lambda request: answer) as bedrock,
        OpenAIStandIn(lambda request: refusal) as busy,
    ):
        origins = Origins(openai.base_url, ollama.base_url, bedrock.base_url, busy.base_url)
        print(msgspec.json.encode(origins).decode(), flush=True)
        await asyncio.Event().wait()


@contextlib.contextmanager
def stand_ins(core: int | None) -> Iterator[Origins]:
    """Run them for the length of a measurement. Raises: BadRun."""
    argv = (sys.executable, "-m", "bench.stand_in")
    place = Path(__file__).parent.parent
    with pinned(core):
        process = subprocess.Popen(argv, cwd=place, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        if not line:
            raise BadRun("the Python stand-ins did not start")
        yield msgspec.json.decode(line, type=Origins)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


if __name__ == "__main__":
    uvloop.run(_serve())
