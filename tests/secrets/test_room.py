"""The room of secrets: what is asked for when, what stays while a source is down, and how long it all may take."""

from __future__ import annotations

import json
import time

import pytest

from openclaw.config.load import Draft
from tests.config.make import issue_at
from tests.secrets.conftest import House
from tests.secrets.test_sources import naming, token
from tests.stand_ins.vault import ROOT_TOKEN, VaultStandIn

pytestmark = pytest.mark.anyio


def from_vault(vault: VaultStandIn, **more: object) -> str:
    """Return a configuration whose hooks' token is in Vault."""
    provider = {"source": "vault", "address": vault.base_url, "token": ROOT_TOKEN, **more}
    return naming({"source": "vault", "provider": "own", "id": "hook"}, own=provider)


async def test_a_value_is_asked_for_once_and_again_when_somebody_says_so(house: House) -> None:
    async with VaultStandIn() as vault:
        vault.put("hook", value="old")
        text = from_vault(vault)
        assert token(await house.resolved(text, again="")) == "old"
        vault.put("hook", value="new")
        assert token(await house.resolved(again="problems")) == "old"
        assert token(await house.resolved(again="all")) == "new"
        assert len(vault.requests) == 2
    assert [secret.reveal() for secret in house.told] == ["old", "new"]


async def test_a_value_that_was_there_stays_while_its_source_is_down(house: House) -> None:
    async with VaultStandIn() as vault:
        vault.put("hook", value="kept")
        await house.resolved(from_vault(vault))
        vault.sealed = True
        loaded = await house.resolved(again="all")
        assert token(loaded) == "kept"
        issue = issue_at(loaded, "hooks.token")
        assert (issue.kind, issue.severity) == ("unresolved-secret", "warning")
        assert loaded.valid
        vault.sealed = False
        assert not (await house.resolved(again="problems")).issues


async def test_another_provider_is_not_answered_with_the_old_ones_value(house: House) -> None:
    async with VaultStandIn() as vault, VaultStandIn() as other:
        vault.put("hook", value="old")
        await house.resolved(from_vault(vault))
        loaded = await house.resolved(from_vault(other), again="")
    assert token(loaded) is None


async def test_a_value_is_read_again_at_the_age_that_its_provider_says(house: House) -> None:
    async with VaultStandIn() as vault:
        vault.put("hook", value="old")
        loaded = await house.resolved(from_vault(vault, ttlSeconds=60))
        vault.put("hook", value="rotated")
        house.clock.advance(59)
        assert not house.room.is_due(loaded)
        house.clock.advance(1)
        assert house.room.is_due(loaded)
        loaded = await house.resolved(again="")
        assert token(loaded) == "rotated"
        assert not house.room.is_due(loaded)


async def test_a_value_that_was_turned_away_is_read_again_but_not_all_the_time(house: House) -> None:
    async with VaultStandIn() as vault:
        vault.put("hook", value="old")
        loaded = await house.resolved(from_vault(vault))
        reference = next(placed.reference for placed in loaded.references if placed.path == "hooks.token")
        house.clock.advance(59)
        house.room.doubt(reference)
        assert not house.room.is_due(loaded)
        house.clock.advance(1)
        assert house.room.is_due(loaded)
        loaded = await house.resolved()
        assert (token(loaded), len(vault.requests)) == ("old", 2)
        house.room.doubt(reference)
        assert not house.room.is_due(loaded), "it was asked for just now"
        vault.put("hook", value="rotated")
        house.clock.advance(60)
        assert token(await house.resolved()) == "rotated"
        house.clock.advance(3_600)
        assert not house.room.is_due(loaded), "nobody has complained since"


async def test_the_own_file_and_one_that_is_named_are_two_places(house: House) -> None:
    house.private("secrets.json", '{"k": "in the own file"}')
    house.private("token", "in its file")
    values = {
        "hooks": {"token": {"source": "file", "id": "token"}},
        "gateway": {"auth": {"token": "{{ secrets['k'] }}"}},
    }
    loaded = await house.resolved(json.dumps(values))
    assert token(loaded) == "in its file"
    assert loaded.config.gateway.auth.token is not None
    assert loaded.config.gateway.auth.token.reveal() == "in the own file"


async def test_without_an_age_a_value_is_never_due(house: House) -> None:
    async with VaultStandIn() as vault:
        vault.put("hook", value="x")
        loaded = await house.resolved(from_vault(vault))
    house.clock.advance(1e9)
    assert not house.room.is_due(loaded)


async def test_variables_and_files_are_read_at_every_reload_and_not_at_every_look(house: House) -> None:
    path = house.private("token", "old")
    await house.resolved(naming({"source": "file", "id": "token"}))
    path.write_text("new")
    assert token(await house.resolved(again="")) == "old"
    assert token(await house.resolved(again="problems")) == "new"


async def test_sources_are_asked_side_by_side_and_the_slow_one_loses_only_its_own(house: House) -> None:
    slow = house.program("time.sleep(30)")
    house.private("token", "near")
    own = {f"slow{index}": {"source": "exec", "command": slow, "timeoutMs": 2000} for index in range(4)}
    keys = {name: {"apiKey": {"source": "exec", "provider": name, "id": "x"}} for name in own}
    values = {
        "hooks": {"token": {"source": "file", "id": "token"}},
        "models": {"providers": keys},
        "secrets": {"providers": own},
    }
    began = time.monotonic()
    loaded = await house.resolved(json.dumps(values))
    assert time.monotonic() - began < 6
    assert token(loaded) == "near"
    assert not loaded.config.models.providers
    assert {issue.section for issue in loaded.issues} == {f"models.providers.{name}" for name in own}


async def test_all_of_them_have_one_deadline(house: House) -> None:
    own = {"slow": {"source": "exec", "command": house.program("time.sleep(30)"), "timeoutMs": 60_000}}
    secrets = {"providers": own, "timeoutMs": 300}
    values = {"hooks": {"token": {"source": "exec", "provider": "slow", "id": "x"}}, "secrets": secrets}
    loaded = await house.resolved(json.dumps(values))
    assert "too long" in issue_at(loaded, "hooks.token").message


async def test_more_references_than_fit_are_problems_and_the_rest_has_values(house: House) -> None:
    house.private("all.json", json.dumps({f"k{index}": f"v{index}" for index in range(300)}))
    providers = {f"p{index}": {"apiKey": {"source": "file", "id": f"all.json#/k{index}"}} for index in range(300)}
    loaded = await house.resolved(json.dumps({"models": {"providers": providers}}))
    assert len(loaded.config.models.providers) == 256
    assert len(loaded.issues) == 44


async def test_a_broken_provider_takes_down_its_own_secrets_only(house: House) -> None:
    house.private("token", "fine")
    values = {
        "hooks": {"token": {"source": "file", "id": "token"}},
        "gateway": {"auth": {"password": {"source": "vault", "provider": "own", "id": "x"}}},
        "secrets": {"providers": {"own": {"source": "vault", "token": {"source": "env", "id": "GONE"}}}},
    }
    loaded = await house.resolved(json.dumps(values))
    assert token(loaded) == "fine"
    assert "no usable secrets.providers.own" in issue_at(loaded, "gateway.auth.password").message
    assert "GONE" in issue_at(loaded, "secrets.providers.own.token").message


async def test_a_text_that_is_only_tried_is_resolved_too(house: House) -> None:
    house.private("token", "fine")
    found = await house.room.load(house.env(), draft=Draft(naming({"source": "file", "id": "token"})))
    assert token(found) == "fine"
    assert not (await house.room.load(house.env())).references
