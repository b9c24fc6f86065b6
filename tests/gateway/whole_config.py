"""Two configurations that set every leaf there is, each leaf to two different values."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

LEGACY = Path(__file__).parents[1] / "tools" / "mcp" / "legacy.py"

TOKENS = ("gateway-token-gateway-token-gateway-a", "gateway-token-gateway-token-gateway-b")
HOOK_TOKENS = ("hook-token-hook-token-hook-token-aa", "hook-token-hook-token-hook-token-bb")
DEAD = "http://127.0.0.1:9"
"""Nobody listens there."""


def whole(n: int) -> dict[str, Any]:
    """Return the first (0) or the second (1) of the two."""

    def v(first: Any, second: Any) -> Any:
        return (first, second)[n]

    return {
        "identity": {"name": v("Ann", "Bea"), "avatar": v("A", "B")},
        "gateway": _gateway(v),
        "agents": _agents(v),
        "actions": [
            {
                "name": v("shout", "cry"),
                "module": v("acts_a", "acts_b"),
                "class": v("ShoutA", "ShoutB"),
                "path": v("a", "b"),
                "args": {"word": v("one", "two")},
            }
        ],
        "models": _models(v),
        "session": {"ephemeralHours": v(30, 31)},
        "dmPolicy": {
            "mode": v("disabled", "pairing"),
            "allowIds": [v("telegram:1", "telegram:2")],
            "unknownReply": v("Who is it?", "Who?"),
        },
        "tools": {
            "allow": v(["read_file", "shout"], ["read_file", "cry", "list_files"]),
            "deny": [v("x", "y")],
            "tainted": [v("send_a", "send_b")],
            "exec": _exec(v),
        },
        "mcp": {"servers": _servers(v)},
        "cron": {
            "enabled": v(False, True),
            "maxConcurrentRuns": v(5, 6),
            "skipMissedJobs": v(True, False),
            "maxMissedAgeMs": v(70_000, 80_000),
        },
        "networkPolicy": _network(v),
        "skills": {"onFailure": v("confine", "block")},
        "proxy": {
            "enabled": v(False, True),
            "proxyUrl": v("http://proxy.first:3128", "http://proxy.second:3128"),
            "authorization": v("Basic first-proxy-secret", "Basic second-proxy-secret"),
            "lookup": v("gateway", "proxy"),
            "bypass": [v("first.example", "second.example")],
        },
        "hooks": _hooks(v),
        "secrets": _secrets(v),
        "backup": {
            "every": v("400d", ""),
            "cron": v("1 1 1 1 *", "2 2 2 2 *"),
            "destination": v("s3://first/x", "s3://second/x"),
            "keep": v("40d", "50d"),
            "passphrase": v("first-passphrase-of-ours", "second-passphrase-of-ours"),
            "sshKey": v("/k1", "/k2"),
            "sshKnownHosts": v("/h1", "/h2"),
            "uploadMaxBytes": v(1_000_009, 1_000_010),
            "workspace": v(True, False),
            "sse": v("aws:kms", "none"),
            "kmsKey": v("k1", "k2"),
        },
        "logging": {
            "level": v("info", "warning"),
            "consoleStyle": v("json", "pretty"),
            "maxFileBytes": v(11_000_000, 12_000_000),
            "maxFiles": v(6, 7),
        },
        "storage": {
            "minFreeBytes": v(1, 2),
            "warnFreeBytes": v(3, 4),
            "quotas": {
                "logsBytes": v(1_000_001, 1_000_002),
                "snapshotsBytes": v(1_000_003, 1_000_004),
                "trashBytes": v(5, 6),
                "backupsBytes": v(1_000_007, 1_000_008),
                "mediaBytes": v(9, 10),
                "auditDays": v(91, 92),
                "ledgerDays": v(70, 71),
                "transcriptDays": v(800, 801),
            },
        },
        "env": {"vars": {"OF_OURS": v("1", "2")}, "shellEnv": {"enabled": v(False, True), "timeoutMs": v(5000, 6000)}},
        "channels": {v("telegram", "discord"): {"enabled": True}},
    }


def _exec(v: Any) -> dict[str, Any]:
    return {
        "security": v("deny", "full"),
        "ask": v("off", "always"),
        "allowlist": [v("/usr/bin/uptime", "/usr/bin/who")],
        "safeBins": [v("ls", "cat")],
        "pathPrepend": [v("/opt/a", "/opt/b")],
        "env": [v("ONE", "TWO")],
        "timeoutSec": v(61, 62),
        "backgroundMs": v(63, 64),
        "approvalTimeoutSec": v(65, 66),
        "maxMemoryMb": v(67, 68),
        "maxProcesses": v(69, 70),
    }


def _sandbox(v: Any, number: int) -> dict[str, Any]:
    return {
        "mode": v("off", "all"),
        "backend": v("auto", "docker"),
        "scope": v("agent", "shared"),
        "workspaceAccess": v("rw", "ro"),
        "network": v("none", "proxy"),
        "docker": {
            "image": v("a:1", "b:1"),
            "user": v("1:1", "2:2"),
            "capDrop": [v("CHOWN", "KILL")],
            "memory": v("70m", "80m"),
            "cpus": v(0.5, 0.25),
            "pidsLimit": v(number, number + 1),
            "readOnlyRoot": v(False, True),
            "binds": [v("/x/a:/a:ro", "/x/b:/b:ro")],
        },
        "prune": {"idleHours": v(number, number + 1), "maxAgeDays": v(number, number + 1)},
    }


def _vouching(v: Any) -> dict[str, Any]:
    return {
        "trustedProxy": {
            "userHeader": v("x-user-a", "x-user-b"),
            "groupsHeader": v("x-groups-a", "x-groups-b"),
            "requiredHeaders": [v("x-need-a", "x-need-b")],
            "allowUsers": [v("ann", "bob")],
            "proofHeader": v("x-proof-a", "x-proof-b"),
            "secret": v("proof-secret-proof-secret-proof-aaa", "proof-secret-proof-secret-proof-bbb"),
        },
        "oidc": {
            "issuer": v("https://a.example", "https://b.example"),
            "audience": v("aud-a", "aud-b"),
            "clientId": v("client-a", "client-b"),
            "jwksUrl": v("https://a.example/keys", "https://b.example/keys"),
            "subjectClaim": v("sub", "uid"),
            "groupsClaim": v("groups", "teams"),
        },
        "cognito": {
            "region": v("eu-west-1", "eu-north-1"),
            "userPoolId": v("eu-west-1_Aaaaaaaaa", "eu-west-1_Bbbbbbbbb"),
            "clientId": v("client-c", "client-d"),
            "audience": v("client-c", "client-d"),
            "tokenUse": v("access", "id"),
            "issuer": v("https://c.example", "https://d.example"),
            "jwksUrl": v("https://c.example/keys", "https://d.example/keys"),
        },
        "alb": {
            "region": v("eu-west-1", "eu-north-1"),
            "signer": v("arn:aws:elasticloadbalancing:a", "arn:aws:elasticloadbalancing:b"),
            "issuer": v("https://e.example", "https://f.example"),
            "clientId": v("client-e", "client-f"),
            "keyUrl": v("https://e.example/keys", "https://f.example/keys"),
            "subjectClaim": v("sub", "uid"),
            "groupsClaim": v("groups", "teams"),
        },
    }


def _roles(v: Any) -> dict[str, Any]:
    return {
        "crew": {
            "groups": [v("crew-a", "crew-b"), "all"],
            "users": [v("ann", "bob")],
            "scopes": [v("operator.read", "operator.write")],
            "agents": [v("main", "second")],
            "models": [v("fake/*", "chat/*")],
            "sessions": v("own", "all"),
            "usdPerDay": v(1.5, 2.5),
        }
    }


def _gateway(v: Any) -> dict[str, Any]:
    groups = ("chatCompletions", "responses", "embeddings", "agents", "tools", "docs")
    return {
        "mode": v("local", "remote"),
        "port": v(28_001, 28_002),
        "bind": v("loopback", "custom"),
        "customBindHost": v("127.0.0.2", "127.0.0.3"),
        "roles": _roles(v),
        "trustedProxies": [v("10.0.0.1", "10.0.0.2")],
        "publicBaseUrl": v("https://a.example", "https://b.example"),
        "auth": {
            "mode": v("token", "password"),
            "token": TOKENS[v(0, 1)],
            "password": TOKENS[v(0, 1)].replace("token", "paswd"),
            **_vouching(v),
            "allowUrlToken": v(True, False),
            "rateLimit": {"maxAttempts": v(11, 1), "windowMs": v(61_000, 62_000), "lockoutMs": v(63_000, 64_000)},
        },
        "remote": {
            "url": v("wss://a.example", "wss://b.example"),
            "token": v("remote-token-a", "remote-token-b"),
            "tlsFingerprint": v("aa", "bb"),
        },
        "controlUi": {
            "enabled": v(False, True),
            "root": v("ui-a", "ui-b"),
            "basePath": v("/first", "/second"),
            "allowedOrigins": [v("https://c.example", "https://d.example")],
        },
        "tls": {
            "enabled": v(False, True),
            "autoGenerate": v(True, False),
            "certPath": v("c1", "c2"),
            "keyPath": v("k1", "k2"),
        },
        "http": {
            "securityHeaders": {"strictTransportSecurity": v("max-age=1", "max-age=2")},
            "endpoints": {group: {"enabled": v(True, False)} for group in groups},
        },
        "shed": {"loopLagMs": v(5001, 5002), "memoryBytes": v(8_000_000_001, 8_000_000_002), "queued": v(901, 902)},
        "reload": {"mode": v("hybrid", "hot"), "debounceMs": v(310, 320)},
        "nodes": {"sessions": v("own", "any"), "commands": {"allow": [v("a.a", "b.b")], "deny": [v("c.c", "d.d")]}},
    }


def _limits(v: Any, base: int) -> dict[str, Any]:
    names = ("steps", "toolCalls", "wallSeconds", "identicalOutcomes")
    return {name: base + 2 * at + v(0, 1) for at, name in enumerate(names)}


def _queue(v: Any, base: int) -> dict[str, Any]:
    drop = v("reject-new", "drop-oldest") if base < 50 else v("drop-oldest", "summarise")
    return {"mode": v("followup", "collect"), "cap": base + v(0, 1), "drop": drop}


def _beat(v: Any, name: str) -> dict[str, Any]:
    return {
        "every": v("70m", "80m"),
        "prompt": f"{name} {v('first', 'second')}?",
        "target": f"{name} {v('here', 'there')}",
        "ackMaxChars": v(301, 302),
        "model": v("fake/fake-n1", "fake/fake-n2"),
        "session": v("main", "quiet"),
        "timeoutSeconds": v(21, 22),
        "activeHours": {
            "start": v("00:01", "00:02"),
            "end": v("24:00", "23:59"),
            "timezone": v("Europe/Paris", "Europe/Rome"),
        },
    }


def _network(v: Any) -> dict[str, Any]:
    classes = ("inference", "channels", "artifacts", "telemetry", "tools", "internal")
    return {
        "allowEgress": v(False, True),
        "egressAllowlist": [v("a.example", "b.example")],
        "classes": {
            name: {
                "allow": ["127.0.0.1:9", v(f"{name}.a.example", f"{name}.b.example")],
                "owner": v(f"{name} Ann", f"{name} Bea"),
                "review": v(f"200{number}-01-01", f"200{number}-02-02"),
            }
            for number, name in enumerate(classes)
        },
        "actions": {"test": {"egressAllowlist": ["*.example", v("a.example", "b.example")]}},
    }


def _agents(v: Any) -> dict[str, Any]:
    first = {
        "id": "main",
        "name": v("One", ""),
        "default": v(True, False),
        "model": {"primary": v("fake/echo", "fake/fake-n1"), "fallbacks": [v("fake/fake-n3", "fake/fake-n4")]},
        "workspace": v("work-a", ""),
        "systemPrompt": v("Be first.", "Be second."),
        "thinkingDefault": v("low", "high"),
        "maxConcurrent": v(7, 8),
        "actions": v(["shout"], ["cry"]),
        "skills": [v("a-skill", "b-skill")],
        "tools": {
            "allow": v(["read_file"], ["list_files"]),
            "deny": [v("p", "q")],
            "exec": {
                "security": v("full", "allowlist"),
                "ask": v("always", "on-miss"),
                "allowlist": [v("/usr/bin/id", "/usr/bin/w")],
                "safeBins": [v("head", "tail")],
                "pathPrepend": [v("/opt/c", "/opt/d")],
                "env": [v("THREE", "FOUR")],
            },
        },
        "limits": _limits(v, 40),
        "queue": _queue(v, 60),
        "heartbeat": _beat(v, "own"),
        "networkPolicy": {
            "egressAllowlist": ["*.example", v("a.test", "b.test")],
            "actions": {"test": {"egressAllowlist": [v("own.a.example", "own.b.example")]}},
        },
        "sandbox": _sandbox(v, 80),
    }
    other = {
        "id": v("second", "third"),
        "model": v("fake/fake-n5", ""),
        "default": v(False, True),
        "tools": {"deny": v([], ["*"])},
    }
    return {
        "defaults": {
            "model": {"primary": v("fake/fake-n7", "fake/fake-n8"), "fallbacks": [v("fake/fake-n9", "fake/fake-n10")]},
            "workspace": v("all-a", "all-b"),
            "systemPrompt": v("All first.", "All second."),
            "maxConcurrent": v(65, 66),
            "timeoutSeconds": v(601, 602),
            "contextTokens": v(20_000, 21_000),
            "maxTokens": v(901, 902),
            "thinkingDefault": v("medium", "max"),
            "skills": [v("a-skill", "b-skill")],
            "userTimezone": v("Europe/Oslo", "Europe/Riga"),
            "limits": _limits(v, 20),
            "queue": _queue(v, 30),
            "compaction": {
                "enabled": v(False, True),
                "model": v("fake/fake-n11", "fake/fake-n12"),
                "keepRecentTokens": v(4001, 120),
            },
            "memory": {"enabled": v(False, True), "size": v(1001, 1002)},
            "subagents": {"maxDepth": v(2, 3), "maxChildren": v(9, 10)},
            "heartbeat": _beat(v, "all"),
            "sandbox": _sandbox(v, 90),
        },
        "list": [first, other],
    }


def _models(v: Any) -> dict[str, Any]:
    def provider(api: str, **more: Any) -> dict[str, Any]:
        return {"api": api, "baseUrl": v(f"{DEAD}/a", f"{DEAD}/b"), "models": [{"id": "m"}], **more}

    priced = {
        "id": v("m1", "m2"),
        "name": v("M one", "M two"),
        "contextWindow": v(1001, 1002),
        "maxTokens": v(301, 302),
        "tools": v(True, False),
        "input": v(["text"], ["text", "image"]),
        "reasoning": v(False, True),
        "cost": {"input": v(1.5, 2.5), "output": v(3.5, 4.5), "cacheRead": v(0.1, 0.2), "cacheWrite": v(0.3, 0.4)},
    }
    timeouts = {"connectMs": v(501, 502), "firstTokenMs": v(601, 602), "idleMs": v(701, 702), "totalMs": v(801, 802)}
    return {
        "providers": {
            "fake": {"api": "fake"},
            "chat": provider(
                "openai-completions", apiKey=v("key-aaaa", "key-bbbb"), models=[priced], timeouts=timeouts
            ),
            "turn": provider(v("openai-completions", "anthropic-messages"), apiKey="key-cccc"),
            **{f"of-{source}": {"api": "openai-completions", "apiKey": asked} for source, asked in _references()},
            "oll": provider("ollama", numCtx=v(8000, 9000), keepAlive=v("5m", "6m")),
            "aws": {
                "api": "bedrock-converse",
                "region": v("eu-west-1", "eu-west-2"),
                "awsProfile": v("one", "two"),
                "models": [{"id": "m"}],
            },
        },
        "tiers": {
            tier: f"fake/fake-n{30 + 2 * at + v(0, 1)}"
            for at, tier in enumerate(("probe", "summary", "interactive", "tools", "heartbeat"))
        },
        "routes": [
            {
                "use": v("fake/fake-n13", "fake/fake-n14"),
                "when": {
                    "purpose": v("interactive", "tools"),
                    "agent": v("second", "main"),
                    "channel": v("http", "rpc"),
                    "group": v(True, False),
                    "contains": v("first route", "second route"),
                    "tokens": v(2, 1),
                },
            }
        ],
        "budgets": [
            {
                "usd": v(100.0, 101.0),
                "window": v("day", "month"),
                "scope": v("total", "agent"),
                "subject": v("", "main"),
                "noticePercent": v(81, 82),
            }
        ],
        "review": {
            "model": v("fake/fake-n15", "fake/fake-n16"),
            "prompt": v("First look?", "Second look?"),
            "agents": [v("second", "main")],
        },
        "catalogRefresh": {"url": v("/nowhere/first.json", "/nowhere/second.json")},
    }


def _references() -> Iterator[tuple[str, Any]]:
    for source in ("env", "file", "exec", "aws", "ssm", "vault"):
        yield source, {"source": source, "id": "OF_OURS"}
    yield "text", "{{ secrets['x'] }}"
    for name in ("vault2", "aws2"):
        yield name, {"source": name[:-1], "provider": name, "id": "x"}


def _servers(v: Any) -> dict[str, Any]:
    return {
        "prog": {
            "enabled": v(False, True),
            "command": v("/nowhere/first", sys.executable),
            "args": v(["x"], [str(LEGACY), "."]),
            "env": {"OF_THEIRS": v("3", "4")},
            "cwd": v("a", "b"),
            "requestTimeoutMs": v(5001, 5002),
            "allow": [v("t1", "t2")],
        },
        "far": {"url": v(f"{DEAD}/first", f"{DEAD}/second"), "headers": {"x-key": v("header-aaa", "header-bbb")}},
    }


def _hooks(v: Any) -> dict[str, Any]:
    return {
        "enabled": v(False, True),
        "path": v("/hooks", "/in"),
        "token": HOOK_TOKENS[v(0, 1)],
        "defaultSessionKey": v("hook:first", "hook:second"),
        "allowRequestSessionKey": v(False, True),
        "allowedSessionKeyPrefixes": [v("first:", "hook:")],
        "allowedAgentIds": [v("second", "main")],
        "mappings": [
            {
                "id": v("m-first", "m-second"),
                "action": v("wake", "agent"),
                "wakeMode": v("now", "next-heartbeat"),
                "name": v("First", ""),
                "agentId": v("second", "main"),
                "sessionKey": v("hook:a", "hook:b"),
                "messageTemplate": v("one", "two"),
                "textTemplate": v("three", "four"),
                "model": v("fake/fake-n17", "fake/fake-n18"),
                "thinking": v("low", "high"),
                "timeoutSeconds": v(31, 32),
                "allowUnsafeExternalContent": v(False, True),
                "match": {"path": v("first", "second"), "source": v("here", "there")},
            },
            {"id": "note", "action": v("agent", "wake"), "textTemplate": v("five", "six"), "match": {"path": "note"}},
            {
                "id": "signed",
                "match": {"path": "signed"},
                "messageTemplate": "seven",
                "signature": {
                    "scheme": v("stripe", "slack"),
                    "secret": v("signing-secret-aaa", "signing-secret-bbb"),
                    "toleranceSeconds": v(301, 302),
                },
            },
        ],
    }


def _secrets(v: Any) -> dict[str, Any]:
    sources = ("env", "file", "exec", "aws", "ssm", "vault")
    common = {"ttlSeconds": v(1, 2)}
    aws = {"region": v("eu-west-1", "eu-west-2"), "endpoint": v(f"{DEAD}/x", f"{DEAD}/y")}
    vault = {
        "address": v(f"{DEAD}/v", f"{DEAD}/w"),
        "namespace": v("ns1", "ns2"),
        "roleId": v("role1", "role2"),
        "secretId": v("secret-id-1", "secret-id-2"),
        "appRoleMount": v("ar1", "ar2"),
        "timeoutMs": v(2001, 2002),
        "allowInsecure": v(False, True),
    }
    signed_in = {"token": v("vault-t-1", "vault-t-2"), "mount": v("mt1", "mt2"), "kvVersion": v(1, 2)}
    exec_ = {
        "command": v("/nowhere/a", "/bin/sh"),
        "args": v(["-c"], ["-c", "printf hello"]),
        "passEnv": [v("LANG", "PATH")],
        "env": {"A": v("5", "6")},
        "jsonOnly": v(True, False),
        "maxBytes": v(1000, 2000),
        "allowInsecure": True,
    }
    return {
        "default": v("file1", "file2"),
        "timeoutMs": v(20_001, 20_002),
        "providers": {
            "env1": {"source": "env", **common},
            "file1": {"source": "file", "path": "one.json", "mode": "json"},
            "file2": {"source": "file", "path": v("one.txt", "two.txt"), "mode": v("auto", "singleValue")},
            "exec1": {"source": "exec", **exec_},
            "aws1": {"source": "aws", "profile": v("p1", "p2")},
            "aws2": {"source": "aws", **aws},
            "ssm1": {"source": "ssm", **aws},
            "vault1": {"source": "vault", **vault},
            "vault2": {"source": "vault", "address": f"{DEAD}/v", "allowInsecure": True, **signed_in},
            "turned": {"source": v("env", "file"), "path": "two.txt", "mode": "singleValue"},
        },
        "defaults": {source: v("", f"{source}1") for source in sources if source != "file"} | {"file": v("", "file2")},
    }
