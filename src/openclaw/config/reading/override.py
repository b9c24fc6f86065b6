"""Documented variables that beat the file, so that a container can be configured without one."""

from __future__ import annotations

from typing import Any

import msgspec

from openclaw.config.env import Environment
from openclaw.config.issue import Issue
from openclaw.config.reading.normalise import SPELLINGS, normalise_value
from openclaw.config.reading.validate import to_secret
from openclaw.config.schema import Config, ModelChoice, Section
from openclaw.config.schema.shape import Shape, expected, fields

OVERRIDES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("gateway.auth.token", ("OPENCLAW_GATEWAY_TOKEN",)),
    ("gateway.auth.password", ("OPENCLAW_GATEWAY_PASSWORD",)),
    ("gateway.port", ("OPENCLAW_GATEWAY_PORT", "PORT")),
    ("gateway.bind", ("OPENCLAW_GATEWAY_BIND",)),
    ("gateway.publicBaseUrl", ("OPENCLAW_PUBLIC_BASE_URL",)),
    ("gateway.trustedProxies", ("OPENCLAW_TRUSTED_PROXIES",)),
    ("logging.level", ("OPENCLAW_LOG_LEVEL",)),
    ("backup.passphrase", ("OPENCLAW_BACKUP_PASSPHRASE",)),
)
"""Key path and its variables, first one wins."""
PROVIDER = "OPENCLAW_LLM_PROVIDER"
PROVIDER_PATH = "agents.defaults.model"


def override(config: Config, env: Environment, sources: dict[str, str]) -> tuple[Config, list[Issue]]:
    """Return the configuration with the variables applied, and note in `sources` where each came from."""
    issues: list[Issue] = []
    for path, names in OVERRIDES:
        name = next((name for name in names if env.get(name)), None)
        if name is None:
            continue
        keys = tuple(path.split("."))
        text = (env.get(name) or "").strip()
        shape = _shape_at(keys)
        try:
            value = msgspec.convert(_said(path, text, shape), shape.type, strict=False, dec_hook=to_secret)
        except msgspec.ValidationError:
            message = f"expected {expected(shape)}; {path} keeps its value"
            hint = f"Set it in {env.source(name)}."
            issues.append(Issue("invalid-value", name, message, hint=hint, section=keys[0]))
            continue
        config = replace_at(config, keys, value)
        sources[path] = f"{name} ({env.source(name)})"
    return _provider_of_environment(config, env, sources), issues


def _said(path: str, text: str, shape: Shape) -> str | list[str]:
    """Return what a variable's text means: a list is written with commas."""
    if shape.kind == "list":
        return [part for each in text.split(",") if (part := each.strip())]
    return normalise_value(path, text) if path in SPELLINGS else text


def _provider_of_environment(config: Config, env: Environment, sources: dict[str, str]) -> Config:
    """Put the default model of the agents aside where the environment names a provider; the fallbacks stay.

    The registry knows that provider's model: it answers for whoever names none.
    """
    chosen = config.agents.defaults.model
    if not chosen or not (env.get(PROVIDER) or "").strip():
        return config
    sources[PROVIDER_PATH] = f"{PROVIDER} ({env.source(PROVIDER)})"
    fallbacks = () if isinstance(chosen, str) else chosen.fallbacks
    others = ModelChoice(fallbacks=fallbacks) if fallbacks else ""
    changed: Config = replace_at(config, tuple(PROVIDER_PATH.split(".")), others)
    return changed


def _shape_at(keys: tuple[str, ...]) -> Shape:
    section: type[Section] = Config
    for key in keys[:-1]:
        section = fields(section)[key].shape.section or section
    return fields(section)[keys[-1]].shape


def replace_at(config: Section, keys: tuple[str, ...], value: Any) -> Any:
    """Return a copy of nested sections with one leaf changed; `keys` are wire keys."""
    name = fields(type(config))[keys[0]].name
    new = value if len(keys) == 1 else replace_at(getattr(config, name), keys[1:], value)
    return msgspec.structs.replace(config, **{name: new})
