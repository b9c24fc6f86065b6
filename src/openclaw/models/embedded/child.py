"""The process that runs a model: llama.cpp's server on loopback, for the gateway that started it and nobody else.

stdin: one line of JSON, `Order`, then nothing; when it closes, the gateway is gone and so are we, at once.
stdout: one line of JSON, `Answer`: where the server listens, or why it does not.
The key comes by stdin because arguments and environments can be read by others. llama.cpp is imported here only: its
libraries and its memory never enter the gateway.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from pathlib import Path

import msgspec

OOM_SCORE = 500
"""When memory runs out, the system ends this process and not the gateway, which starts another."""
MAX_THREADS = 16
"""Small models do not gain from more."""


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What to run. `model` is its name in answers; `context_tokens` is shared by `slots` answers at once."""

    model: str
    path: str
    key: str
    context_tokens: int
    slots: int


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """How it went: `url` is http://127.0.0.1:port, or `error` says why not."""

    url: str = ""
    error: str = ""


def main() -> None:
    """Serve until stdin closes."""
    order = msgspec.json.decode(sys.stdin.buffer.readline(), type=Order)
    threading.Thread(target=_leave_with_the_gateway, daemon=True).start()
    with contextlib.suppress(OSError):  # only Linux has it
        Path("/proc/self/oom_score_adj").write_text(str(OOM_SCORE))
    try:
        url, server = serve(order)
    except Exception as error:  # noqa: BLE001  # foreign code: whatever it raises is the answer
        _tell(Answer(error=f"{type(error).__name__}: {error}"))
        sys.exit(1)
    _tell(Answer(url=url))
    threading.Event().wait()
    del server


def serve(order: Order) -> tuple[str, object]:
    """Load the model and listen. Returns the address and what must be kept alive."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = order.path
    params.model_alias = {order.model}
    params.n_ctx = order.context_tokens
    params.n_parallel = order.slots
    params.kv_unified = True
    # Half the memory of f16, the same answers.
    params.cache_type_k = params.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_Q8_0
    params.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_ENABLED
    params.cache_ram_mib = 0
    params.fit_params = False
    params.sampling.temp = 0.0
    cores = usable_cores()
    # The threads wait for each other after every layer, and a core that does other work as well holds all of them up:
    # on two busy cores one thread writes 129 tokens a second, two write 4. Prompts are read in larger steps.
    params.cpuparams.n_threads = max(1, cores - 1)
    params.cpuparams_batch.n_threads = cores
    # One thread per connection: as many as answers at once, and some for those that just ended.
    params.n_threads_http = order.slots + 8
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.api_keys = [order.key]
    params.ui = False
    params.endpoint_slots = False
    params.verbosity = 1
    server = xllamacpp.Server(params)
    return str(server.listening_address), server


def usable_cores() -> int:
    """How many cores to reckon with: those that we may run on, or fewer if a container's CPU quota says so."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with contextlib.suppress(OSError, ValueError):  # no quota
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        cores = min(cores, max(1, int(quota) // int(period)))
    return min(cores, MAX_THREADS)


def _leave_with_the_gateway() -> None:
    while os.read(0, 4096):
        pass
    os._exit(0)


def _tell(answer: Answer) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(answer) + b"\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
