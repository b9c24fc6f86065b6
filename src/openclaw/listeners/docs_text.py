"""docs/http.md, made from the OpenAPI document."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from openclaw.listeners.schema_text import Schema, kind, properties

_HEAD: Final = """# HTTP

Everything below is served on the gateway's one port, together with the Gateway protocol ([rpc.md](rpc.md)) over
WebSocket. A running gateway describes itself at `/openapi.json`, and shows it as a page at `/docs`.

    curl http://127.0.0.1:18789/v1/chat/completions -H "Authorization: Bearer $TOKEN" \\
      -H "Content-Type: application/json" -d '{"messages": [{"role": "user", "content": "Hello"}]}'

- **Who may call.** Routes for holders of the token need `Authorization: Bearer <token>`. Some answer programs on the
  same machine without it, and the probes answer anyone. A wrong token is 401, too many wrong ones 429.
- **Models** are agents: `openclaw` is the default one, `openclaw/<agent>` any other. The header `x-openclaw-model`
  takes a `provider/model` instead of the agent's own.
- **Sessions.** A request stands alone and brings its own history. `user`, or the header `x-openclaw-session-key`, keeps
  the conversation in a session; then only what follows the last answer counts as new. A response of `/v1/responses` is
  continued by `previous_response_id` for as long as `session.ephemeralHours` says; `store` does not change that.
- **Tools of the caller.** `tools` are offered to the model beside the agent's own. A call of one ends the answer
  (`finish_reason` "tool_calls", or `function_call` items); the caller runs it and sends the result back. The agent's
  own tools run inside the gateway, and are not told. A `tool_choice` that forces a
  call leaves the caller's tools alone on offer; providers whose API cannot force one are asked for it in words. With
  "none" they are not offered.
- **Thinking.** `reasoning_effort` (`reasoning.effort` of a response) says how much a model that can think does so
  before it answers: none, minimal, low, medium, high. Others ignore it.
- **Streams** are server-sent events and end with `data: [DONE]`. A run that fails before its first word is an HTTP
  error; after it, an event says so. Hanging up stops a run that nobody can come back to.
- **Failures** have one shape, and never a 5xx for bad input: `{"error": {"message", "type", "code"?, "hint"?}}`, see
  [errors.md](errors.md). Bodies over the limit are 413, other types than JSON 415, other methods 405 with `Allow`.
"""
_WHO: Final = {0: "anyone", 1: "holders of the token", 2: "programs on this machine, and holders of the token"}


def markdown(described: Mapping[str, Any]) -> str:
    """Return the page of a document."""
    lines = [_HEAD]
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            if method != "head":
                lines += _operation(method, path, operation)
    lines += ["## Shapes", "", "A field that must be there has a star."]
    for name, schema in described["components"]["schemas"].items():
        lines += _shape(name, schema)
    return "\n".join(lines) + "\n"


def _operation(method: str, path: str, operation: Mapping[str, Any]) -> list[str]:
    scope = f", scope `{operation['x-scope']}`" if "x-scope" in operation else ""
    lines = [f"## {method.upper()} {path}", "", operation["summary"], ""]
    lines.append(f"- For {_WHO[len(operation['security'])]}{scope}.")
    if "requestBody" in operation:
        lines.append(f"- Takes {_content(operation['requestBody']['content'])}.")
    given, refused, other = [], [], ""
    for status, answer in operation["responses"].items():
        content = _content(answer.get("content", {}))
        if content.startswith("[Failure](#failure)"):
            refused.append(status)
            other = content.removeprefix("[Failure](#failure)")
        else:
            given.append(f"{status}: {content}")
    also = f" (also as {other.removeprefix(' or ')})" if other else ""
    lines.append(f"- Answers {'; '.join(given)}; refuses with {', '.join(refused)}{also}.")
    for each in operation.get("parameters", ()):
        if each["in"] == "header":
            lines.append(f"- Header `{each['name']}`: {each['description']}")
    return [*lines, ""]


def _content(content: Mapping[str, Any]) -> str:
    shapes = [
        _linked(kind(each["schema"])) if media == "application/json" else f"`{media}`"
        for media, each in content.items()
    ]
    return " or ".join(shapes)


def _shape(name: str, schema: Schema) -> list[str]:
    text = " ".join(str(schema.get("description", "")).split())
    lines = ["", f"### {name}", "", text, ""]
    for each in properties(schema):
        lines.append(f"- `{each.name}`{'*' if each.required else ''}: {_linked(each.kind)}")
    return lines


def _linked(text: str) -> str:
    return re.sub(r"\[\[(\w+)\]\]", lambda found: f"[{found[1]}](#{found[1].lower()})", text)
