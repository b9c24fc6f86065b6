"""What is kept of devices: the paired ones with their tokens, those that wait, and setup codes.

Times are Unix ms. Tokens and codes are kept as hashes only; `salt` lets the holder of the gateway's key make a token
again (see `tokens`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

import msgspec

from openclaw.base.secret import masked
from openclaw.identity.scopes import Role, covers

Reason = Literal["not-paired", "role-upgrade", "scope-upgrade", "metadata-upgrade"]
Access = Literal["full", "limited", "node"]
Decision = Literal["approved", "rejected", "expired"]
Via = Literal["silent", "owner", "setup-code"]

MAX_TEXT: Final = 128
"""Characters kept of whatever a device says about itself."""


class Ask(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a device that has proved its key wants: one role with scopes. The texts are its own words."""

    device_id: str
    public_key: str
    role: Role
    scopes: tuple[str, ...] = ()
    platform: str = ""
    device_family: str = ""
    client_id: str = ""
    client_mode: str = ""
    display_name: str = ""
    address: str = ""


class Token(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A device's token for one role. `digest` is the hex SHA-256 of it."""

    scopes: tuple[str, ...]
    salt: str
    digest: str
    created_at_ms: int
    rotated_at_ms: int | None = None
    revoked_at_ms: int | None = None
    last_used_at_ms: int | None = None

    @property
    def issued_at_ms(self) -> int:
        """When the token that holds now was made."""
        return self.rotated_at_ms or self.created_at_ms


class Device(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A paired device. `approved` has the scopes of each role it may take; `tokens` is by role."""

    device_id: str
    public_key: str
    created_at_ms: int
    approved_at_ms: int
    approved_via: Via
    approved: dict[Role, tuple[str, ...]]
    tokens: dict[Role, Token] = {}
    platform: str = ""
    device_family: str = ""
    client_id: str = ""
    client_mode: str = ""
    display_name: str = ""
    label: str = ""
    """The name that a person gave it."""
    address: str = ""
    last_seen_at_ms: int | None = None


class PairingRequest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A device that waits for somebody to decide. `repair` says that it was paired already."""

    request_id: str
    ask: Ask
    reason: Reason
    requested_at_ms: int
    expires_at_ms: int
    repair: bool = False


class SetupCode(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A code that pairs one device, once. `used_by` is the device that came with it."""

    setup_id: str
    digest: str
    access: Access
    granted: dict[Role, tuple[str, ...]]
    created_at_ms: int
    expires_at_ms: int
    used_by: str = ""
    used_by_name: str = ""
    used_at_ms: int = 0


class Issued(msgspec.Struct, frozen=True):
    """A token in the open, on its way to its device and nowhere else."""

    token: str
    role: Role
    scopes: tuple[str, ...]
    issued_at_ms: int

    __repr__ = masked


def folded(text: str) -> str:
    """Return what a device says of itself as it is compared."""
    return text.strip().casefold()


def changed_metadata(device: Device, ask: Ask) -> bool:
    """Say whether a device is another kind of machine than the one that was approved. What is unsaid is unchanged."""
    pairs = ((device.platform, ask.platform), (device.device_family, ask.device_family))
    return any(was and now and folded(was) != folded(now) for was, now in pairs)


def lacking(device: Device | None, ask: Ask) -> Reason | None:
    """Return why a device may not have what it asks for, or None when it may."""
    if device is None:
        return "not-paired"
    if changed_metadata(device, ask):
        return "metadata-upgrade"
    if ask.role not in device.approved:
        return "role-upgrade"
    return None if covers(device.approved[ask.role], ask.scopes) else "scope-upgrade"


def merged(old: tuple[str, ...], new: tuple[str, ...]) -> tuple[str, ...]:
    """Return the scopes of both, sorted."""
    return tuple(sorted({*old, *new}))


def grow(approved: Mapping[Role, tuple[str, ...]], more: Mapping[Role, tuple[str, ...]]) -> dict[Role, tuple[str, ...]]:
    """Return what is approved with more of it."""
    return {role: merged(approved.get(role, ()), more.get(role, ())) for role in (*approved, *more)}
