"""Secrets in HashiCorp Vault: key-value engine of version 1 or 2, signed in to by a token or by AppRole.

Source: Vault's HTTP API. Its own error texts are not repeated: they may quote what was sent.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote, urlsplit

import msgspec

from openclaw.base.errors import PolicyDenied, Unavailable
from openclaw.base.secret import Secret
from openclaw.config.schema import SecretProviderConfig
from openclaw.net.error import NetError
from openclaw.net.http import Timeouts
from openclaw.net.response import Response
from openclaw.secrets.outcome import Found, Means, Unresolved, Written
from openclaw.secrets.pointer import parse_json, pick, replace, split_id

FIELD: Final = "value"
"""The field of an entry that is meant when the id names none."""
ANSWER_BYTES: Final = 1_048_576
_log = logging.getLogger("openclaw.secrets")
_STATUS: Final = {
    400: "Vault refuses the request; check mount and kvVersion, or somebody else has changed it just now",
    403: "Vault does not allow it to this token",
    404: "Vault has nothing at that path",
    429: "Vault is overloaded",
    503: "Vault is sealed",
}


async def read_vault(provider: SecretProviderConfig, ids: Sequence[str], means: Means) -> Found:
    """Return fields of entries: `path#field`, or `path` for its field `value`. Raises: Unresolved."""
    door = _Door(provider, means)
    token = await door.token()
    try:
        paths = list(dict.fromkeys(split_id(each)[0] for each in ids))
        entries = await asyncio.gather(*(door.entry(path, token) for path in paths))
    finally:
        if door.signed_in:
            await door.sign_out(token)
    kept = dict(zip(paths, entries, strict=True))
    return {each: _field(each, kept) for each in ids}


async def write_vault(provider: SecretProviderConfig, name: str, secret: Secret, means: Means) -> Written:
    """Replace a field of an entry; the others stay. Raises: Unresolved, also when the entry has changed meanwhile."""
    door = _Door(provider, means)
    token = await door.token()
    try:
        path, field = split_id(name)
        return await door.put(path, field or FIELD, secret, token)
    finally:
        if door.signed_in:
            await door.sign_out(token)


def _field(each: str, kept: Mapping[str, Any]) -> Secret | Unresolved:
    path, field = split_id(each)
    entry = kept[path]
    try:
        return entry if isinstance(entry, Unresolved) else pick(entry, field or FIELD)
    except Unresolved as error:
        return error


class _Door:
    """One Vault as one reading sees it."""

    def __init__(self, provider: SecretProviderConfig, means: Means) -> None:
        self._provider = provider
        self._means = means
        self._root = _address(provider, means)
        self.signed_in = False

    async def token(self) -> Secret:
        """Return the token to read with. Raises: Unresolved."""
        provider = self._provider
        if provider.role_id:
            return await self._sign_in()
        if provider.token:
            return provider.token
        # The environment's token never goes to an address that only the configuration names.
        given = self._means.env.get("VAULT_TOKEN")
        if not given:
            raise Unresolved("its provider has no token: set token, or roleId and secretId, or VAULT_TOKEN")
        if provider.address and provider.address != self._means.env.get("VAULT_ADDR"):
            raise Unresolved("VAULT_TOKEN belongs to VAULT_ADDR, and its provider has another address and no token")
        return Secret(given)

    async def _sign_in(self) -> Secret:
        provider = self._provider
        proof = {"role_id": provider.role_id, "secret_id": provider.secret_id.reveal() if provider.secret_id else ""}
        url = f"{self._root}/v1/auth/{_quoted(provider.app_role_mount)}/login"
        answer = await self._ask("POST", url, None, msgspec.json.encode(proof))
        token = answer.get("auth", {}).get("client_token") if isinstance(answer.get("auth"), dict) else None
        if not isinstance(token, str) or not token:
            raise Unresolved("Vault gave no token for the role")
        self.signed_in = True
        return Secret(token)

    async def sign_out(self, token: Secret) -> None:
        """Give a token of our own back; one that stays behind ends by itself."""
        try:
            await self._ask("POST", f"{self._root}/v1/auth/token/revoke-self", token, b"{}")
        except Unresolved as error:
            _log.debug("vault_token_not_revoked", extra={"fields": {"why": str(error)}})

    async def entry(self, path: str, token: Secret) -> Any:
        """Return the fields at a path, or why there are none."""
        try:
            return (await self._entry(path, token))[0]
        except Unresolved as error:
            return error

    async def put(self, path: str, field: str, secret: Secret, token: Secret) -> Written:
        """Replace a field, if nobody else has changed the entry since it was read. Raises: Unresolved."""
        fields, version = await self._entry(path, token)
        replace(fields, field, secret)
        whole = {"data": fields, "options": {"cas": version}} if self._provider.kv_version == 2 else fields
        await self._ask("POST", self._url(path), token, msgspec.json.encode(whole))
        before = f"Vault keeps the one before as version {version}" if version else ""
        return Written(f"{path}#{field} in Vault", before)

    async def _entry(self, path: str, token: Secret) -> tuple[dict[str, Any], int]:
        """Return the fields at a path and the entry's version, 0 for an engine without versions."""
        found, version = (await self._ask("GET", self._url(path), token)).get("data"), 0
        if self._provider.kv_version == 2 and isinstance(found, dict):
            about = found.get("metadata")
            version = int(about.get("version", 0)) if isinstance(about, dict) else 0
            found = found.get("data")
        if not isinstance(found, dict):
            raise Unresolved("Vault has nothing at that path")
        return found, version

    def _url(self, path: str) -> str:
        data = "data/" if self._provider.kv_version == 2 else ""
        return f"{self._root}/v1/{_quoted(self._provider.mount)}/{data}{_quoted(path)}"

    async def _ask(self, method: str, url: str, token: Secret | None, body: bytes | None = None) -> dict[str, Any]:
        namespace = self._provider.namespace or self._means.env.get("VAULT_NAMESPACE") or ""
        headers = {"X-Vault-Request": "true"}
        if namespace:
            headers["X-Vault-Namespace"] = namespace
        if token is not None:
            headers["X-Vault-Token"] = token.reveal()
        wait_s = self._provider.timeout_ms / 1000
        limits = Timeouts(connect=wait_s, first_byte=wait_s, idle=wait_s, total=wait_s)
        http = self._means.http
        try:
            async with await http.stream(
                method, url, headers=headers, body=body, timeouts=limits, purpose="secrets"
            ) as response:
                answer = Response(response.status, response.headers, await response.read_all(ANSWER_BYTES))
        except NetError as error:
            raise Unresolved(f"Vault cannot be reached: {error}") from None
        except (PolicyDenied, Unavailable) as error:
            raise Unresolved(error.message) from None
        if answer.status == 204:
            return {}
        if answer.status != 200:
            raise Unresolved(_STATUS.get(answer.status, f"Vault answered with status {answer.status}"))
        found = parse_json(answer.body)
        return found if isinstance(found, dict) else {}


def _address(provider: SecretProviderConfig, means: Means) -> str:
    """Return where Vault is. Raises: Unresolved for none, and for http to another machine."""
    address = (provider.address or means.env.get("VAULT_ADDR") or "").rstrip("/")
    if not address:
        raise Unresolved("its provider has no address, and VAULT_ADDR is not set")
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise Unresolved("the address of Vault must begin with https://")
    if parts.scheme == "http" and not provider.allow_insecure and not _is_loopback(parts.hostname):
        raise Unresolved("Vault would be asked over http, where everybody on the way reads along; use https")
    return address


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _quoted(path: str) -> str:
    """Quote a path of Vault; one that would climb out of its mount is refused."""
    pieces = path.strip("/").split("/")
    if any(piece in ("", ".", "..") for piece in pieces):
        raise Unresolved("its id is not a path of Vault")
    return "/".join(quote(piece, safe="") for piece in pieces)
