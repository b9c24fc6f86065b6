"""Declarations that say so much that they say nothing: whoever declares everything has declared nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from openclaw.policy.skill.head import Powers

_SECOND: Final = frozenset(("co", "com", "org", "net", "gov", "ac", "edu", "or", "ne", "go"))
_HOSTING_TEXT: Final = """
    github.io gitlab.io vercel.app netlify.app pages.dev workers.dev herokuapp.com web.app firebaseapp.com amazonaws.com
    s3.amazonaws.com cloudfront.net azurewebsites.net blob.core.windows.net appspot.com run.app onrender.com fly.dev
    blogspot.com ngrok.io ngrok-free.app glitch.me repl.co replit.app surge.sh duckdns.org googleusercontent.com
"""
_HOSTING: Final = frozenset(_HOSTING_TEXT.split())
"""Below these anybody has a host."""
_BROAD: Final = re.compile(r"[~/]|[~$/][^/]*/?|(?:/home|/users|/root)/[^/]*/?|.*(?:^|/)\.\.(?:/.*)?|[*]+", re.I)


def too_broad(declared: Powers) -> Iterator[tuple[str, str]]:
    """Return (kind, value) of what is too broad."""
    for host in declared.network:
        name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
        if name == "*" or (name.startswith("*.") and _is_public(name[2:])):
            yield "network", host
    for kind in ("read", "write"):
        for path in getattr(declared, kind):
            if path != "." and _BROAD.fullmatch(path):
                yield kind, path
    for kind in ("programs", "secrets"):
        if "*" in getattr(declared, kind):
            yield kind, "*"


def _is_public(suffix: str) -> bool:
    labels = suffix.split(".")
    return len(labels) == 1 or suffix in _HOSTING or (len(labels) == 2 and labels[0] in _SECOND and len(labels[1]) == 2)
