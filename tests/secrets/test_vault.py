"""HashiCorp Vault, against a stand-in: both engines, both ways in, and every way to be turned away."""

from __future__ import annotations

import json
from typing import Any

import pytest

from openclaw.config.load import Loaded
from tests.secrets.conftest import House
from tests.secrets.test_sources import naming, token, why
from tests.stand_ins.server import Transport
from tests.stand_ins.vault import ROLE, ROOT_TOKEN, SECRET_ID, VaultStandIn

pytestmark = pytest.mark.anyio


async def asked(house: House, name: str = "app/hook", **provider: Any) -> Loaded:
    """Resolve one id by a provider with those settings."""
    text = naming({"source": "vault", "provider": "own", "id": name}, own={"source": "vault", **provider})
    return await house.resolved(text)


@pytest.mark.parametrize("version", [1, 2])
async def test_a_field_of_an_entry_is_read_from_either_engine(house: House, version: int) -> None:
    async with VaultStandIn(kv_version=version) as vault:
        vault.put("app/hook", value="by default", other="by name")
        settings: dict[str, Any] = {"address": vault.base_url, "token": ROOT_TOKEN, "kvVersion": version}
        assert token(await asked(house, **settings)) == "by default"
        assert token(await asked(house, "app/hook#other", **settings)) == "by name"
        assert "no member" in why(await asked(house, "app/hook#gone", **settings))


async def test_the_environments_address_and_token_are_enough(house: House) -> None:
    async with VaultStandIn(namespace="team") as vault:
        vault.put("app/hook", value="found")
        house.variables |= {"VAULT_ADDR": vault.base_url, "VAULT_TOKEN": ROOT_TOKEN, "VAULT_NAMESPACE": "team"}
        assert token(await house.resolved(naming({"source": "vault", "id": "app/hook"}))) == "found"


async def test_the_environments_token_never_goes_to_another_address(house: House) -> None:
    async with VaultStandIn() as vault:
        house.variables |= {"VAULT_ADDR": "https://vault.example.com", "VAULT_TOKEN": ROOT_TOKEN}
        assert "VAULT_TOKEN belongs to VAULT_ADDR" in why(await asked(house, address=vault.base_url))
        assert not vault.requests


async def test_a_role_signs_in_reads_everything_and_gives_its_token_back(house: House) -> None:
    house.private("role-secret", SECRET_ID)
    async with VaultStandIn() as vault:
        vault.put("app/hook", value="one")
        vault.put("app/other", value="two")
        ref = {"source": "vault", "provider": "own"}
        provider = {
            "source": "vault",
            "address": vault.base_url,
            "roleId": ROLE,
            "secretId": {"source": "file", "id": "role-secret"},
        }
        values = {
            "hooks": {"token": {**ref, "id": "app/hook"}},
            "gateway": {"auth": {"password": {**ref, "id": "app/other"}}},
            "secrets": {"providers": {"own": provider}},
        }
        loaded = await house.resolved(json.dumps(values))
        assert token(loaded) == "one"
        assert loaded.config.gateway.auth.password is not None
        assert vault.tokens == {ROOT_TOKEN}
        assert [request.path for request in vault.requests].count("/v1/auth/approle/login") == 1


async def test_every_way_to_be_turned_away_is_said(house: House) -> None:
    async with VaultStandIn() as vault:
        vault.put("app/hook", value={"not": "text"})
        settings: dict[str, Any] = {"address": vault.base_url, "token": ROOT_TOKEN}
        assert "not a text" in why(await asked(house, **settings))
        assert "nothing at that path" in why(await asked(house, "app/gone", **settings))
        assert "not a path" in why(await asked(house, "app/../../sys/seal", **settings))
        assert "does not allow" in why(await asked(house, **{**settings, "token": "wrong"}))
        assert "mount" in why(await asked(house, address=vault.base_url, roleId=ROLE, secretId="wrong"))
        assert "no token" in why(await asked(house, address=vault.base_url))
        vault.sealed = True
        assert "sealed" in why(await asked(house, **settings))
    assert "cannot be reached" in why(await asked(house, **settings))
    assert "https" in why(await asked(house, address="http://vault.example.com", token=ROOT_TOKEN))
    assert "no address" in why(await asked(house, token=ROOT_TOKEN))


async def test_a_vault_that_is_silent_is_waited_for_as_long_as_its_provider_says(house: House) -> None:
    class Silent(VaultStandIn):
        def _reply(self, request: object) -> object:  # type: ignore[override]
            from tests.stand_ins.server import Raw

            return Raw((b"{}",), transport=Transport(first_delay_s=60))

    async with Silent() as vault:
        found = why(await asked(house, address=vault.base_url, token=ROOT_TOKEN, timeoutMs=200))
    assert "0.2 s" in found or "200 ms" in found
