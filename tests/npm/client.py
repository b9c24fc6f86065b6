"""The npm clients as Python objects: a Node process that runs `driver.mjs`, and one object per client in it."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

import msgspec

from tests.npm.toolchain import HERE, NODE

PATIENCE_S: Final = 60.0
Seen = Mapping[str, Any]


class Refused(Exception):
    """What the npm client threw. `error` has its name, code, message, details …"""

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(error.get("message"))
        self.error = error


class Driver:
    """A Node process with any number of clients."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._ids = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._heard: dict[str, list[Seen]] = {}
        self._changed = asyncio.Condition()

    async def read(self) -> None:
        """Take what the process prints until it ends."""
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            said = msgspec.json.decode(line)
            if "id" in said:
                self._waiting.pop(said["id"]).set_result(said)
            else:
                async with self._changed:
                    self._heard.setdefault(said["client"], []).append(said)
                    self._changed.notify_all()

    async def do(self, op: str, **fields: Any) -> Any:
        """Do one operation. Raises: Refused."""
        id_ = next(self._ids)
        future = self._waiting[id_] = asyncio.get_running_loop().create_future()
        assert self._process.stdin is not None
        self._process.stdin.write(msgspec.json.encode({"id": id_, "op": op, **fields}) + b"\n")
        said = await asyncio.wait_for(future, PATIENCE_S)
        if not said["ok"]:
            raise Refused(said["error"])
        return said.get("result")

    async def open(self, url: str, *, device: str | None = None, **options: Any) -> NpmClient:
        """Start a client; it connects by itself and reports what happens."""
        client = NpmClient(self, f"client-{next(self._ids)}")
        await self.do("open", client=client.name, device=device, options={"url": url, **options})
        return client

    def heard(self, client: str) -> list[Seen]:
        """Return what a client has reported so far."""
        return self._heard.setdefault(client, [])

    async def until(self, client: str, wanted: Callable[[Seen], bool], after: int) -> Seen:
        """Wait for a report, looking from number `after` on."""
        async with asyncio.timeout(PATIENCE_S), self._changed:
            while True:
                for report in self.heard(client)[after:]:
                    if wanted(report):
                        return report
                await self._changed.wait()


class NpmClient:
    """One client of the package."""

    def __init__(self, driver: Driver, name: str) -> None:
        self._driver = driver
        self.name = name

    @property
    def reports(self) -> list[Seen]:
        """Everything it has reported: dicts with `what`."""
        return self._driver.heard(self.name)

    async def report(self, what: str, after: int = 0, **fields: Any) -> Seen:
        """Wait for a report of that kind with those fields."""
        return await self._driver.until(
            self.name, lambda seen: seen["what"] == what and fields.items() <= seen.items(), after
        )

    async def hello(self, after: int = 0) -> dict[str, Any]:
        """Wait until it is let in; return hello-ok. A refusal ends the wait."""
        seen = await self._driver.until(self.name, lambda seen: seen["what"] in ("hello", "connect-error"), after)
        if seen["what"] != "hello":
            raise Refused(seen["error"])
        hello: dict[str, Any] = seen["hello"]
        return hello

    async def seen(self, wanted: Callable[[Seen], bool], after: int = 0) -> Seen:
        """Wait for a report that is wanted."""
        return await self._driver.until(self.name, wanted, after)

    async def event(self, name: str, after: int = 0, **payload: Any) -> dict[str, Any]:
        """Wait for an event whose payload has those values; return the payload."""
        seen = await self._driver.until(
            self.name,
            lambda seen: (
                seen["what"] == "event"
                and seen["frame"]["event"] == name
                and payload.items() <= (seen["frame"].get("payload") or {}).items()
            ),
            after,
        )
        found: dict[str, Any] = seen["frame"]["payload"]
        return found

    async def request(self, method: str, params: Any = None, **options: Any) -> Any:
        """Ask; return the answer. Raises: Refused."""
        return (await self.in_stages(method, params, **options))[1]

    async def in_stages(self, method: str, params: Any = None, **options: Any) -> tuple[Any, Any]:
        """Ask; return what was accepted (None when there was one answer) and the last answer. Raises: Refused."""
        done = await self._driver.do("request", client=self.name, method=method, params=params or {}, options=options)
        return done.get("accepted"), done.get("answer")

    async def follow(self, key: str) -> dict[str, Any]:
        """Follow one session's messages, as a screen does; return the subscription."""
        found: dict[str, Any] = await self._driver.do("follow", client=self.name, key=key)
        return found

    async def leave(self, key: str) -> None:
        """Follow it no more."""
        await self._driver.do("leave", client=self.name, key=key)

    async def stop(self) -> None:
        """Close and forget it."""
        await self._driver.do("stop", client=self.name)


@asynccontextmanager
async def node() -> AsyncIterator[Driver]:
    """Run the driver for the length of the block."""
    process = await asyncio.create_subprocess_exec(
        NODE,
        HERE / "driver.mjs",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=32 * 1024 * 1024,
    )
    driver = Driver(process)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(driver.read())
        try:
            yield driver
        finally:
            assert process.stdin is not None
            process.stdin.close()
            await asyncio.wait_for(process.wait(), PATIENCE_S)
