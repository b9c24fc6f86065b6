"""What a skill's text is searched for: orders to the model, and commands that are dangers, by the row that they fail.

Every expression has bounded repetition: the cost is linear in the length.
"""

from __future__ import annotations

from typing import Final

from openclaw.policy.skill.finding import Row

_FILES: Final = r"(?:memory|soul|agents|user|tools|heartbeat|identity|bootstrap|claude)\.md|\.cursorrules"
_CREDENTIALS: Final = (
    r"(?:credentials?|api[ _-]?keys?|access[ _-]?keys?|tokens?|passwords?|passphrases?|secrets?|private[ _-]?keys?"
    r"|ssh[ _-]?keys?|seed phrases?|recovery phrases?|mnemonics?|wallets?|cookies|session cookies"
    r"|environment variables|\.env|chat history|conversations?|transcripts?|contents? of ~)"
)
_RULES: Final = (
    r"(?:instructions?|rules?|prompts?|guidelines?|directions?|policies|policy|constraints?|safety|restrictions?)"
)
ORDERS: Final[tuple[tuple[Row, str, str], ...]] = (
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
            r"|\b(?:ignor|oubli|néglig)\w*(?: [\w']+){0,3} (?:les|tes|vos|ces)"
            r" (?:instruction|règle|consigne|directive)\w*"
            r"|\b(?:ignor|dimentic|trascur)\w*(?: \w+){0,4} (?:istruzion|regol)\w*"
            r"|\b(?:ignor|esque[çc])\w*(?: \w+){0,4} (?:instruç|instruco|regra)\w*"
            r"|\b(?:игнорир|забуд|проигнорир)\w*(?: \w+){0,4} (?:инструкц|указан|правил)\w*"
            r"|(?:忽略|无视|忘记|無視|忘掉)[^\n。]{0,20}(?:指令|指示|规则|規則|提示|命令)|(?:指示|命令|ルール)[^\n。]{0,10}(?:無視|忘れ)"
            r"|(?:지시|명령|규칙)[^\n.]{0,10}(?:무시|잊)"
        ),
    ),
    (
        "content",
        "it sets itself above the operator, or speaks for a person",
        (
            r"\b(?:precedence|priority) over (?:\w+ ){0,2}(?:system|previous|prior|user|users|operator|safety"
            r"|developer|other"
            r" instructions)\b"
            r"|\boverrides? (?:anything|everything|whatever|all|any|what)\b(?: \w+){0,3} (?:user|operator|owner"
            r"|human|system)\b"
            r"|\b(?:previous|prior|earlier|your) (?:\w+ ){0,2}(?:rules|instructions|guidelines"
            r"|restrictions) (?:no longer|do not"
            r"|don't|cease|are void)\b|\bnever (?:refuse|question|decline|hesitate)\b|\b(?:tool|function) (?:result"
            r"|output):"
            r"|\bthe (?:user|operator|owner|human) has (?:already )?(?:approved|authori[sz]ed|consented|agreed"
            r"|allowed)\b"
        ),
    ),
    (
        "content",
        "it has its traces removed",
        (
            r"\b(?:delete|clear|erase|wipe|remove)\b[^\n.]{0,40}\b(?:log(?:s| lines| entries)?|history|traces?|evidence"
            r"|transcripts?)\b[^\n.]{0,30}\b(?:afterwards|after that|about this|of this|of what)\b"
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
            r"|\b(?:run|runs|execute|executes|send|sends|install|upload|delete|transfer|proceed|continue|act|apply"
            r"|commit"
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
            r"|\b(?:set|change|switch|put|turn|edit|patch)\b[^\n]{0,80}\b(?:tools\.exec|sandbox\.mode"
            r"|agents\.(?:defaults"
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
            r"|\b(?:at|on) the (?:start|beginning|end) of (?:every|each|any) (?:session|conversation|chat|turn"
            r"|message)\b[^\n.]{0,20}"
            r"\b(?:run|execute|fetch|send|call|curl|upload)\b"
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
            r"|\b(?:latest|newest|current|updated) (?:version|copy|revision) of (?:these|this|the) (?:instructions"
            r"|skill|steps|file"
            r"|rules|prompt)\b"
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
            r"|\b(?:enter|provide|type|give|ask(?: \w+){0,3} for|prompt for|request)\b[^\n.]{0,40}\b(?:sudo|master"
            r"|system"
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
COMMANDS: Final[tuple[tuple[Row, str, str], ...]] = (
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
        "it makes a tool run what it is told",
        (
            r"\b[gmn]?awk\b[^\n]{0,200}\bsystem *\("
            r"|\bsed\b[^\n]{0,120}s([/|#,])[^/|#,\n]{0,80}\1[^/|#,\n]{0,80}\1[gip0-9]{0,3}e[gip]{0,3}(?=['\"\s])"
            r"|\bgit\b[^\n]{0,120}?\b(?:alias\.\w|core\.(?:fsmonitor|hookspath|editor|pager|sshcommand)|diff\.external"
            r"|credential\.helper|filter\.\w|include\.path|ext::)|\bgit\b[^\n]{0,80}?(?:--upload-pack|--exec=)"
            r"|--checkpoint-action|--to-command|--use-compress-program|\bvim?\b[^\n]{0,60} -c *['\"]?:!|\$\(shell\b"
            r"|\bproxycommand\b|\b(?:ld_preload|ld_library_path|ld_audit|dyld_\w+|bash_env|pythonstartup"
            r"|node_options|perl5opt"
            r"|rubyopt|git_ssh_command|prompt_command)=|\bpath=[\"']?(?:\.|\$pwd|/tmp)"
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
            r"|/etc/rc\.local|/var/spool/cron|\.config/(?:systemd|autostart)\b"
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
