"""The OpenAPI 3.1 document, made from the route table: what is served is what is described."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from http import HTTPStatus
from typing import Any, Final

import msgspec

from openclaw.listeners.operation import EVENTS_MEDIA, JSON_MEDIA, TEXT_MEDIA, Failure, Operation
from openclaw.listeners.router import Route

OPENAPI: Final = "3.1.0"
_REF: Final = "#/components/schemas/{name}"
_NEEDS_TOKEN: Final[list[dict[str, list[str]]]] = [{"bearer": []}]
_REASONS: Final = {
    400: "The request is malformed.",
    401: "There is no credential, or it is not a good one.",
    403: "The credential lacks the scope, or the request came by a name or proxy that is not known.",
    404: "What is named does not exist.",
    409: "The run was stopped.",
    413: "The body is too large.",
    415: "The body is not JSON.",
    422: "The run reached a limit, or its answer was filtered.",
    429: "Too many requests, or the session or the model is busy; see Retry-After.",
    502: "The model failed.",
    503: "The gateway or the model cannot serve this now; see Retry-After.",
    504: "The model did not answer in time.",
}
_EXAMPLES: Final = {"model": "openclaw", "agent": "default", "name": "default", "more": "push", "id": "resp_0"}
"""Values of path parameters that a reader, or a program that tries everything, may begin with."""
_EVENTS_DOC: Final = {"type": "string", "description": "Server-sent events; the last is `data: [DONE]`."}


def document(routes: Iterable[Route], version: str, base_path: str = "") -> dict[str, Any]:
    """Return the document for a route table. Every route must have its Operation."""
    described = [(route, route.doc) for route in routes if route.doc is not None]
    types = [kind for _, doc in described for kind in (doc.request, doc.answer, doc.refusal) if kind is not None]
    schemas, components = msgspec.json.schema_components([Failure, *types], ref_template=_REF)
    shapes = dict(zip([Failure, *types], schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for route, doc in described:
        for method in route.methods:
            paths.setdefault(route.path, {})[method.lower()] = _operation(route, doc, method, shapes)
    _link(paths)
    return {
        "openapi": OPENAPI,
        "info": {
            "title": "openclaw gateway",
            "version": version,
            "description": "Every HTTP operation that this gateway serves. The Gateway protocol over WebSocket, and "
            "the agent API at `/v1/agent/{name}`, share its port.",
        },
        **({"servers": [{"url": base_path}]} if base_path else {}),
        "paths": paths,
        "components": {
            "schemas": dict(sorted(components.items())),
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "description": "The gateway's token or password."}
            },
        },
    }


def _link(paths: dict[str, dict[str, Any]]) -> None:
    """Say which operations take the id that a POST answers with."""
    for path, methods in paths.items():
        takers = [
            operation
            for other, others in paths.items()
            if other.startswith(f"{path}/{{id}}")
            for operation in others.values()
        ]
        if "post" in methods and takers:
            methods["post"]["responses"]["200"]["links"] = {
                taker["operationId"]: {
                    "operationId": taker["operationId"],
                    "parameters": {"id": "$response.body#/id"},
                }
                for taker in takers
            }


def operation_id(route: Route, method: str) -> str:
    """Return a name that is one operation's own."""
    words = [word for word in re.split(r"[^A-Za-z0-9]+", route.path) if word]
    return "_".join([method.lower(), *words])


def _operation(route: Route, doc: Operation, method: str, shapes: dict[Any, dict[str, Any]]) -> dict[str, Any]:
    out: dict[str, Any] = {"operationId": operation_id(route, method), "tags": [route.group], "summary": doc.summary}
    out["security"] = {"public": [], "local": [{}, *_NEEDS_TOKEN], "token": _NEEDS_TOKEN}[route.access]
    parameters = [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {"type": "string", "minLength": 1},
            "example": _EXAMPLES[name],
        }
        for name in re.findall(r"\{(\w+)\}", route.path)
    ]
    parameters += [
        {"name": name, "in": "header", "required": False, "description": text, "schema": {"type": "string"}}
        for name, text in doc.headers
    ]
    if parameters:
        out["parameters"] = parameters
    if doc.request is not None:
        out["requestBody"] = {"required": doc.needs_body, "content": {JSON_MEDIA: {"schema": shapes[doc.request]}}}
    elif doc.takes:
        body = {"type": "string", "contentMediaType": doc.takes}
        out["requestBody"] = {"required": True, "content": {doc.takes: {"schema": body}}}
    out["responses"] = _responses(route, doc, method, shapes)
    if route.scope is not None:
        out["x-scope"] = route.scope
    return out


def _responses(route: Route, doc: Operation, method: str, shapes: dict[Any, dict[str, Any]]) -> dict[str, Any]:
    content: dict[str, Any] = {}
    if method != "HEAD":
        text: dict[str, Any] = {} if doc.media == EVENTS_MEDIA else {"type": "string"}
        content[doc.media] = {"schema": shapes[doc.answer] if doc.answer is not None else text}
        if doc.streams:
            content[EVENTS_MEDIA] = {"schema": _EVENTS_DOC}
    out: dict[str, Any] = {}
    for status in doc.statuses:
        out[str(status)] = {"description": HTTPStatus(status).phrase, **({"content": content} if content else {})}
    failure: dict[str, Any] = {JSON_MEDIA: {"schema": shapes[Failure]}}
    if doc.refusal is not None:
        either = {"anyOf": [shapes[Failure], shapes[doc.refusal]]}
        failure = {JSON_MEDIA: {"schema": either}, TEXT_MEDIA: {"schema": {"type": "string"}}}
    for status in errors_of(route, doc):
        out.setdefault(str(status), {"description": _REASONS[status], "content": failure})
    return out


def errors_of(route: Route, doc: Operation) -> Sequence[int]:
    """Return every status of a refusal: those of all routes, of the credential, of the body, and the route's own."""
    found = {400, 403, *doc.errors}
    if route.access != "public":
        found |= {401, 429}
    if doc.request is not None or doc.takes:
        found |= {413, 415}
    return sorted(found)
