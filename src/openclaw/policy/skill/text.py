"""What any text of a skill is searched for: characters that hide, orders to the model, and commands that are dangers.

1. Orders are looked for in the text as it is read: without invisible characters, look-alikes folded, blanks joined.
2. Commands are looked for in the text as a shell joins its lines.
3. Every expression has bounded repetition: the cost is linear in the length.
"""

from __future__ import annotations

import base64
import binascii
import html
import re
import unicodedata
from collections.abc import Iterator
from typing import Final

from openclaw.policy.skill.finding import Notes, Row, line_of, shown

_HIDDEN: Final = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\u2028\u2029\u3164\ufeff\uffa0\ufff9-\ufffb\ufe00-\ufe0e\ud800-\udfff\ue000-\uf8ff"
    "\U0001d173-\U0001d17a\U000e0000-\U000e0fff\U000f0000-\U0010ffff]"
)
_JOINER: Final = "\u200d"
_WORD: Final = re.compile(r"[^\W\d_]+(?:[-'][^\W\d_]+)*")
_ALONE: Final = frozenset(("CYRILLIC", "GREEK", "CHEROKEE", "ARMENIAN", "COPTIC"))
_STYLED: Final = frozenset(
    ("MATHEMATICAL", "FULLWIDTH", "CIRCLED", "SQUARED", "PARENTHESIZED", "SUPERSCRIPT", "MODIFIER")
)
_LOOKS: Final = str.maketrans(
    "аеорсухіјѕԁɡһӏοανριτυкмтвнϲ" + "АВЕКМНОРСТХІЅΑΒΕΗΙΚΜΝΟΡΤΧΥΖ",
    "aeopcyxijsdghloavpituкмtвнc".replace("к", "k").replace("м", "m").replace("в", "b").replace("н", "h")
    + "ABEKMHOPCTXISABEHIKMNOPTXYZ",
)

_FILES: Final = r"(?:memory|soul|agents|user|tools|heartbeat|identity|bootstrap|claude)\.md|\.cursorrules"
_CREDENTIALS: Final = (
    r"(?:credentials?|api[ _-]?keys?|access[ _-]?keys?|tokens?|passwords?|passphrases?|secrets?|private[ _-]?keys?"
    r"|ssh[ _-]?keys?|seed phrases?|recovery phrases?|mnemonics?|wallets?|cookies|session cookies"
    r"|environment variables|\.env|chat history|conversations?|transcripts?|contents? of ~)"
)
_RULES: Final = (
    r"(?:instructions?|rules?|prompts?|guidelines?|directions?|policies|policy|constraints?|safety|restrictions?)"
)
_ORDERS: Final[tuple[tuple[Row, str, str], ...]] = (
    (
        "content",
        "it tells the model to drop its instructions",
        rf"\b(?:ignore|disregard|forget|override|overrule|neglect|bypass|discard)\b(?: \w+){{0,4}} {_RULES}\b",
    ),
    (
        "content",
        "it tells the model, in another language, to drop its instructions",
        (
            r"\b(?:ignorier|missacht|vergiss|vergesst|verwirf)\w*(?: \w+){0,4} (?:anweisung|regel|vorgabe"
            r"|instruktion|befehl)\w*"
            r"|\b(?:ignor|olvid|descart|desatiend)\w*(?: \w+){0,4} (?:instruccion|regla|indicacion|orden)\w*"
            r"|\b(?:ignor|oubli|néglig)\w*(?: [\w']+){0,4} (?:instruction|règle|consigne|directive)\w*"
            r"|\b(?:ignor|dimentic|trascur)\w*(?: \w+){0,4} (?:istruzion|regol)\w*"
            r"|\b(?:ignor|esque[çc])\w*(?: \w+){0,4} (?:instruç|instruco|regra)\w*"
            r"|\b(?:игнорир|забуд|проигнорир)\w*(?: \w+){0,4} (?:инструкц|указан|правил)\w*"
            r"|(?:忽略|无视|忘记|無視|忘掉)[^\n。]{0,20}(?:指令|指示|规则|規則|提示|命令)|(?:指示|命令|ルール)[^\n。]{0,10}(?:無視|忘れ)"
            r"|(?:지시|명령|규칙)[^\n.]{0,10}(?:무시|잊)"
        ),
    ),
    (
        "content",
        "it gives the model another role",
        (
            r"\byou are (?:now|no longer|henceforth)\b|\b(?:developer|god|dan|jailbreak|unrestricted|admin) mode\b"
            r"|\bact as (?:root|an? (?:unrestricted|jailbroken|uncensored))|\bpretend (?:that )?(?:you are|to be)\b"
        ),
    ),
    (
        "content",
        "it speaks as the system or another party of the conversation",
        (
            r"</?(?:system|assistant|developer|tool_result|function_results?|im_start|im_end)\b[^>]{0,40}>"
            r"|<\|[a-z_]{2,20}\|>"
            r"|\[/?inst\]|<<sys>>|\[system\]|(?:^|\n) ?#{0,4} ?(?:system|assistant|developer)(?: (?:message|prompt))?:"
            r"|\b(?:new|updated|real|hidden|secret) (?:system )?(?:instructions|prompt):"
        ),
    ),
    (
        "content",
        "it wants something kept from the person",
        (
            r"\b(?:do not|don't|dont|never|must not|should not|avoid|without) (?:\w+ ){0,2}"
            r"(?:tell(?:ing)?|inform(?:ing)?|mention(?:ing)?|show(?:ing)?|reveal(?:ing)?|notify(?:ing)?|alert(?:ing)?"
            r"|ask(?:ing)?|disclos(?:e|ing)|warn(?:ing)?|report(?:ing)?)(?: \w+){0,5} "
            r"(?:user|users|human|humans|operator|operators|owner|person|admin|them|anyone|anybody)\b"
            r"|\b(?:silently|secretly|covertly|stealthily|discreetly|unnoticed)\b"
            r"|\bwithout (?:the )?(?:user|human|operator|owner)(?:'s)? (?:knowledge|consent|approval|permission"
            r"|noticing)\b"
            r"|\b(?:run|runs|execute|executes|send|sends|install|upload|delete|transfer|proceed|continue|act|apply|commit"
            r"|push|buy|pay|do|call|use|go ahead)\b[^\n.,;:!?]{0,60} without (?:asking|confirmation|confirming|approval"
            r"|permission)\b|\bkeep (?:this|it) (?:a )?secret\b"
        ),
    ),
    (
        "content",
        "it works against a guard: approvals, sandbox, policy, antivirus",
        (
            r"\b(?:bypass|disable|turn off|switch off|skip|circumvent|evade|deactivate|suppress|remove|weaken"
            r"|auto-?approve)\b"
            r"(?: \w+){0,4} (?:approvals?|sandbox(?:ing)?|security|polic(?:y|ies)|safety|guards?|guardrails?"
            r"|audits?|ledger"
            r"|confirmations?|antivirus|defender|gatekeeper|firewall|allowlists?|quarantine|2fa|mfa|verification)\b"
            r"|\bopenclaw (?:policy|approvals|config set|config patch|pairing|gateway token|skills (?:install"
            r"|update|audit)"
            r"|secrets|devices approve|exec-policy)\b|(?<![\w/.])/approve\b"
            r"|\b(?:set|change|switch|put|turn|edit|patch)\b[^\n]{0,80}\b(?:tools\.exec|sandbox\.mode|agents\.(?:defaults"
            r"|list)\b[^\n]{0,20}\bsandbox|networkpolicy|allowegress|egressallowlist|dmpolicy|gateway\.auth"
            r"|skills\.onfailure)"
        ),
    ),
    (
        "files",
        "it writes into what the agent remembers or obeys",
        (
            rf"\b(?:write|writes|add|adds|append|appends|save|store|insert|put|edit|update|modify|replace"
            rf"|overwrite|inject|copy"
            rf"|remember|record|create)\b[^\n.]{{0,100}}(?:{_FILES})|\bmemory_write\b"
            rf"|(?:>>?|tee(?: -a)?) ?[^\s|;]{{0,80}}(?:{_FILES})"
            r"|\b(?:in|for|across|on) (?:all|every|each|any) (?:future|later|subsequent|following|new)"
            r" (?:sessions?|conversations?|chats?|turns?|messages?|tasks?)\b"
            r"|\b(?:permanently|forever) (?:remember|store|adopt|follow|obey)\b|\bfrom now on\b"
        ),
    ),
    (
        "updates",
        "it takes instructions from elsewhere",
        (
            r"\b(?:fetch|download|read|load|open|visit|curl|get|retrieve|browse(?: to)?|go to|check|pull|web_fetch)\b"
            r"[^\n]{0,160}?\b(?:follow|execute|obey|apply|perform|carry out|run|do|comply|act on)\b[^\n]{0,60}"
            r"\b(?:instructions?|steps|commands?|directions|orders|tasks?|whatever|what (?:it|is|they)|prompt"
            r"|it says)\b"
            r"|\b(?:follow|execute|obey|apply|perform|carry out|use)\b[^\n]{0,60}\b(?:instructions?|steps"
            r"|commands?|directions"
            r"|prompt|rules)\b[^\n]{0,60}(?:https?://|\bfrom (?:the )?(?:url|server|website|web page|page|site"
            r"|gist|link)\b)"
            r"|\b(?:latest|current|updated|remote|newest) (?:instructions|prompt|commands|steps"
            r"|rules)\b[^\n]{0,80}https?://"
        ),
    ),
    (
        "secrets",
        "it sends secrets or conversations away",
        (
            rf"\b(?:send|sends|post|posts|upload|uploads|forward|transmit|submit|share|exfiltrate|report"
            rf"|deliver|email|leak"
            rf"|paste|include|attach|append|encode)\b[^\n.]{{0,80}}(?<!\w){_CREDENTIALS}\b"
        ),
    ),
    (
        "secrets",
        "it collects secrets",
        (
            rf"\b(?:collect|gather|harvest|steal|dump|extract|grab|exfiltrate|search for|look for|find|scan for|list)\b"
            rf"[^\n.,;:]{{0,60}}(?<!\w){_CREDENTIALS}\b(?! in (?:the )?(?:code|source|diff|commits?|pull request)\b)"
            r"|\b(?:enter|provide|type|give|ask for|prompt for|request)\b[^\n.]{0,40}\b(?:sudo|master|system"
            r"|login|keychain"
            r"|wallet|seed|recovery|private)(?:'s)? (?:password|phrase|key|passphrase)\b"
        ),
    ),
    (
        "processes",
        "it has the person or the model run something fetched: a false prerequisite",
        (
            r"\b(?:download|install|run|open|launch|execute|double-click|unzip|extract)\b[^\n]{0,120}"
            r"\.(?:exe|msi|dmg|pkg|scr|bat|cmd|ps1|vbs|app|apk|jar|deb|rpm|appimage|command)\b"
            r"|\b(?:zip|rar|7z|archive)\b[^\n]{0,80}\bpassword\b|\bpassword:? ?`?\w+`?[^\n]{0,40}\b(?:zip|rar"
            r"|7z|archive)\b"
            r"|\b(?:paste|copy|type)\b[^\n]{0,80}\b(?:terminal|powershell|command prompt|command line|shell"
            r"|console|cmd|run dialog)\b"
            r"|\b(?:press|hit) (?:win|windows|cmd|command) ?\+ ?(?:r|space)\b"
        ),
    ),
)
_SHELL: Final = r"(?:sudo +(?:-\S+ +){0,3})?(?:/usr)?(?:/bin/|/usr/bin/env +)?(?:ba|z|da|k|fi|c|a)?sh\b"
_RUNNER: Final = (
    rf"(?:{_SHELL}|python[0-9.]*\b|perl\b|ruby\b|node\b|php\b|osascript\b|iex\b|invoke-expression\b|source\b)"
)
_HOME: Final = r"(?:~|\$\{?home\}?|%userprofile%|%appdata%|/home/[^/\s]{1,64}|/users/[^/\s]{1,64}|/root|path\.home\(\))"
_COMMANDS: Final[tuple[tuple[Row, str, str], ...]] = (
    ("processes", "it pipes something into an interpreter", rf"\| *{_RUNNER}"),
    (
        "processes",
        "it runs what is fetched or made up at run time",
        (
            rf"(?:{_SHELL}|\bsource|(?:^|[\n;&|]) *\.|\beval|\bexec) +(?:-\w+ +){{0,3}}[\"']?(?:<\(|\$\(|`)"
            r"|\beval +[\"'$]|\biex *[(\s]|\binvoke-expression\b|\bpowershell(?:\.exe)?\b[^\n]{0,80} -e(?:nc"
            r"|ncodedcommand)?\b"
            r"|\b(?:mshta|regsvr32|rundll32|bitsadmin|certutil)\b|\bosascript +-e\b"
        ),
    ),
    (
        "processes",
        "it decodes hidden text",
        (
            r"\bbase64 +(?:-d|-D|--decode)|\bbase64\b[^\n|;]{0,60} -d\b|\bopenssl +(?:base64|enc)\b[^\n]{0,60} -d\b"
            r"|\bxxd +-r|(?:\\x[0-9a-f]{2}){8,}|(?:\\[0-7]{3}){8,}|\bfromcharcode\b|\batob *\(|frombase64string"
        ),
    ),
    ("processes", "it asks for the rights of root", r"(?:^|[\s;&|(`])(?:sudo|doas|pkexec|su +-)(?= )"),
    (
        "processes",
        "it takes off a system's protection",
        (
            r"\bxattr +-\w*[dc]|\bspctl\b|\bcsrutil\b|set-mppreference|\bsetenforce\b|\bufw +disable"
            r"|\bchmod +(?:-\w+ +)?[0-7]?777"
        ),
    ),
    (
        "processes",
        "it opens a way in from outside",
        (
            r"/dev/(?:tcp|udp)/|\b(?:nc|ncat|netcat)\b[^\n|;]{0,60} -\w*[ec]\b|\bmkfifo\b|\bsocat\b|\bngrok\b"
            r"|\bcloudflared\b"
            r"|\bssh\b[^\n]{0,60} -\w*[RD]\b"
        ),
    ),
    (
        "files",
        "it makes itself start again",
        (
            r"\bcrontab\b|\bsystemctl\b[^\n]{0,40}\benable\b|\blaunchctl\b|launchagents|launchdaemons|/etc/cron"
            r"|/etc/rc\.local"
            r"|(?:>>?|\btee\b)[^\n]{0,60}\.(?:bashrc|zshrc|profile|bash_profile|zshenv|zprofile)\b|authorized_keys"
            r"|\bschtasks\b|currentversion\\run|\.git/hooks/"
        ),
    ),
    (
        "files",
        "it deletes widely",
        rf"\brm +(?:-\w+ +){{1,4}}(?:--no-preserve-root +)?[\"']?(?:/(?:\s|\*|$)|{_HOME}/?(?:\s|\*|$))",
    ),
    (
        "content",
        "it covers its tracks",
        r"\bhistory +-c\b|\bunset +histfile\b|\bhistfile=|\bshred +-|\bjournalctl\b[^\n]{0,30}--vacuum",
    ),
    (
        "secrets",
        "it reads where secrets are kept",
        (
            rf"{_HOME}/\.(?:ssh|aws|gnupg|kube|docker|netrc|npmrc|pypirc|git-credentials|azure|config/gcloud"
            rf"|config/gh|openclaw"
            r"|clawdbot|moltbot|claude|codex|bash_history|zsh_history|password-store|mozilla|electrum|ethereum"
            r"|solana)\b"
            r"|/etc/(?:shadow|sudoers|passwd|gshadow)\b|/proc/(?:self|\d+|\*)/(?:environ|mem|maps|cmdline)"
            r"|\bid_(?:rsa|ed25519|ecdsa)\b|library/keychains|\bsecurity +find-(?:generic|internet)-password"
            r"|\bsecretsmanager\b"
            r"|(?:chrome|brave|edge|firefox)\b[^\n]{0,60}(?:login data|cookies|local state)|\bwallet\.dat\b"
            r"|\bmetamask\b|\bexodus\b"
            r"|auth-profiles\.json|openclaw\.json|\b169\.254\.169\.254\b|metadata\.google\.internal|168\.63\.129\.16"
            r"|(?:cat|less|open\(|read\w*\() *[\"'(]*[^\s\"']{0,40}\.env\b"
        ),
    ),
    (
        "secrets",
        "it reads all variables at once",
        (
            r"(?:^|[\n;&|(`]) *(?:env|printenv|export -p|declare -x|set)(?= *(?:$|[\n;&|)>`]))"
            r"|json\.stringify\( *process\.env *\)|dict\( *os\.environ *\)|os\.environ\.(?:items|copy|values)\b"
        ),
    ),
    (
        "updates",
        "it fetches code of no fixed content",
        (
            r"\b(?:npx|bunx|uvx|pipx +run|pnpm +dlx|yarn +dlx|deno +run +https?:)(?= )|\bgit +(?:pull|clone)\b"
            r"|\bpip3? +install\b(?![^\n]*==)|\bnpm +(?:install|i|add)\b +(?:-g +|--global +)?(?![^\n]{0,80}@\d)\S"
            r"|\b(?:curl|wget)\b[^\n]{0,160}(?: -o\w*| --output| -O)\b|\b(?:brew|apt|apt-get|dnf|cargo|go|gem"
            r"|uv +tool) +install\b"
        ),
    ),
)
_BAD_HOSTS: Final = re.compile(
    r"(?:webhook\.site|requestbin|pipedream\.net|ngrok[\w.-]*\.(?:io|app|dev)|trycloudflare\.com"
    r"|burpcollaborator|oast\.\w+"
    r"|interact\.sh|pastebin\.com|rentry\.co|glot\.io|hastebin|paste\.ee|dpaste|ghostbin|transfer\.sh|file\.io|0x0\.st"
    r"|gofile\.io|anonfiles|catbox\.moe|discord(?:app)?\.com/api/webhooks|api\.telegram\.org/bot|\.onion\b|bit\.ly"
    r"|tinyurl\.com|is\.gd|serveo\.net|localhost\.run"
    r"|(?:localhost|127\.0\.0\.1|\[::1\]|0\.0\.0\.0):187\d\d)",
    re.I,
)
_NUMBERS: Final = re.compile(
    r"https?://(?:[^\s/@\"'<>]*@)?(?:0x[0-9a-f]+|\d{1,3}(?:\.\d{1,3}){3}|\d{6,}|\[[0-9a-f:.]+\])", re.I
)
_BEACON: Final = re.compile(
    r"!\[[^\]\n]{0,200}\]\(\s*https?://[^)\s]{1,300}[?&][^)\s=]{1,60}=(?:\{|<|\$|%7B|[A-Z_]{4,}\b)"
)
"""A picture whose address is filled in: whoever shows it sends that away."""
_ENCODED: Final = re.compile(r"(?<![A-Za-z0-9+/_=-])[A-Za-z0-9+/]{32,}={0,2}(?![A-Za-z0-9+/_=-])")
MIN_COMMENT: Final = 12
_EMPHASIS: Final = re.compile(r"(?<![\w/.])_{1,3}(?=\w)|(?<=\w)_{1,3}(?![\w/.])")
_MARKS: Final = str.maketrans("’", "'", '*`"“”')
MAX_DECODED: Final = 64
OPAQUE_CHARS: Final = 400
"""An encoded text longer than this is more than an id or a checksum."""

_APART: Final = re.compile(r"(?<!\w)(?:[^\W\d_] ){3,40}[^\W\d_](?!\w)")
_MIXED: Final = re.compile(r"\b(?=[a-z0-9]{0,20}[0-9])(?=[a-z0-9]{0,20}[a-z])[a-z0-9]{3,20}\b", re.I)
_LEET: Final = str.maketrans("0134578", "oieastb")
_LINE_END: Final = re.compile(r"(?<=[^\n])\n(?=[^\n])")
_NOT: Final = re.compile(r"\b(?:never|do not|don't|dont|must not|should not|shall not|cannot|can't)(?: ever)? $", re.I)

_orders: Final = tuple((row, why, re.compile(pattern, re.I)) for row, why, pattern in _ORDERS)
_commands: Final = tuple((row, why, re.compile(pattern, re.I | re.M)) for row, why, pattern in _COMMANDS)


Orders = tuple[tuple[Row, str, re.Pattern[str]], ...]
_obeyed: Final[Orders] = tuple(each for each in _orders if each[0] == "content")


def look(text: str, file: str, notes: Notes) -> None:
    """Search one text for everything this file knows."""
    _characters(text, file, notes)
    read = folded(text)
    _search(read, file, notes)
    _comments(text, file, notes)
    for number, found in enumerate(_ENCODED.finditer(text)):
        if number >= MAX_DECODED:
            notes.fail("content", "it holds very many encoded texts", file)
            break
        _encoded(found.group(), file, line_of(text, found.start()), notes)


def _search(text: str, file: str, notes: Notes) -> None:
    """`text` is folded: its lines are those of the file."""
    joined = text.replace("\\\n", "  ")
    for row, why, pattern in _commands:
        if found := pattern.search(joined):
            notes.fail(row, f"{why}: {shown(found.group().strip())!r}", file, line_of(text, found.start()))
    prose = _prose(joined)
    _search_orders(prose, _orders, file, notes)
    for reading in _readings(prose):
        _search_orders(reading, _obeyed, file, notes)
    if found := _BEACON.search(joined):
        notes.fail("egress", "it shows a picture whose address is filled in", file, line_of(text, found.start()))
    for pattern, why in ((_BAD_HOSTS, "a place that hides who is behind it"), (_NUMBERS, "an address without a name")):
        if found := pattern.search(joined):
            notes.fail("egress", f"it names {why}: {shown(found.group())}", file, line_of(text, found.start()))


def _search_orders(prose: str, orders: Orders, file: str, notes: Notes) -> None:
    for row, why, pattern in orders:
        for found in pattern.finditer(prose):
            # `Never include passwords` is a warning, no order to do so.
            if row == "secrets" and _NOT.search(prose, max(0, found.start() - 24), found.start()):
                continue
            notes.fail(row, f"{why}: {shown(found.group().strip())!r}", file, line_of(prose, found.start()))
            break


def _readings(prose: str) -> Iterator[str]:
    """Return the text as a model reads it all the same: lines joined, entities, letters apart, digits for letters."""
    flat = _LINE_END.sub(" ", prose)
    if flat != prose:
        yield flat
    if "&#" in prose or "&" in prose:
        yield html.unescape(prose)
    apart = _APART.sub(lambda found: found.group().replace(" ", ""), prose)
    if apart != prose:
        yield apart
    plain = _MIXED.sub(lambda found: found.group().translate(_LEET), prose)
    if plain != prose:
        yield plain


def look_at_name(path: str, notes: Notes) -> None:
    """Search a file's name: the model is told it."""
    words = re.sub(r"[-_/.]+", " ", path)
    _search_orders(_prose(folded(words)), _orders, shown(path), notes)


def _prose(text: str) -> str:
    """Return the text with marks of emphasis and doubled blanks out of the way; its lines stay."""
    return re.sub(r"[ \t\u00a0]+", " ", _EMPHASIS.sub("", text.translate(_MARKS)))


def _comments(text: str, file: str, notes: Notes) -> None:
    begin = text.find("<!--")
    while begin >= 0:
        end = text.find("-->", begin + 4)
        if end < 0 or end - begin >= MIN_COMMENT:
            notes.warn("content", "a comment that a reader of the page does not see", file, line_of(text, begin))
            return
        begin = text.find("<!--", end)


def folded(text: str) -> str:
    """Return a text as it looks: without what cannot be seen, and look-alikes as the letters that they imitate."""
    if text.isascii():
        return text
    seen = _HIDDEN.sub("", text).replace(_JOINER, "")
    return unicodedata.normalize("NFKC", seen).translate(_LOOKS)


def _characters(text: str, file: str, notes: Notes) -> None:
    if text.isascii() and not _HIDDEN.search(text):
        return
    for found in _HIDDEN.finditer(text):
        if found.start() == 0 and found.group() == "\ufeff":
            continue
        if found.group() == _JOINER and _in_emoji(text, found.start()):
            continue
        name = f"U+{ord(found.group()):04X}"
        notes.fail("content", f"it holds a character that cannot be seen ({name})", file, line_of(text, found.start()))
        break
    for found in _WORD.finditer(text):
        word = found.group()
        if word.isascii():
            continue
        scripts = {unicodedata.name(char, "?").split()[0] for char in word if char.isalpha()}
        if ("LATIN" in scripts and scripts & _ALONE) or scripts & _STYLED:
            message = f"a word imitates another by letters of several alphabets: {shown(word)!a}"
            notes.fail("content", message, file, line_of(text, found.start()))
            break


def _in_emoji(text: str, at: int) -> bool:
    around = (text[at - 1 : at], text[at + 1 : at + 2])
    return all(char and (unicodedata.category(char) in ("So", "Sk") or char == "\ufe0f") for char in around)


def _encoded(blob: str, file: str, line: int, notes: Notes) -> None:
    try:
        raw = base64.b64decode(blob + "=" * (-len(blob) % 4), validate=True)
    except (binascii.Error, ValueError):
        return
    try:
        inner = raw.decode()
    except UnicodeDecodeError:
        if len(blob) > OPAQUE_CHARS:
            notes.fail("content", "it holds a long encoded text that nobody can read", file, line)
        return
    if sum(char.isprintable() or char in "\r\n\t" for char in inner) >= 0.95 * len(inner):
        within = Notes()
        _search(folded(inner), file, within)
        if within.findings or re.search(r"https?://|\b(?:curl|wget|bash|python|import|eval)\b", inner):
            notes.fail("content", f"it holds an encoded text that is code or an order: {shown(inner)!r}", file, line)
        elif len(blob) > OPAQUE_CHARS:
            notes.warn("content", "it holds a long encoded text", file, line)
