"""A stand-in for HashiCorp Vault: key-value engines, tokens, AppRole, namespaces. It never met a real Vault."""

from __future__ import annotations

import secrets
from typing import Any

import msgspec

from tests.stand_ins.server import Answer, Failure, Raw, Request, StandIn

ROOT_TOKEN = "hvs.stand-in-root-token"
ROLE, SECRET_ID = "role-1", "role-1-secret-id"


class VaultStandIn(StandIn):
    """`async with VaultStandIn() as vault: vault.put("app/key", value="…")`.

    Shape: `tokens` are those that open it; one of AppRole stays until it is revoked. `sealed` answers 503 to all.
    """

    def __init__(self, namespace: str = "", kv_version: int = 2) -> None:
        super().__init__(self._reply)
        self.namespace = namespace
        self.kv_version = kv_version
        self.tokens = {ROOT_TOKEN}
        self.sealed = False
        self._entries: dict[str, dict[str, Any]] = {}
        self._versions: dict[str, int] = {}

    def put(self, path: str, **fields: Any) -> None:
        """Keep an entry in the engine mounted at `secret`."""
        self._entries[path] = fields
        self._versions[path] = self._versions.get(path, 0) + 1

    def fields(self, path: str) -> dict[str, Any]:
        """Return what an entry holds."""
        return self._entries[path]

    def _reply(self, request: Request) -> Raw:
        if self.sealed:
            return _errors(503, "Vault is sealed")
        if request.headers.get("x-vault-namespace", "") != self.namespace:
            return _errors(404, "no handler for route")
        path = request.path.partition("?")[0]
        if path == "/v1/auth/approle/login":
            return self._sign_in(request)
        token = request.headers.get("x-vault-token", "")
        if token not in self.tokens:
            return _errors(403, "permission denied")
        if path == "/v1/auth/token/revoke-self":
            self.tokens.discard(token)
            return Raw((), 204)
        prefix = "/v1/secret/data/" if self.kv_version == 2 else "/v1/secret/"
        name = path.removeprefix(prefix)
        fields = self._entries.get(name) if path.startswith(prefix) else None
        if fields is None:
            return _errors(404)
        if request.method == "POST":
            return self._written(name, request.json)
        data = {"data": fields, "metadata": {"version": self._versions[name]}} if self.kv_version == 2 else fields
        return _json(200, {"request_id": "r", "lease_id": "", "renewable": False, "lease_duration": 0, "data": data})

    def _written(self, name: str, body: Any) -> Raw:
        if self.kv_version == 1:
            self.put(name, **body)
            return Raw((), 204)
        if body.get("options", {}).get("cas", self._versions[name]) != self._versions[name]:
            return _errors(400, "check-and-set parameter did not match the current version")
        self.put(name, **body["data"])
        return _json(200, {"data": {"version": self._versions[name]}})

    def _sign_in(self, request: Request) -> Raw:
        if request.json != {"role_id": ROLE, "secret_id": SECRET_ID}:
            return _errors(400, "invalid role or secret ID")
        token = f"hvs.{secrets.token_hex(12)}"
        self.tokens.add(token)
        return _json(200, {"auth": {"client_token": token, "policies": ["default"], "lease_duration": 60}})

    def answer(self, request: Request, reply: Answer | Failure) -> Raw:
        """No script of answers is ever used."""
        raise NotImplementedError


def _errors(status: int, *texts: str) -> Raw:
    return _json(status, {"errors": texts})


def _json(status: int, body: Any) -> Raw:
    return Raw((msgspec.json.encode(body),), status)
