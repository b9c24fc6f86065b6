"""How long a turn takes whose primary model fails and whose fallback answers, beside turns whose primary answers.

A failure is remembered, so each agent here fails over once: every turn is an agent's first.
"""

from __future__ import annotations

from statistics import median

import uvloop

from bench.completion import request
from bench.gateway import BEARER, Gateway, Lab, Setting, free_port, running
from bench.machine import pinned
from bench.report import Row, added
from bench.stand_in import CHUNKS, Origins, stand_ins
from bench.stream_client import Line, Seen, message

FAMILY = f"failover, a streamed turn of {CHUNKS} chunks"
GOOD = f"bench/fake-n{CHUNKS}"
TURNS, REFUSALS = 20, 1
"""For each round. A refused connection is tried twice more, with pauses, before the gateway goes on."""


def failover(lab: Lab) -> list[Row]:
    """Measure turns with and without a failover, by turns, and again while the primary is left alone."""
    with stand_ins(lab.cores.others) as found, running(lab, _setting(lab, found)) as gateway, pinned(lab.cores.others):
        uvloop.run(_ask(gateway, ["warm"] * 20))
        uvloop.run(_ask(gateway, ["warm-busy"]))  # the client of its provider is made now
        rounds = [uvloop.run(_round(gateway, number)) for number in range(lab.rounds)]
    whole = {name: [median(seen.whole_ms for seen in each[name]) for each in rounds] for name in rounds[0]}
    refused = tuple(value / 1000 for value in whole["refused"])
    detour, rest = added(whole["busy"], whole["plain"]), added(whole["rest"], whole["plain"])
    note = "two retries first, each after a pause"
    return [
        Row(family=FAMILY, name="the primary answers, p50", unit="ms", samples=tuple(whole["plain"])),
        Row(family=FAMILY, name="529, then the fallback, p50", unit="ms", samples=tuple(whole["busy"])),
        Row(family=FAMILY, name="added by a failover", unit="ms", samples=detour),
        Row(family=FAMILY, name="added while the primary is left alone", unit="ms", samples=rest),
        Row(family=FAMILY, name="connection refused, then the fallback", unit="s", samples=refused, note=note),
    ]


async def _round(gateway: Gateway, number: int) -> dict[str, list[Seen]]:
    out: dict[str, list[Seen]] = {"plain": [], "busy": [], "rest": [], "refused": []}
    for turn in range(number * TURNS, (number + 1) * TURNS):
        out["plain"] += await _ask(gateway, [f"plain-{turn}"])
        out["busy"] += await _ask(gateway, [f"busy-{turn}"])
        out["rest"] += await _ask(gateway, [f"busy-{turn}"])
    for turn in range(number * REFUSALS, (number + 1) * REFUSALS):
        out["refused"] += await _ask(gateway, [f"refused-{turn}"])
    return out


async def _ask(gateway: Gateway, agents: list[str]) -> list[Seen]:
    async with Line(gateway.port) as line:
        bodies = (request(f"openclaw/{agent}", stream=True) for agent in agents)
        return [await line.ask(message(gateway.port, body, (BEARER,))) for body in bodies]


def _setting(lab: Lab, found: Origins) -> Setting:
    api, key = "openai-completions", "bench-key"
    nobody = f"http://127.0.0.1:{free_port()}/v1"
    agents: list[dict[str, object]] = [{"id": "warm", "model": GOOD}, _falling("warm-busy", "busy/warm")]
    for number in range(lab.rounds * TURNS):
        agents += [{"id": f"plain-{number}", "model": GOOD}, _falling(f"busy-{number}", f"busy/m{number}")]
    agents += [_falling(f"refused-{number}", f"nobody/m{number}") for number in range(lab.rounds * REFUSALS)]
    return Setting(
        providers={
            "busy": {"api": api, "baseUrl": found.busy, "apiKey": key},
            "nobody": {"api": api, "baseUrl": nobody, "apiKey": key},
        },
        agents=tuple(agents),
    )


def _falling(name: str, primary: str) -> dict[str, object]:
    return {"id": name, "model": {"primary": primary, "fallbacks": [GOOD]}}
