"""One model's process: started by its first question, started again after a death, stopped when no longer wanted."""

from __future__ import annotations

import asyncio
import logging
import secrets
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from openclaw.base.clock import Clock
from openclaw.base.errors import ModelError, ModelUnavailable, ModelUnreachable, OpenClawError
from openclaw.base.secret import Secret
from openclaw.base.tasks import TaskSet
from openclaw.models.client import LLMClient
from openclaw.models.embedded.child import Answer, Order
from openclaw.models.embedded.local_model import LocalModel
from openclaw.models.local.openmp import LIBRARY, runtime_dir
from openclaw.processes.child import Child
from openclaw.processes.environment import BASIC
from openclaw.processes.spawner import Spawner

START_TIMEOUT_S = 180.0
"""A large file on a slow disk is read in this time."""
RETRY_S = 5.0
"""After a failed start the next is tried no sooner; until then callers get the same error at once."""
STOP_GRACE_S = 1.0
SLOTS = 4
"""Answers at once. More wait here, where they can be cancelled for nothing."""
COMMAND = (sys.executable, "-P", "-m", "openclaw.models.embedded.child")
ENVIRONMENT = (*BASIC, "LD_LIBRARY_PATH", "PYTHONPATH", "PYTHONHOME")
_log = logging.getLogger("openclaw.models")

Connect = Callable[[LocalModel, str, Secret], LLMClient]
"""Makes the wire client for a model at an address with a key."""


class ModelServer:
    """Owns at most one child. `stop` is final."""

    def __init__(
        self,
        model: LocalModel,
        path: Path,
        spawner: Spawner,
        clock: Clock,
        connect: Connect,
        *,
        command: tuple[str, ...] = COMMAND,
    ) -> None:
        self.model = model
        self.path = path
        self._spawner = spawner
        self._clock = clock
        self._connect = connect
        self._command = command
        self._slots = asyncio.Semaphore(SLOTS)
        self._tasks = TaskSet(f"embedded-{model.id}")
        self._starting: asyncio.Task[LLMClient | ModelError] | None = None
        self._client: LLMClient | None = None
        self._child: Child | None = None
        self._failure: ModelError | None = None
        self._failed_at_s = 0.0
        self._active = 0
        self._stopped = False

    @property
    def pid(self) -> int | None:
        """The child's process id, while it runs."""
        return self._child.pid if self._child is not None and self._child.returncode is None else None

    async def ready(self) -> LLMClient:
        """Return a client of the running process; start it first if need be.

        Raises: ModelUnavailable when it cannot be started.
        Cancels: the start goes on for the next caller.
        """
        if self._client is not None and self.pid is not None:
            return self._client
        if self._stopped:
            raise ModelUnavailable(f"the local model {self.model.id} was stopped")
        if self._failure is not None and self._clock.monotonic_s() < self._failed_at_s + RETRY_S:
            raise self._failure
        if self._starting is None or self._starting.done():
            self._starting = self._tasks.spawn(self._start(), "start")
        starting = self._starting
        try:
            started = await asyncio.shield(starting)
        except asyncio.CancelledError:
            if not starting.cancelled():
                raise
            raise ModelUnavailable(f"the local model {self.model.id} was stopped while it loaded") from None
        if isinstance(started, ModelError):
            raise started
        return started

    @asynccontextmanager
    async def use(self) -> AsyncGenerator[LLMClient, None]:
        """Lend the client and one slot. What fails because the process died is told as such.

        Raises: ModelUnavailable, ModelUnreachable.
        """
        async with self._slots:
            client = await self.ready()
            child = self._child
            self._active += 1
            try:
                yield client
            except ModelError as error:
                if child is None or not await _is_over(child):
                    raise
                raise ModelUnreachable(
                    f"the process of the local model {self.model.id} ended (status {child.returncode})",
                    hint="It is started again by the next message. If it keeps ending, look for its lines in the log.",
                ) from error
            finally:
                self._active -= 1

    async def retire(self) -> None:
        """Stop once everyone who has a slot, or waits for one, is done. The caller lends it to nobody else."""
        for _ in range(SLOTS):
            await self._slots.acquire()
        await self.stop()

    async def stop(self) -> None:
        """Stop the process now; who still uses it gets ModelUnreachable."""
        self._stopped = True
        await self._tasks.close()
        child, self._child, self._client = self._child, None, None
        if child is not None:
            await child.terminate(STOP_GRACE_S)

    async def _start(self) -> LLMClient | ModelError:
        started_s = self._clock.monotonic_s()
        key = Secret(secrets.token_urlsafe(32))
        try:
            child, url = await self._launch(key)
        except ModelError as error:
            self._failure, self._failed_at_s = error, self._clock.monotonic_s()
            _log.error("local_model_failed", extra={"fields": {"model": self.model.id, "error": error.message}})
            return error
        self._failure = None
        self._child = child
        self._client = self._connect(self.model, url, key)
        took_ms = round((self._clock.monotonic_s() - started_s) * 1000)
        _log.info("local_model_ready", extra={"fields": {"model": self.model.id, "pid": child.pid, "ms": took_ms}})
        return self._client

    async def _launch(self, key: Secret) -> tuple[Child, str]:
        order = Order(
            model=self.model.id,
            path=str(self.path),
            key=key.reveal(),
            context_tokens=self.model.context_tokens,
            slots=SLOTS,
        )
        child: Child | None = None
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                child = await self._spawner.spawn(
                    self._command,
                    name=f"model-{self.model.id}",
                    allow=ENVIRONMENT,
                    env=self._libraries(),
                    stdout=True,
                    own_lifeline=True,
                )
                await child.write(msgspec.json.encode(order) + b"\n")
                answer = msgspec.json.decode(await child.stdout.readline(), type=Answer)
            if not answer.url:
                raise self._refused(answer.error)
        except (OSError, OpenClawError, msgspec.DecodeError, TimeoutError) as error:
            raise await self._explained(error, child) from error
        except asyncio.CancelledError:
            if child is not None:
                await child.kill()
            raise
        return child, answer.url

    def _libraries(self) -> dict[str, str]:
        """Let the child find what `models pull` fetched for a system without OpenMP."""
        folder = runtime_dir(self.path.parent)
        if not folder.is_dir():
            return {}
        own = self._spawner.variable("LD_LIBRARY_PATH")
        return {"LD_LIBRARY_PATH": f"{own}:{folder}" if own else str(folder)}

    def _refused(self, reason: str) -> ModelUnavailable:
        if LIBRARY in reason:
            return ModelUnavailable(
                f"local models need {LIBRARY}, which this system lacks",
                hint=f"Run `openclaw models pull {self.model.id}` again, or install it: apt-get install libgomp1.",
            )
        if "xllamacpp" in reason:
            return ModelUnavailable(
                "local models need the package xllamacpp, which is not installed",
                hint="Run `pip install 'openclaw-gateway[embedded]'`.",
            )
        return ModelUnavailable(
            f"the local model {self.model.id} cannot be loaded: {reason[:300]}",
            hint=f"The file may be damaged or too new: {self.path}. Remove it and pull the model again.",
        )

    async def _explained(self, error: Exception, child: Child | None) -> ModelError:
        status = "was not started"
        if child is not None:
            await child.kill()
            status = f"ended (status {child.returncode}): {child.stderr_tail[-300:]}"
        if isinstance(error, ModelError):
            return error
        if isinstance(error, TimeoutError):
            return ModelUnavailable(f"the local model {self.model.id} did not load within {START_TIMEOUT_S:g} s")
        reason = error.message if isinstance(error, OpenClawError) else status
        return ModelUnavailable(f"the process of the local model {self.model.id} {reason}")


async def _is_over(child: Child) -> bool:
    """Say whether the child ended; its connections break a moment before we hear of it."""
    try:
        async with asyncio.timeout(0.5):
            await child.wait()
    except TimeoutError:
        return False
    return True
