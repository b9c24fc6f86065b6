"""A run in the events of the Responses API.

Order: created, in_progress, then per item added … done, then completed, incomplete or failed, then `[DONE]`. Every
event but the last has the next `sequence_number`. The message item opens with the first text.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from openclaw.agent.api import Run
from openclaw.base.errors import InternalError
from openclaw.base.model import TextDelta
from openclaw.base.run import Reply, RunEnded, RunEvent
from openclaw.listeners.http import Request
from openclaw.listeners.openai_api.answer import raise_failure
from openclaw.listeners.openai_api.routes import SIGNS_OF_LIFE
from openclaw.listeners.responses_api.answer import (
    FunctionCall,
    OutputText,
    ResponseObject,
    ended,
    message_id,
    output,
    text_item,
)

_encode = msgspec.json.Encoder().encode
_DONE = b"data: [DONE]\n\n"
_SPEAKS = (TextDelta, *SIGNS_OF_LIFE)
_DELTA = b"event: response.output_text.delta\ndata: "


class Narrator:
    """Tells one run. Pure: events in, bytes out."""

    def __init__(self, start: ResponseObject, run_id: str) -> None:
        self._start = start
        self._run_id = run_id
        self._sequence = 0
        self._said: list[str] | None = None
        """The text so far, None until the message item is open."""
        place = {"item_id": message_id(run_id), "output_index": 0, "content_index": 0}
        self._place = place
        body = _encode({"type": "response.output_text.delta", **place, "logprobs": []})
        self._delta = _DELTA + body[:-1] + b',"delta":%b,"sequence_number":%d}\n\n'

    def begin(self) -> bytes:
        """The two events before everything."""
        return self._whole("response.created", self._start) + self._whole("response.in_progress", self._start)

    def say(self, batch: Sequence[RunEvent]) -> tuple[bytes, Reply | None]:
        """Return a batch's events, and the reply if it was in it."""
        out: list[bytes] = []
        for event in batch:
            if type(event) is TextDelta:
                if self._said is None:
                    out.append(self._open())
                    self._said = []
                self._said.append(event.text)
                out.append(self._delta % (_encode(event.text), self._next()))
            elif type(event) is RunEnded:
                return b"".join(out), event.reply
        return b"".join(out), None

    def end(self, reply: Reply) -> bytes:
        """Close what is open and tell how it ended."""
        out = [self._close(reply)] if self._said is not None else []
        for index, item in enumerate(output(reply)):
            if isinstance(item, FunctionCall):
                out.append(self._call(index, item))
        response = ended(self._start, reply)
        kind = response.status if response.status in ("completed", "incomplete") else "failed"
        out += [self._whole(f"response.{kind}", response), _DONE]
        return b"".join(out)

    def _open(self) -> bytes:
        item = msgspec.structs.replace(text_item(self._run_id, "", "in_progress"), content=[])
        return self._event("response.output_item.added", output_index=0, item=item) + self._event(
            "response.content_part.added", **self._place, part=OutputText("")
        )

    def _close(self, reply: Reply) -> bytes:
        text = "".join(self._said or ())
        item = text_item(self._run_id, text, "completed" if reply.state == "ok" else "incomplete")
        return (
            self._event("response.output_text.done", **self._place, text=text, logprobs=[])
            + self._event("response.content_part.done", **self._place, part=OutputText(text))
            + self._event("response.output_item.done", output_index=0, item=item)
        )

    def _call(self, index: int, call: FunctionCall) -> bytes:
        opened = msgspec.structs.replace(call, arguments="", status="in_progress")
        place = {"item_id": call.id, "output_index": index}
        return b"".join(
            (
                self._event("response.output_item.added", output_index=index, item=opened),
                self._event("response.function_call_arguments.delta", **place, delta=call.arguments),
                self._event("response.function_call_arguments.done", **place, name=call.name, arguments=call.arguments),
                self._event("response.output_item.done", output_index=index, item=call),
            )
        )

    def _next(self) -> int:
        number = self._sequence
        self._sequence += 1
        return number

    def _whole(self, kind: str, response: ResponseObject) -> bytes:
        return self._event(kind, response=response)

    def _event(self, kind: str, **fields: Any) -> bytes:
        body = _encode({"type": kind, **fields, "sequence_number": self._next()})
        return b"event: %b\ndata: %b\n\n" % (kind.encode(), body)


async def stream(request: Request, run: Run, start: ResponseObject) -> None:
    """Relay the run; one send per batch. Nothing is sent before it is known that the run speaks."""
    narrator, started = Narrator(start, run.inbound.run_id), False
    async for batch in run.events():
        head = b""
        if not started:
            last = batch[-1]
            if isinstance(last, RunEnded):
                raise_failure(last.reply)
            elif not any(isinstance(event, _SPEAKS) for event in batch):
                continue
            started = True
            await request.start_events()
            head = narrator.begin()
        spoken, reply = narrator.say(batch)
        if reply is not None:
            await request.end_events(head + spoken + narrator.end(reply))
            return
        if head or spoken:
            await request.send_events(head + spoken)
    raise InternalError("the run's events ended without an end")
