"""No code but the rooms that are there for it opens a connection: everything else asks HttpClient, and so the door."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import openclaw

SRC = Path(openclaw.__file__).parent
_LIBRARIES = """
    aiohttp socket socketserver http.client urllib.request urllib3 requests httpx httpx2 websockets websocket
    botocore boto3 aioboto3 smtplib ftplib telnetlib imaplib poplib nntplib xmlrpc asyncssh paramiko dns aiodns pycurl
    grpc asyncpg psycopg redis mcp
"""
LIBRARIES = frozenset(_LIBRARIES.split())
_CALLS = """
    open_connection open_unix_connection create_connection create_unix_connection create_datagram_endpoint
    sock_connect start_tls getaddrinfo gethostbyname urlopen urlretrieve
"""
CALLS = frozenset(_CALLS.split())
MAY = {
    "net/egress.py": "socket",
    "net/pinned.py": "socket aiohttp getaddrinfo create_connection",
    "net/onward.py": "socket sock_connect",
    "net/http.py": "aiohttp",
    "net/response.py": "aiohttp",
    "net/notify.py": "socket",
    "net/aws.py": "botocore",
    "net/child_proxy.py": "socket open_connection",
    "client/http.py": "http.client",
    "client/inspect.py": "http.client socket create_connection getaddrinfo",
    "client/ws.py": "websockets",
    "listeners/server.py": "socket",
    "listeners/ws_frames.py": "websockets",
    "tools/mcp/web.py": "httpx2",
    "tools/mcp/pipe.py": "mcp",
    "tools/mcp/connect.py": "httpx2 mcp",
    "models/bedrock/signing.py": "botocore",
    "ops/backup/s3.py": "botocore",
    "secrets/aws.py": "botocore",
    "processes/sandbox/carrier.py": "socket",
    "processes/sandbox/entrance.py": "socket",
}
"""What each file may use, and why it is no hole: `net` is behind the door; `client` is the operator's own line to a
gateway; `listeners` take connections; MCP's library runs over HttpClient, and botocore too (`net.aws`); the carrier
passes the loopback of a sandbox on to the proxy's Unix socket, and the entrance asks for bubblewrap by one."""


@cache
def trees() -> dict[str, ast.Module]:
    """Return every file of the program, parsed."""
    return {str(path.relative_to(SRC)): ast.parse(path.read_text()) for path in sorted(SRC.rglob("*.py"))}


def used(tree: ast.AST) -> Iterator[str]:
    """Yield what of it a file uses: libraries, also those loaded by name, and calls that connect."""
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name in CALLS:
                yield name
            names = [one.value for one in node.args if isinstance(one, ast.Constant) and isinstance(one.value, str)]
            names = names if "import" in name or "load" in name else []
        for name in names:
            parts = name.split(".")
            yield from (lib for lib in (parts[0], ".".join(parts[:2])) if lib in LIBRARIES)


def test_only_the_rooms_that_are_there_for_it_reach_the_network() -> None:
    found = {path: set(used(tree)) for path, tree in trees().items()}
    too_much = {path: names - set(MAY.get(path, "").split()) for path, names in found.items()}
    assert {path: names for path, names in too_much.items() if names} == {}
    assert {path for path in MAY if not found[path]} == set()


def test_a_new_way_out_would_be_seen() -> None:
    for text in (
        "import requests",
        "from http import client",
        "import http.client as x",
        "from urllib.request import urlopen",
        "importlib.import_module('aiohttp')",
        "__import__('socket')",
        "async def f(): await asyncio.open_connection('x', 1)",
    ):
        assert list(used(ast.parse(text))), text


def test_only_the_tools_way_out_makes_requests_for_tools() -> None:
    saying = [
        path
        for path, tree in trees().items()
        if any(
            isinstance(node, ast.keyword)
            and node.arg == "purpose"
            and isinstance(node.value, ast.Constant)
            and node.value.value == "tools"
            for node in ast.walk(tree)
        )
    ]
    # Skills come over git with a way of their own class: no connection is kept for them either.
    assert saying == ["ops/skill_git.py", "tools/builtin/egress.py"]
