"""Programs of other languages, by conservative marks: whatever could reach out counts as if it did."""

from __future__ import annotations

import re
from typing import Final

from openclaw.policy.skill.finding import Notes, Power, line_of
from openclaw.policy.skill.python import HARMLESS
from openclaw.policy.skill.scan import first as leftmost
from openclaw.policy.skill.scan import scan
from openclaw.policy.skill.web import ANY, NAMESPACES, hosts

_FAILS: Final = tuple(
    (why, re.compile(pattern))
    for why, pattern in (
        (
            "it runs or unpacks what is made at run time",
            (
                r"\beval\s*\(|\bnew\s+Function\b|\bFunction\s*\(|\bvm\.\w+|['\"](?:node:)?vm['\"]"
                r"|\bsetTimeout\s*\(\s*['\"`]|\binstance_eval\b"
                r"|\bbase64['\"]\s*\)|\bloadstring\b|\bassert\s*\(\s*\$|\bgzinflate\b|\bcreate_function\b"
                r"|WebAssembly|process\.binding"
                r"|\bprocess\.dlopen\b|\bReflect\.\w+"
                r"|\bglobalThis\s*\[|\bglobal\s*\[|\bwindow\s*\[|\bconstructor\s*\.\s*constructor|"
                r"\[\s*['\"]constructor['\"]\s*\]|process\.mainModule|\)\s*\.constructor\b|\.constructor\s*[;,)(]"
                r"|\brequire\.cache\b|\bmodule\.constructor\b"
                r"|\b(?:Kernel|Object|self)\.(?:public_)?send\b|\.(?:public_send|__send__)\b|\bconst_get\b"
                r"|\bclass_eval\b"
                r"|\bClass\.forName\b|\bgetDeclaredMethod\b|\bdlopen\b|\bdlsym\b|(?:\\x[0-9a-fA-F]{2}){4,}"
                r"|(?:\\u[0-9a-fA-F]{4}){6,}|\b_0x[0-9a-f]{4,}"
            ),
        ),
        ("it loads modules that are named at run time", r"\b(?:require|import)\s*\(\s*(?!['\"])[^)\s]"),
        (
            "it loads modules by address",
            r"\b(?:require|import)\s*\(?\s*['\"](?:https?|data|blob):|\bfrom\s+['\"]https?:",
        ),
    )
)
_ENV_ALL: Final = re.compile(
    r"(?:Get-ChildItem|gci|dir|ls)[ \t]+env:|\bSystem\.getenv\(\)|\bSys\.getenv\(\)|\bstd::env::vars\b"
    r"|\benviron\b[ \t]*\["
    r"|\bextern[ \t]+char[ \t]*\*\*[ \t]*environ|GetEnvironmentVariables\b"
    r"|\bprocess\s*\[|\benv\b[^\n]{0,40}\}\s*=\s*process\b"
    r"|process\.env(?!\.[A-Za-z_]|\s*\[\s*['\"])|\bDeno\.env\.toObject|\bENV\.(?:to_h|each|map)|%ENV\b|\$_ENV\b"
    r"|os\.Environ\b"
)
_ENV: Final = re.compile(
    r"(?:process\.env\.|Bun\.env\.|import\.meta\.env\.)(\w+)|(?:process\.env|ENV|\$ENV)\s*[\[{]\s*['\"]?(\w+)"
    r"|\$env:(\w+)|\benv::var\(\s*['\"](\w+)|(?:getenv|GetEnvironmentVariable|Deno\.env\.get|os\.Getenv"
    r"|ENV\.fetch)\s*\(\s*['\"](\w+)"
)
_RAW: Final = re.compile(
    r"['\"](?:node:)?(?:https?|net|tls|dgram|dns|http2)['\"]|IO::Socket|TCPSocket|fsockopen|\bnet\.Dial"
    r"|std::net|\bTcpStream\b|\bUdpSocket\b|sys/socket\.h|\bwinsock|java\.net\.Socket|\bnew Socket\("
)
"""What reaches hosts that no address names."""
_POWERS: Final[tuple[tuple[Power, re.Pattern[str]], ...]] = (
    (
        "network",
        re.compile(
            r"\bfetch\s*\(|XMLHttpRequest|WebSocket|\baxios\b|['\"](?:node:)?(?:https?|net|tls|dgram|dns|http2)['\"]"
            r"|\bgot\s*\("
            r"|Net::HTTP|open-uri|LWP|IO::Socket|TCPSocket|curl_\w+|fsockopen|file_get_contents|net/http|\bundici\b"
            r"|sendBeacon"
            r"|Invoke-WebRequest|Invoke-RestMethod|\biwr\b|\birm\b|Net\.WebClient|\bnet\.Dial|std::net|\bTcpStream\b"
            r"|\bUdpSocket\b"
            r"|\breqwest\b|sys/socket\.h|\bwinsock|\bcurl_easy|java\.net\.|HttpClient|URLConnection|\bnew Socket\("
            r"|URLSession"
            r"|\bdownload\.file\b|\bhttr2?\b|socket\.http"
        ),
    ),
    (
        "programs",
        re.compile(
            r"child_process|\bexecSync|\bspawnSync|\bexecFile|\bBun\.spawn|\bDeno\.(?:run|Command)|\bos/exec\b"
            r"|\bexec\.Command"
            r"|\bsystem\s*\(|\bpopen\b|\bshell_exec|\bpassthru|\bproc_open|Open3|%x\{|\bqx[/{(]|Start-Process"
            r"|\bos\.execute"
            r"|\bcluster\b|worker_threads"
            r"|process::Command|\bCommand::new\b|Runtime\.getRuntime|\bProcessBuilder\b|\bProcess\.(?:Start|run"
            r"|launch)\b"
            r"|\bsystem2\s*\(|do shell script|\bio\.popen|\bexec[lv]p?e?\s*\(|\bposix_spawn|\bfork\s*\(\)"
            r"|\bShellExecute"
            r"|\bsystem\s+['\"]|\bNSTask\b|\blet \w+ = Process\(\)|\bProcess\(\)"
        ),
    ),
    (
        "write",
        re.compile(
            r"\bwriteFile|\bappendFile|createWriteStream|\bunlink|\brmSync|\brename(?:Sync)?\s*\(|\bchmod"
            r"|Deno\.write|Bun\.write|File\.write|File\.open"
            r"|file_put_contents|fwrite|Set-Content|Out-File|Add-Content|os\.WriteFile|os\.Create|io\.open|symlink"
            r"|fs::write|File::create|OpenOptions|\bFileWriter\b|Files\.write|\bwriteLines\b|\bwrite\.csv\b"
        ),
    ),
    (
        "read",
        re.compile(
            r"\breadFile|createReadStream|\breaddir|Deno\.read|Bun\.file|File\.read|fopen|Get-Content|os\.ReadFile"
            r"|os\.Open\b"
        ),
    ),
)


_TICKS: Final = frozenset(("rb", "ruby", "pl", "pm", "perl", "php", "cr"))
"""Languages in which back ticks run a program, and a file that is opened may be one."""
_TICKED: Final = re.compile(
    r"`[^`\n]{1,400}`|\bopen\b[^\n;]{0,200}['\"](?:[^'\"\n]*\|\s*|\s*\|[^'\"\n]*|-\|)['\"]"
    r"|\b(?:system|exec)\b[ \t(]*['\"q%\[$@]"
)


def read_tokens(text: str, file: str, notes: Notes, first: int = 1, language: str = "") -> None:
    """Note what a program in another language may do. `first` is the line of the file that it begins on."""

    def line(position: int) -> int:
        return line_of(text, position) + first - 1

    for why, pattern in _FAILS:
        if found := leftmost(pattern, text):
            notes.fail("processes", why, file, line(found.start()))
    if found := leftmost(_ENV_ALL, text):
        notes.fail("secrets", "it reads all variables at once", file, line(found.start()))
    for found in scan(_ENV, text):
        name = next(each for each in found.groups() if each)
        if name not in HARMLESS:
            notes.power("secrets", name, file, line(found.start()))
    if language in _TICKS and (found := leftmost(_TICKED, text)):
        notes.power("programs", ANY, file, line(found.start()))
    if text.startswith("#!") and re.match(r"#![^\n]*[ \t]-(?:S|c|e)\b", text):
        notes.fail("processes", "its first line hands a program to an interpreter", file, first)
    named = [(host, number) for number, each in enumerate(text.split("\n"), first) for host in hosts(each)]
    named = [each for each in named if each[0] not in NAMESPACES]
    for host, number in named:
        notes.power("network", host, file, number)
    for kind, pattern in _POWERS:
        if (found := leftmost(pattern, text)) and not (kind == "network" and named and not leftmost(_RAW, text)):
            notes.power(kind, ANY, file, line(found.start()))
