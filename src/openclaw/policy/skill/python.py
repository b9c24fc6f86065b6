"""What a Python file makes use of, told from its syntax tree. The file is parsed, never compiled, imported or run.

1. Names are followed through imports (`import os as o`, `from os import system as s`). A dangerous name that is
   mentioned, but not simply called with literals, is taken for the worst that can be done with it.
2. What is made at run time (code, attribute names, modules) cannot be told: it fails.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Final

from openclaw.policy.skill.finding import Notes, Power, Row
from openclaw.policy.skill.shell import SHELL_NAMES, read_shell
from openclaw.policy.skill.web import ANY, NAMESPACES, hosts

MAX_BYTES: Final = 96 * 1024
"""The parser holds the interpreter until it is done."""
MAX_NODES: Final = 200_000
MAX_PARTS: Final = 16
_HARMLESS_TEXT: Final = """
    HOME PATH USER LOGNAME LANG LC_ALL TMPDIR TEMP TMP PWD SHELL TERM TZ COLUMNS LINES NO_COLOR EDITOR
    XDG_CACHE_HOME XDG_CONFIG_HOME XDG_DATA_HOME DEBUG
"""
HARMLESS: Final = frozenset(_HARMLESS_TEXT.split())
"""Variables that hold no secret."""

_NETWORK_TEXT: Final = """
    socket ssl urllib urllib2 urllib3 http httplib requests httpx aiohttp ftplib smtplib poplib imaplib telnetlib
    nntplib xmlrpc websocket websockets paramiko asyncssh pycurl grpc boto3 botocore socketserver twisted tornado
    dns scapy telebot discord slack_sdk openai anthropic google playwright selenium
"""
_NETWORK: Final = frozenset(_NETWORK_TEXT.split())
_CODE_TEXT: Final = """
    eval exec compile __import__ execfile breakpoint globals locals importlib.import_module importlib.reload
    importlib.util importlib.machinery sys.modules sys.meta_path sys.path_hooks sys.settrace types.FunctionType
    types.CodeType yaml.load yaml.unsafe_load shelve.open joblib.load torch.load
"""
_CODE: Final = frozenset(_CODE_TEXT.split())
_CODE_MODULES_TEXT: Final = """
    ctypes cffi marshal pickle cPickle dill imp runpy code codeop pty gc inspect zipimport
"""
_CODE_MODULES: Final = frozenset(_CODE_MODULES_TEXT.split())
_MODULES_TEXT: Final = """
    os sys subprocess builtins shutil socket importlib asyncio posix nt
"""
_RAW: Final = frozenset(("socket", "socketserver", "paramiko", "asyncssh", "telnetlib", "ftplib", "smtplib", "scapy"))
"""Modules that reach hosts which no address names."""
_MODULES: Final = frozenset(_MODULES_TEXT.split())
_SPAWN: Final = re.compile(
    r"os\.(?:system|popen\w*|exec[lv]p?e?|spawn\w+|posix_spawnp?|fork\w*|startfile)"
    r"|subprocess\.(?!PIPE|DEVNULL|STDOUT|\w*Error|TimeoutExpired|CompletedProcess)\w+"
    r"|commands\.\w+|popen2\.\w+|asyncio\.create_subprocess_\w+|multiprocessing\.\w+|pexpect\.\w+|sh\.\w+"
    r"|concurrent\.futures\.ProcessPoolExecutor|webbrowser\.open\w*"
)
_CONNECTS: Final = re.compile(r"asyncio\.(?:open_connection|open_unix_connection|start_server|start_unix_server)")
_TEXT_SHELL: Final = frozenset(
    ("os.system", "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput", "commands.getoutput")
)
_READS: Final = frozenset(("open", "io.open", "codecs.open", "os.open"))
_CHANGES: Final = re.compile(
    r"os\.(?:remove|unlink|rename|replace|rmdir|removedirs|chmod|chown|link|symlink|truncate|makedirs|mkdir)"
    r"|shutil\.(?:rmtree|move|copy\w*|chown|make_archive|unpack_archive)"
)
_METHODS_WRITE: Final = frozenset(
    ["write_text", "write_bytes", "unlink", "rmdir", "touch", "symlink_to", "hardlink_to"]
)
_METHODS_READ: Final = frozenset(["read_text", "read_bytes", "iterdir", "glob", "rglob"])
_BEHIND_TEXT: Final = """
    __subclasses__ __globals__ __builtins__ __code__ __closure__ __mro__ __bases__ __loader__ __getattribute__
    __dict__ __import__ f_globals f_locals f_back gi_frame tb_frame
"""
_BEHIND: Final = frozenset(_BEHIND_TEXT.split())
_KEEPERS: Final = frozenset(("keyring", "secretstorage", "browser_cookie3", "pycookiecheat", "win32crypt", "rookiepy"))
"""Modules that open where keys and cookies are kept."""


def read_python(text: str, file: str, notes: Notes, first: int = 1) -> None:
    """Note what a Python text does. `first` is the line of the file that it begins on."""
    if len(text.encode("utf-8", "replace")) > MAX_BYTES:
        notes.fail("processes", "a program too large to be judged", file)
        return
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        notes.fail("processes", "Python that cannot be read, so that nobody can say what it does", file, first)
        return
    _Reader(file, notes, first).read(tree)


class _Reader:
    def __init__(self, file: str, notes: Notes, first: int) -> None:
        self._file = file
        self._notes = notes
        self._first = first
        self._names: dict[str, str] = {}
        self._seen: set[int] = set()
        self._named = False

    def read(self, tree: ast.Module) -> None:
        """Note what a module does: first its imports, then what it calls, then what it mentions besides."""
        nodes = list(islice(ast.walk(tree), MAX_NODES + 1))
        if len(nodes) > MAX_NODES:
            self._fail("processes", "a program too large to be judged", tree)
            return
        for node in nodes:
            if isinstance(node, ast.Import | ast.ImportFrom):
                self._import(node)
        for node in nodes:
            self._use(node)
        roots = {name.split(".")[0] for name in self._names.values()}
        if roots & _RAW or (roots & _NETWORK and not self._named):
            self._power("network", ANY, tree)
        bases = {id(node.value) for node in nodes if isinstance(node, ast.Attribute)}
        for node in nodes:
            if isinstance(node, ast.Attribute | ast.Name) and id(node) not in self._seen:
                self._mention(node, is_base=id(node) in bases)

    def _use(self, node: ast.AST) -> None:
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            if "{" in node.value and any(name in node.value for name in _BEHIND):
                self._fail("processes", "it reaches behind the language through a format", node)
            for host in hosts(node.value):
                if host not in NAMESPACES:
                    self._named = True
                    self._power("network", host, node)
        elif isinstance(node, ast.Call):
            self._call(node)
        elif isinstance(node, ast.Subscript):
            self._subscript(node)
        elif isinstance(node, ast.Compare) and isinstance(node.left, ast.Constant):
            self._seen.update(map(id, node.comparators))

    def _import(self, node: ast.Import | ast.ImportFrom) -> None:
        module = (node.module or "") if isinstance(node, ast.ImportFrom) else ""
        for alias in node.names:
            whole = f"{module}.{alias.name}".strip(".")
            root = whole.split(".")[0]
            if alias.name == "*" and root in _MODULES | _NETWORK:
                self._fail("processes", f"it imports every name of {module}", node)
            if root in _CODE_MODULES:
                self._fail("processes", f"it imports {root}, which reaches behind the language", node)
            if root in _KEEPERS:
                self._fail("secrets", f"it imports {root}, which opens where keys are kept", node)
            if alias.asname or module:
                self._names[alias.asname or alias.name] = whole
            else:
                self._names[root] = root

    def _dotted(self, node: ast.AST) -> str:
        """Return the whole name of what is mentioned; a name that was not imported, and has parts, begins with `?`.

        A module that is reached through another (`shutil.os.system`) counts as itself.
        """
        parts: list[str] = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name):
            return ""
        root = self._names.get(node.id, f"?{node.id}" if parts and "builtins" not in node.id else node.id)
        names = [root, *reversed(parts)]
        inner = [at for at, name in enumerate(names) if at and name.lstrip("_") in _MODULES]
        return ".".join(names[inner[-1] :]).lstrip("_") if inner else ".".join(names)

    def _call(self, node: ast.Call) -> None:
        name = self._dotted(node.func)
        handler = self._handler(name)
        if handler is not None:
            self._seen.update(map(id, ast.walk(node.func)))
            handler(name, node)
        elif isinstance(node.func, ast.Attribute) and node.func.attr in _METHODS_WRITE | _METHODS_READ:
            self._path("write" if node.func.attr in _METHODS_WRITE else "read", node.func.value, node)
        elif isinstance(node.func, ast.Attribute) and node.func.attr == "open":
            self._opens(node, None, holder=node.func.value)
        elif name == "vars" and (not node.args or self._dotted(node.args[0]) in _MODULES):
            self._fail("processes", "it reaches names that are made at run time", node)

    def _handler(self, name: str) -> Callable[[str, ast.Call], None] | None:
        if name in ("getattr", "setattr", "delattr"):
            return self._getattr
        if name in ("os.getenv", "os.environ.get", "os.environ.pop", "os.environ.setdefault"):
            return self._variable
        if name in _READS:
            return lambda _, node: self._opens(node, node.args[0] if node.args else None)
        if name in ("os.chdir", "os.fchdir", "os.chroot"):
            return lambda _, node: self._path("read", node.args[0] if node.args else None, node)
        if name in ("os.kill", "os.killpg"):
            return lambda name, node: self._fail("processes", f"it sends signals ({name})", node)
        if _CHANGES.fullmatch(name):
            return self._changes
        return self._spawns if _SPAWN.fullmatch(name) else None

    def _getattr(self, name: str, node: ast.Call) -> None:
        asked = node.args[1] if len(node.args) > 1 else None
        if not isinstance(asked, ast.Constant) or not isinstance(asked.value, str) or name != "getattr":
            self._fail("processes", "it reaches names that are made at run time", node)
            return
        whole = f"{self._dotted(node.args[0])}.{asked.value}"
        if asked.value in _BEHIND or whole in _CODE or _SPAWN.fullmatch(whole) or "builtins" in whole:
            self._fail("processes", f"it hides that it uses {whole}", node)

    def _variable(self, _: str, node: ast.Call) -> None:
        self._asked(node.args[0] if node.args else None, node)

    def _subscript(self, node: ast.Subscript) -> None:
        if self._dotted(node.value) == "os.environ":
            self._seen.update(map(id, ast.walk(node.value)))
            self._asked(node.slice, node)

    def _asked(self, name: ast.expr | None, node: ast.expr) -> None:
        if not isinstance(name, ast.Constant) or not isinstance(name.value, str):
            self._fail("secrets", "it reads variables whose names are made at run time", node)
        elif name.value not in HARMLESS:
            self._power("secrets", name.value, node)

    def _opens(self, node: ast.Call, path: ast.expr | None, holder: ast.expr | None = None) -> None:
        given = next((each.value for each in node.keywords if each.arg == "mode"), None)
        place = 0 if path is None else 1
        mode = given or (node.args[place] if len(node.args) > place else None)
        reads = mode is None or (
            isinstance(mode, ast.Constant) and isinstance(mode.value, str) and not set(mode.value) & set("wax+")
        )
        self._path("read" if reads else "write", holder or path, node)

    def _changes(self, _: str, node: ast.Call) -> None:
        for path in (*node.args[:2], *(() if node.args else (None,))):
            self._path("write", path, node)

    def _path(self, kind: Power, path: ast.AST | None, node: ast.expr) -> None:
        self._power(kind, self._told(path) if path is not None else ANY, node)

    def _told(self, path: ast.AST, depth: int = 0) -> str:
        """Return the path that an expression stands for as far as it can be told: `~/x`, `/etc/*`; `*` = not at all."""
        if depth > MAX_PARTS:
            return ANY
        if isinstance(path, ast.Constant):
            return path.value if isinstance(path.value, str) else ANY
        if isinstance(path, ast.JoinedStr):
            first = path.values[0] if path.values else None
            return f"{first.value}{ANY}" if isinstance(first, ast.Constant) and isinstance(first.value, str) else ANY
        if isinstance(path, ast.BinOp) and isinstance(path.op, ast.Div | ast.Add):
            left, right = self._told(path.left, depth + 1), self._told(path.right, depth + 1)
            joined = "/" if isinstance(path.op, ast.Div) else ""
            return ANY if left == ANY else f"{left}{joined}{right}"
        if not isinstance(path, ast.Call):
            return ANY
        name = self._dotted(path.func)
        parts = [self._told(each, depth + 1) for each in path.args]
        if name.endswith("Path.home"):
            return "~"
        if name.endswith(("Path", "os.path.join", "PurePath")) and parts:
            return ANY if parts[0] == ANY else "/".join(parts)
        if name in ("os.path.expanduser", "os.path.abspath", "os.path.realpath", "os.fspath", "str") and parts:
            return parts[0]
        if isinstance(path.func, ast.Attribute) and path.func.attr in ("expanduser", "resolve", "absolute", "joinpath"):
            return "/".join([self._told(path.func.value, depth + 1), *parts])
        return ANY

    def _spawns(self, name: str, node: ast.Call) -> None:
        first = node.args[0] if node.args else next((each.value for each in node.keywords if each.arg == "args"), None)
        words = first.elts if isinstance(first, ast.List | ast.Tuple) else [first, *node.args[1:]]
        program = words[0] if words else None
        if isinstance(program, ast.Attribute) and self._dotted(program) == "sys.executable":
            self._power("programs", "python3", node)
        elif not isinstance(program, ast.Constant) or not isinstance(program.value, str):
            self._fail("processes", f"it runs a program that is named at run time ({name})", node)
            return
        elif name in _TEXT_SHELL or name.endswith("_shell") or any(each.arg == "shell" for each in node.keywords):
            read_shell(program.value, self._file, self._notes, self._line(node), one_line=True)
        else:
            self._power("programs", program.value.rsplit("/", 1)[-1], node)
        self._inner(words, node)

    def _inner(self, words: Sequence[ast.expr | None], node: ast.expr) -> None:
        """Look at what `sh -c`, `python -c` and their like are given."""
        texts = [each.value if isinstance(each, ast.Constant) else None for each in words]
        if "-c" not in texts and "-e" not in texts:
            return
        at = texts.index("-c" if "-c" in texts else "-e") + 1
        inner = texts[at] if at < len(texts) else None
        if isinstance(inner, str) and isinstance(texts[0], str) and texts[0].rsplit("/", 1)[-1] in SHELL_NAMES:
            read_shell(inner, self._file, self._notes, self._line(node), one_line=True)
        else:
            self._fail("processes", "it hands a program to an interpreter", node)

    def _mention(self, node: ast.Attribute | ast.Name, *, is_base: bool) -> None:
        name = self._dotted(node)
        if isinstance(node, ast.Attribute) and node.attr in _BEHIND:
            self._fail("processes", f"it reaches behind the language ({node.attr})", node)
        elif name in _CODE or name.split(".")[0] in ("__builtins__", "builtins"):
            self._fail("processes", f"it runs or finds what is made at run time ({name})", node)
        elif _SPAWN.fullmatch(name):
            self._fail("processes", f"it runs a program that is named at run time ({name})", node)
        elif _CONNECTS.fullmatch(name):
            self._power("network", ANY, node)
        elif name in ("os.environ", "os.environb"):
            self._fail("secrets", "it reads all variables at once", node)
        elif name in _MODULES and not is_base and isinstance(node, ast.Name) and node.id in self._names:
            self._fail("processes", f"it hands the module {name} about", node)

    def _power(self, kind: Power, value: str, node: ast.AST) -> None:
        self._notes.power(kind, value, self._file, self._line(node))

    def _fail(self, row: Row, message: str, node: ast.AST) -> None:
        self._notes.fail(row, message, self._file, self._line(node))

    def _line(self, node: ast.AST) -> int:
        return int(getattr(node, "lineno", 1)) + self._first - 1
