"""Who may call: the shared credential, its strength, and that every place holds the same one."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from openclaw.base.secret import Secret
from openclaw.config.refusal import MIN_SECRET_CHARS, binds_loopback_only, is_weak, refusals
from openclaw.ops.doctor.scene import Configured, Finding, Scene
from openclaw.ops.token.copies import alignable, credential_mode, disagreeing, effective, find_copies

UNSEEN_DAYS = 90
_DAY_MS = 86_400_000


def auth_findings(scene: Configured) -> Iterator[Finding]:
    """Report whether callers must prove who they are, and with how strong a secret."""
    for refusal in refusals(scene.loaded):
        yield Finding(id="gateway.refuses", severity="error", evidence=refusal.message, fix=refusal.hint)
    gateway = scene.loaded.config.gateway
    auth = gateway.auth
    if auth.mode == "none":
        if binds_loopback_only(gateway):
            yield Finding(
                id="gateway.auth",
                severity="warning",
                evidence="gateway.auth.mode is none: every program on this machine may use the gateway",
                fix="openclaw config set gateway.auth.mode token",
            )
        return
    mode = credential_mode(scene.loaded)
    secret, where = effective(scene.loaded)
    if not secret:
        yield Finding(
            id="gateway.token",
            severity="warning",
            evidence=f"no {mode} is configured",
            fix=f"The gateway makes one at its start; or set OPENCLAW_GATEWAY_{mode.upper()}.",
        )
    elif is_weak(secret):
        how = "openclaw gateway token rotate" if mode == "token" else "openssl rand -hex 32"
        yield Finding(
            id="gateway.token",
            severity="warning",
            evidence=f"the {mode} from {where} is weak ({len(secret)} characters)",
            fix=f"Use at least {MIN_SECRET_CHARS} random characters, e.g. from: {how}",
        )
    else:
        seen = f"a strong {mode} ({secret.fingerprint()}) comes from {where}"
        yield Finding(id="gateway.token", severity="ok", evidence=seen)


def parity_findings(scene: Scene) -> Iterator[Finding]:
    """Report every place that holds another credential than the one that counts."""
    right, source = effective(scene.loaded)
    copies = find_copies(scene.paths, scene.loaded, scene.env, scene.cwd, scene.units)
    wrong = disagreeing(copies, right)
    if right is None or not copies:
        return
    mendable = alignable(copies, right, source)
    for copy in wrong:
        seen = f"{copy.where} holds {copy.secret.fingerprint()}, but {source} holds {right.fingerprint()} and counts"
        if copy in mendable:
            fix = "openclaw doctor --fix token"
        elif copy.owned:
            fix = "openclaw gateway token rotate (puts a fresh one in every place that is ours)"
        else:
            fix = f"Put the credential of {source} there, or remove it."
        patch = "align-token-copies" if copy in mendable else ""
        yield Finding(id="token.parity", severity="error", evidence=seen, fix=fix, patch=patch)
    if not wrong:
        seen = "one place holds it" if len(copies) == 1 else f"{len(copies)} places hold the same credential"
        yield Finding(id="token.parity", severity="ok", evidence=seen)


def duplicate_findings(scene: Configured) -> Iterator[Finding]:
    """Report one secret that is used for two things: who has the one has the other."""
    config = scene.loaded.config
    named = [
        ("gateway.auth.token", config.gateway.auth.token),
        ("gateway.auth.password", config.gateway.auth.password),
        ("hooks.token", config.hooks.token),
        *((f"models.providers.{name}.apiKey", one.api_key) for name, one in config.models.providers.items()),
        *(
            (f"hooks.mappings[{at}].signature.secret", one.signature.secret)
            for at, one in enumerate(config.hooks.mappings)
            if one.signature
        ),
    ]
    kept: dict[str, list[tuple[str, Secret]]] = {}
    for name, secret in named:
        if not secret:
            continue
        alike = kept.setdefault(secret.fingerprint(), [])
        for other, its in alike:
            if its == secret:
                yield Finding(
                    id="token.duplicate",
                    severity="error" if "hooks.token" in (name, other) else "warning",
                    evidence=f"{name} and {other} are the same secret",
                    fix=f"Give {name} one of its own, e.g. from: openssl rand -hex 32",
                )
        alike.append((name, secret))
    yield from _channel_duplicates(scene)


def _channel_duplicates(scene: Configured) -> Iterator[Finding]:
    seen: dict[str, str] = {}
    for channel, settings in scene.loaded.config.channels.items():
        for key, value in sorted(settings.items()):
            if not isinstance(value, str) or "token" not in key.lower() or not value:
                continue
            place = f"channels.{channel}.{key}"
            if value in seen:
                yield Finding(
                    id="token.duplicate",
                    severity="error",
                    evidence=f"{place} and {seen[value]} are the same token: only one of them will hear anything",
                    fix=f"Give {place} a token of its own, or remove that channel.",
                )
            seen.setdefault(value, place)


def hooks_findings(scene: Configured) -> Iterator[Finding]:
    """Report a token of the webhooks that can be guessed; a missing one is the configuration's own complaint."""
    hooks = scene.loaded.config.hooks
    if not hooks.enabled or not hooks.token:
        return
    if is_weak(hooks.token):
        yield Finding(
            id="hooks.token",
            severity="warning",
            evidence=f"hooks.token is weak ({len(hooks.token)} characters)",
            fix='openclaw config set hooks.token "$(openssl rand -hex 32)"',
        )
    else:
        yield Finding(id="hooks.token", severity="ok", evidence=f"a strong token ({hooks.token.fingerprint()})")


def device_findings(scene: Scene) -> Iterator[Finding]:
    """Report devices with operator.admin that nobody has seen for long."""
    from openclaw.identity.devices.book import DEVICE
    from openclaw.identity.devices.record import Device
    from openclaw.store.inspect import records

    for body in records(scene.paths.db_path, DEVICE) if scene.paths.db_path.is_file() else []:
        try:
            device = msgspec.json.decode(body, type=Device)
        except msgspec.MsgspecError:
            continue
        admin = any("operator.admin" in scopes for scopes in device.approved.values())
        days = (scene.now_ms - (device.last_seen_at_ms or device.approved_at_ms)) // _DAY_MS
        if admin and days >= UNSEEN_DAYS:
            name = device.label or device.display_name or device.client_id or "unnamed"
            yield Finding(
                id="devices.unseen",
                severity="warning",
                evidence=f"device {device.device_id[:12]} ({name!r}) has operator.admin, last seen {days} days ago",
                fix=f"openclaw devices remove {device.device_id}",
            )
