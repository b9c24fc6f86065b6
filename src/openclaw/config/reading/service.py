"""The short form of a YAML configuration, said in the schema's words: server, agent, agents, llm_provider, llm.

1. Only the keys of the short form are touched; the schema's own names may stand beside them, and win.
2. Each setting remembers where it was written, so that every issue names that line and key.
3. What the short form cannot say is an issue of its own and has no effect.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from openclaw.config.issue import Issue, IssueKind
from openclaw.config.keypath import KeyPath, format_path, section_of
from openclaw.config.reading.normalise import SPELLINGS
from openclaw.config.reading.scan import Node, Positions
from openclaw.config.reading.validate import describe_value

APIS: Mapping[str, str] = {
    "anthropic": "anthropic-messages",
    "openai": "openai-completions",
    "bedrock": "bedrock-converse",
    "ollama": "ollama",
    "embedded": "embedded",
    "fake": "fake",
}
"""What the built-in providers speak: an entry for one with a key alone would else speak the default."""

_PROVIDERS: Mapping[str, Mapping[str, str]] = {
    "cognito": {
        "user_pool_id": "userPoolId",
        "client_id": "clientId",
        "audience": "audience",
        "region": "region",
        "token_use": "tokenUse",
        "issuer": "issuer",
        "jwks_url": "jwksUrl",
    },
    "oidc": {
        "issuer": "issuer",
        "audience": "audience",
        "client_id": "clientId",
        "jwks_url": "jwksUrl",
        "groups_claim": "groupsClaim",
    },
}
"""Provider → key of the short form → key of gateway.auth.<provider>."""
_KNOWN: Mapping[str, tuple[str, ...]] = {
    "server": ("host", "port"),
    "llm": ("provider", "api_key", "model"),
    "authentication": tuple(dict.fromkeys(("enabled", "provider", *_PROVIDERS["cognito"], *_PROVIDERS["oidc"]))),
}
_MODEL: KeyPath = ("agents", "defaults", "model")
_BIND_WORDS = frozenset({"loopback", "lan", *SPELLINGS["gateway.bind"]})
_NOT_IN_ID = re.compile(r"[^a-z0-9_-]+")
_OWN_NAMES = "Every other setting goes by its own name, beside this one; see docs/settings.md."


class Moved(Positions):
    """Positions of the schema's key paths in a text that writes some of them elsewhere."""

    def __init__(self, text: str, root: Node, origin: Mapping[KeyPath, KeyPath]) -> None:
        super().__init__(text, root)
        self._origin = origin

    def at(self, path: KeyPath) -> tuple[int, int]:
        """Return the place where the setting, or the nearest thing around it, is written."""
        return super().at(self.source(path) or path)

    def source(self, path: KeyPath) -> KeyPath | None:
        """Return the key path in the file of a setting that is written elsewhere."""
        for length in range(len(path), 0, -1):
            if (found := self._origin.get(path[:length])) is not None:
                return (*found, *path[length:])
        return None

    def written(self, path: KeyPath) -> str:
        """Return words for a setting that the file writes under another key, else ""."""
        found = self.source(path)
        return f" (written as {format_path(found)})" if found and found != path else ""


class ServiceForm:
    """One reading of the values of a YAML file. `parsed` holds the schema's settings only."""

    def __init__(self, raw: Mapping[str, Any], text: str, root: Node) -> None:
        self.parsed: dict[str, Any] = {key: value for key, value in raw.items() if key not in _SHORT}
        self._raw = raw
        self._origin: dict[KeyPath, KeyPath] = {}
        self._notes: list[tuple[KeyPath, Issue]] = []
        self._file = Positions(text, root)
        self._server()
        self._agents()
        self._models()
        self._authentication()
        self.positions: Positions = Moved(text, root, self._origin) if self._origin else self._file

    def issues(self) -> tuple[Issue, ...]:
        """Return what the short form could not say, each with its place in the file."""
        return tuple(self._placed(path, issue) for path, issue in self._notes)

    def _server(self) -> None:
        server = self._section("server")
        if (host := server.get("host")) is not None:
            word = host.strip().lower() if isinstance(host, str) else host
            if isinstance(word, str) and word not in _BIND_WORDS:
                if self._set(("gateway", "bind"), "custom", ("server", "host")):
                    self._set(("gateway", "customBindHost"), host.strip(), ("server", "host"))
            else:
                self._set(("gateway", "bind"), word, ("server", "host"))
        if (port := server.get("port")) is not None:
            self._set(("gateway", "port"), port, ("server", "port"))

    def _authentication(self) -> None:
        given = self._section("authentication")
        if not given or given.get("enabled") is False:
            return
        provider = given.get("provider", "cognito")
        names = _PROVIDERS.get(provider) if isinstance(provider, str) else None
        if names is None:
            message = "this identity provider is not available; callers prove themselves by the token"
            self._note(("authentication", "provider"), "not-available", message, warning=True)
            return
        if self._set(("gateway", "auth", "mode"), provider, ("authentication", "provider")):
            for key, name in names.items():
                if key in given:
                    self._set(("gateway", "auth", provider, name), given[key], ("authentication", key))

    def _agents(self) -> None:
        found: list[tuple[Any, KeyPath]] = []
        if (agent := self._raw.get("agent")) is not None:
            found.append((agent, ("agent",)))
        given = self._raw.get("agents")
        if isinstance(given, list):
            del self.parsed["agents"]
            found += [(entry, ("agents", index)) for index, entry in enumerate(given)]
        if not found:
            return
        if isinstance(given, dict) and "list" in given:
            message = "the file has agents.list as well, which wins"
            self._note(("agent",), "invalid-value", message, "Move this agent there.")
            return
        entries = [
            self._agent(entry, source, ("agents", "list", index), alone=len(found) == 1)
            for index, (entry, source) in enumerate(found)
        ]
        if self._set(("agents", "list"), entries, found[0][1]):
            # The list as a whole is written where the file says `agents`, else at its one agent.
            self._origin["agents", "list"] = ("agents",) if isinstance(given, list) else ("agent",)

    def _agent(self, entry: Any, source: KeyPath, target: KeyPath, *, alone: bool) -> Any:
        self._origin[target] = source
        if not isinstance(entry, dict):
            return entry
        out = {key: value for key, value in entry.items() if key not in ("memory_size", "policy")}
        name = out.get("name")
        if "id" not in out and name is not None:
            out = {"id": _agent_id(name), **out}
            self._origin[*target, "id"] = (*source, "name")
        if (size := entry.get("memory_size")) is not None:
            if alone:
                self._set(("agents", "defaults", "memory", "size"), size, (*source, "memory_size"))
            else:
                message = "one size goes for all agents: with several of them this has no effect"
                hint = "Set agents.defaults.memory.size, with the agents in agents.list."
                self._note((*source, "memory_size"), "not-available", message, hint, warning=True)
        # `strict` is what is in force when nothing else is said.
        if (policy := entry.get("policy")) is not None and policy != "strict":
            message = "policy profiles are not available in this version, this has no effect"
            self._note((*source, "policy"), "not-available", message, "Set tools and networkPolicy.", warning=True)
        return out

    def _models(self) -> None:
        llm, chosen = self._section("llm"), self._raw.get("llm_provider")
        source: KeyPath = ("llm", "provider") if llm.get("provider") is not None else ("llm_provider",)
        provider = llm["provider"] if source[0] == "llm" else chosen
        model = llm.get("model")
        if provider is None:
            if model is not None or llm.get("api_key") is not None:
                hint = "Name it, for example provider: anthropic. Nothing here has an effect until then."
                self._note(("llm",), "invalid-value", "model and api_key need a provider", hint)
            return
        if llm.get("api_key") is not None:
            self._key(provider, llm["api_key"], source)
        if chosen is not None and (chosen != provider or "/" in str(chosen)):
            # The switch: what `llm` says about the other provider stays for the day it is switched back.
            self._model(chosen, ("llm_provider",))
        elif model in (None, ""):
            self._model(provider, source)
        elif isinstance(provider, str) and isinstance(model, str) and not model.startswith(f"{provider}/"):
            self._model(f"{provider}/{model}", ("llm", "model"))
        else:
            self._model(model, ("llm", "model"))

    def _model(self, ref: Any, source: KeyPath) -> None:
        """Put the agents' default model aside, as OPENCLAW_LLM_PROVIDER does; its fallbacks stay."""
        agents = self.parsed.get("agents")
        defaults = agents.get("defaults") if isinstance(agents, dict) else None
        held = defaults.get("model") if isinstance(defaults, dict) else None
        if isinstance(held, dict):
            held["primary"] = ref
            self._origin[*_MODEL, "primary"] = source
            return
        if isinstance(defaults, dict):
            defaults.pop("model", None)
        self._set(_MODEL, ref, source)

    def _key(self, provider: Any, key: Any, source: KeyPath) -> None:
        if not isinstance(provider, str) or "$" in provider or "/" in provider or not provider:
            message = "with an api_key this must be the plain name of a provider"
            self._note(source, "invalid-value", message, "The key is not used until then.")
            return
        entry: KeyPath = ("models", "providers", provider)
        self._set((*entry, "apiKey"), key, ("llm", "api_key"))
        held: Any = self.parsed
        for step in entry:
            held = held.get(step) if isinstance(held, dict) else None
        if provider in APIS and isinstance(held, dict):
            held.setdefault("api", APIS[provider])

    def _section(self, name: str) -> Mapping[str, Any]:
        body = self._raw.get(name)
        if body is None:
            return {}
        known = _KNOWN[name]
        if not isinstance(body, dict):
            message = f"expected an object {{ {', '.join(known)} }}, got {describe_value(body, hide=True)}"
            self._note((name,), "invalid-value", message, "Until then the default is used.")
            return {}
        for key in body:
            if key not in known:
                message = f"unknown key, it has no effect; {name} knows {', '.join(known)}"
                self._note((name, key), "unknown-key", message, _OWN_NAMES, warning=True)
        return body

    def _set(self, target: KeyPath, value: Any, source: KeyPath) -> bool:
        held: Any = self.parsed
        for step in target[:-1]:
            if held.get(step) is None:
                held[step] = {}
            held = held[step]
            if not isinstance(held, dict):
                break
        if not isinstance(held, dict) or target[-1] in held:
            message = f"the file sets {format_path(target)} by its own name, so this has no effect"
            self._note(source, "invalid-value", message, "Remove one of the two.")
            return False
        held[str(target[-1])] = value
        self._origin[target] = source
        return True

    def _note(self, path: KeyPath, kind: IssueKind, message: str, hint: str = "", *, warning: bool = False) -> None:
        self._notes.append((path, Issue(kind, "", message, severity="warning" if warning else "error", hint=hint)))

    def _placed(self, path: KeyPath, issue: Issue) -> Issue:
        line, column = self._file.at(path)
        place, section = format_path(path), section_of(path)
        return msgspec.structs.replace(issue, path=place, line=line, column=column, section=section)


_SHORT = frozenset({"server", "agent", "llm_provider", "llm", "authentication"})


def _agent_id(name: Any) -> Any:
    """Return an id for a name; what cannot be one comes back as it is and is judged by the schema."""
    if not isinstance(name, str) or "${" in name:
        return name
    return _NOT_IN_ID.sub("-", name.strip().lower()).strip("-_")[:64] or name
