"""`python -m bench`: every measurement in one run, a table on the terminal and JSON in bench/results."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bench.completion import turns
from bench.detour import failover
from bench.doors import doors
from bench.durability import sync_cost
from bench.every_command import every_command
from bench.fanout import fan_out
from bench.gateway import Gateway, Lab, running, upstream
from bench.machine import cores, facts, supported
from bench.paced import first_tokens
from bench.report import Row, as_json, table
from bench.rpc import handshake_rate, health_calls, idle_sockets
from bench.sessions import kept_sessions
from bench.soak import long_soak
from bench.start import cold_start, commands
from bench.streams import steady_streams
from bench.tools import HERE, BadRun, ToolMissing, Tools, source_folder
from bench.wires import by_wire

EXIT_FAILED, EXIT_MISSING = 1, 2

ALONE: dict[str, Callable[[Lab], list[Row]]] = {
    "start": cold_start,
    "sockets": idle_sockets,
    "durability": sync_cost,
    "sessions": kept_sessions,
    "wires": by_wire,
    "failover": failover,
    "doors": doors,
    "streams": steady_streams,
    "fanout": fan_out,
    "soak": long_soak,
}
"""Measurements that start gateways of their own."""
SHARED: dict[str, Callable[[Lab, Gateway], list[Row]]] = {
    "commands": commands,
    "every": every_command,
    "rpc": health_calls,
    "handshakes": handshake_rate,
    "turns": turns,
    "ttft": first_tokens,
}
"""Measurements on one gateway, one after the other."""


def measure(lab: Lab, wanted: set[str]) -> list[Row]:
    """Run what is wanted."""
    rows: list[Row] = []
    for name, run_alone in ALONE.items():
        if name in wanted:
            _say(name)
            rows += run_alone(lab)
    if wanted & set(SHARED):
        with running(lab) as gateway:
            for name, run_shared in SHARED.items():
                if name in wanted:
                    _say(name)
                    rows += run_shared(lab, gateway)
            if "turns" in wanted:
                size = (gateway.rss_mb(),)
                rows.append(Row(family="after all load", name="RSS", unit="MB", samples=size, steady=True))
    return rows


def _say(name: str) -> None:
    print(f"measuring {name} …", file=sys.stderr, flush=True)


def _arguments() -> argparse.Namespace:
    names = [*ALONE, *SHARED]
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure the gateway beside its upstream.")
    parser.add_argument("--quick", action="store_true", help="one short round each: a smoke test, not a measurement")
    parser.add_argument("--only", nargs="+", choices=names, default=names, metavar="NAME", help=", ".join(names))
    parser.add_argument("--minutes", type=float, default=0.0, help="how long to soak; default 20 seconds")
    parser.add_argument("--tools", type=Path, help="folder of the load tools' C sources; default ../shared/bench")
    return parser.parse_args()


def main() -> int:
    """Measure, print, keep. Return 2 when something that is needed is not there."""
    options = _arguments()
    if not supported():
        print("the bench reads Linux's /proc; run it on Linux", file=sys.stderr)
        return EXIT_MISSING
    began, split = time.perf_counter(), cores()
    machine = facts(split)
    rounds, seconds = (1, 0.5) if options.quick else (3, 1.2)
    try:
        tools = Tools(source_folder(options.tools), split.others)
        with tempfile.TemporaryDirectory(prefix="openclaw-bench-") as folder, upstream(tools) as port:
            rows = measure(Lab(tools, split, Path(folder), port, rounds, seconds, options.minutes), set(options.only))
    except ToolMissing as missing:
        print(missing, file=sys.stderr)
        return EXIT_MISSING
    except BadRun as failure:
        print(f"not measured: {failure}", file=sys.stderr)
        return EXIT_FAILED
    machine |= {"loadAverageAfter": round(os.getloadavg()[0], 2), "tookS": round(time.perf_counter() - began, 1)}
    machine |= {"rounds": rounds, "roundS": seconds}
    kept = HERE / "results" / f"{machine['at'].replace(':', '')}.json"
    kept.parent.mkdir(exist_ok=True)
    kept.write_bytes(as_json(machine, rows))
    print("  ".join(f"{name}={value}" for name, value in machine.items()), table(rows), sep="\n\n")
    print(f"\n* CPU or memory: noisy neighbours hardly change it. Samples: {kept}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
