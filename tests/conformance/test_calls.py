"""The conversations of `calls3` and `calls4`, played in order against a real gateway, one test a call."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.conformance import calls3, calls4
from tests.conformance.calls import Call, Error, filled, mismatch, refused_otherwise
from tests.conformance.schema import frame_faults, result_faults
from tests.conformance.wire import Frame, Wire, client
from tests.gateway.process import gateway


async def _played(wire: Wire, call: Call, memory: dict[str, Any]) -> str | None:
    """Make one call; say what was wrong with it."""
    before = len(wire.frames)
    id_ = await wire.begin(call.method, filled(call.params, memory))

    def answers(frame: Frame) -> bool:
        return frame.get("id") == id_

    first = await wire.until(answers)
    if isinstance(call.answer, Error):
        return refused_otherwise(call.answer, first)
    if not first["ok"]:
        return f"it was refused: {first['error']}"
    if (wrong := mismatch(call.answer, first["payload"])) is not None:
        return wrong
    memory.update({name: first["payload"].get(key) for name, key in call.keep.items()})
    for event in call.events:
        try:
            await wire.until(
                lambda frame, event=event: (  # type: ignore[misc]  # bound now
                    frame.get("event") == event.name and mismatch(event.payload, frame["payload"]) is None
                ),
                before,
            )
        except TimeoutError:
            return f"no event {event}"
    if call.then is not None:
        second = await wire.until(answers, wire.frames.index(first) + 1)
        return mismatch(call.then, second.get("payload"))
    return None


async def _play(
    url: str, protocol: int, calls: Sequence[Call], memory: dict[str, Any]
) -> tuple[list[str | None], Wire]:
    outcomes: list[str | None] = []
    async with client(url, protocol) as wire:
        for call in calls:
            try:
                outcomes.append(await _played(wire, call, memory))
            except (TimeoutError, ConnectionError) as error:
                outcomes.append(f"no answer: {error!r}")
    return outcomes, wire


class Played:
    """What became of a conversation."""

    def __init__(self, folder: Path, protocol: int, calls: Sequence[Call]) -> None:
        self.calls = calls
        asyncio.run(self._run(folder, protocol))

    async def _run(self, folder: Path, protocol: int) -> None:
        async with gateway(folder / "state", "fake/fake-n20") as running:
            memory: dict[str, Any] = {"bob": str(folder / "bob")}
            self.outcomes, self.wire = await _play(running.ws_url, protocol, self.calls, memory)
        self.log = running.output()


@pytest.fixture(scope="module")
def played3(tmp_path_factory: pytest.TempPathFactory) -> Played:
    """The conversation of protocol 3."""
    return Played(tmp_path_factory.mktemp("p3"), 3, calls3.CALLS)


@pytest.fixture(scope="module")
def played4(tmp_path_factory: pytest.TempPathFactory) -> Played:
    """The conversation of protocol 4."""
    return Played(tmp_path_factory.mktemp("p4"), 4, calls4.CALLS)


def _rows(calls: Sequence[Call]) -> list[Any]:
    return [pytest.param(at, id=f"{at:03d}-{call.id}") for at, call in enumerate(calls)]


@pytest.mark.parametrize("at", _rows(calls3.CALLS))
def test_protocol_3(at: int, played3: Played) -> None:
    assert played3.outcomes[at] is None


@pytest.mark.parametrize("at", _rows(calls4.CALLS))
def test_protocol_4(at: int, played4: Played) -> None:
    assert played4.outcomes[at] is None


@pytest.mark.usefixtures("packages")
def test_every_frame_of_the_conversation_is_what_the_schema_says(played4: Played) -> None:
    assert [(frame, faults) for frame in played4.wire.frames if (faults := frame_faults(frame))] == []


@pytest.mark.usefixtures("packages")
def test_every_answer_of_the_conversation_is_what_the_schema_says(played4: Played) -> None:
    answers = {frame["id"]: frame for frame in reversed(played4.wire.frames) if frame["type"] == "res"}
    found = [
        (call.id, faults)
        for number, call in enumerate(played4.calls, 1)
        if (answer := answers.get(str(number)))
        and answer["ok"]
        and (faults := result_faults(call.method, answer["payload"]))
    ]
    assert found == []


@pytest.mark.parametrize("protocol", [3, 4])
def test_no_event_is_lost_and_nothing_goes_wrong_inside(protocol: int, request: pytest.FixtureRequest) -> None:
    played: Played = request.getfixturevalue(f"played{protocol}")
    numbers = [frame["seq"] for frame in played.wire.frames if "seq" in frame]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    assert "Traceback" not in played.log
    assert "rpc_failed" not in played.log
