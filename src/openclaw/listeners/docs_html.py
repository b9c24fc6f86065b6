"""The page `/docs`: an OpenAPI document as HTML. Loaded when somebody looks at it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from html import escape
from typing import Any, Final

from openclaw.listeners.schema_text import kind, properties

STYLE: Final = """
:root{color-scheme:light dark}
body{font:15px/1.5 system-ui,sans-serif;max-width:62rem;margin:0 auto;padding:2rem 1.25rem 6rem}
h1{font-size:1.6rem;margin:0}h2{font-size:1.15rem;margin:3rem 0 .5rem}h4{margin:1rem 0 .25rem;font-size:.85rem}
p{margin:.35rem 0}code{font:13px/1.4 ui-monospace,monospace}a{color:#1a66c9;text-decoration:none}
a:hover{text-decoration:underline}.lead,small,.meta{color:#6b7280}
article{border:1px solid #8884;border-radius:8px;padding:.8rem 1rem 1rem;margin:.9rem 0}
article>h3{margin:0;font-size:1rem;font-weight:600}
.m{display:inline-block;min-width:3.6rem;text-align:center;font:600 12px ui-monospace,monospace;color:#fff;
border-radius:4px;padding:.15rem .4rem;margin-right:.6rem;background:#4b5563}
.get{background:#1d6f42}.post{background:#1a56a8}.delete{background:#a52a2a}
table{border-collapse:collapse;width:100%;margin:.25rem 0}
td{text-align:left;vertical-align:top;padding:.25rem .75rem .25rem 0;border-top:1px solid #8883}
td:first-child{white-space:nowrap;width:1%}
nav ul{columns:2;padding:0;margin:.5rem 0;list-style:none}nav li{break-inside:avoid;padding:.1rem 0}
@media(max-width:40rem){nav ul{columns:1}}@media(prefers-color-scheme:dark){a{color:#7ab7ff}}
"""
_GROUPS: Final = {"api": "For programs", "probes": "For monitors", "control": "For proxies and people"}


def render(described: Mapping[str, Any]) -> str:
    """Return the page of a document: plain HTML without scripts or other files."""
    found: dict[str, list[tuple[str, str, Mapping[str, Any]]]] = {}
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            if method != "head":
                found.setdefault(operation["tags"][0], []).append((method, path, operation))
    info = described["info"]
    out = [
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>",
        f"<title>{escape(info['title'])}</title><style>{STYLE}</style>",
        f"<h1>{escape(info['title'])}</h1><p class=lead>Version {escape(info['version'])} · ",
        "<a href=openapi.json>openapi.json</a> · send <code>Authorization: Bearer &lt;token&gt;</code></p><nav>",
    ]
    ordered = [(_GROUPS[group], found[group]) for group in _GROUPS if group in found]
    for title, operations in ordered:
        out.append(f"<h4>{title}</h4><ul>")
        out += [f"<li><a href='#{op['operationId']}'>{_badge(method, path)}</a>" for method, path, op in operations]
        out.append("</ul>")
    out.append("</nav>")
    for title, operations in ordered:
        out.append(f"<h2>{title}</h2>")
        out += [_operation(method, path, operation) for method, path, operation in operations]
    out.append("<h2>Shapes</h2><p class=meta>A star marks what must be there.</p>")
    out += [_schema(name, schema) for name, schema in described["components"]["schemas"].items()]
    return "".join(out)


def _badge(method: str, path: str) -> str:
    return f"<span class='m {method}'>{method.upper()}</span><code>{escape(path)}</code>"


def _operation(method: str, path: str, operation: Mapping[str, Any]) -> str:
    who = "anyone" if not operation["security"] else "this machine, or the token" if {} in operation["security"] else ""
    scope = f" · scope <code>{operation['x-scope']}</code>" if "x-scope" in operation else ""
    out = [
        f"<article id='{operation['operationId']}'><h3>{_badge(method, path)}</h3>",
        f"<p>{_prose(operation['summary'])}</p>",
        f"<p class=meta>for {who or 'holders of the token'}{scope}</p>",
    ]
    rows = [
        f"<tr><td><code>{escape(each['name'])}</code><td>{each['in']}<td>{_prose(each.get('description', ''))}"
        for each in operation.get("parameters", ())
    ]
    if rows:
        out.append(f"<h4>Parameters</h4><table>{''.join(rows)}</table>")
    if "requestBody" in operation:
        out.append(f"<h4>Body</h4><p>{_content(operation['requestBody']['content'])}</p>")
    answers = [
        f"<tr><td>{status}<td>{_content(answer.get('content', {}))}<td><small>{escape(answer['description'])}</small>"
        for status, answer in operation["responses"].items()
    ]
    out.append(f"<h4>Answers</h4><table>{''.join(answers)}</table></article>")
    return "".join(out)


def _content(content: Mapping[str, Any]) -> str:
    pieces = []
    for media, each in content.items():
        shape = _linked(kind(each["schema"]))
        pieces.append(shape if media == "application/json" else f"<code>{media}</code>")
    return " or ".join(pieces)


def _schema(name: str, schema: Mapping[str, Any]) -> str:
    rows = "".join(
        f"<tr><td><code>{escape(each.name)}</code>{' *' if each.required else ''}<td>{_linked(each.kind)}"
        for each in properties(schema)
    )
    text = _prose(schema.get("description", ""))
    return f"<article id='shape-{escape(name)}'><h3>{escape(name)}</h3><p>{text}</p><table>{rows}</table></article>"


def _linked(text: str) -> str:
    return re.sub(r"\[\[(\w+)\]\]", r"<a href='#shape-\1'>\1</a>", escape(text, quote=False))


def _prose(text: str) -> str:
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(" ".join(text.split()), quote=False))
