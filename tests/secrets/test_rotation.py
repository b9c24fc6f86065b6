"""Secrets replaced where they lie: every source that can be written, and why another is not; the way back, in time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from openclaw.base.secret import Secret
from openclaw.config.reference import Reference
from openclaw.secrets.former import FILE, MAX_KEEP_MS, FormerSecrets
from openclaw.secrets.outcome import Unresolved
from tests.secrets.conftest import House
from tests.secrets.test_aws import CREDENTIALS, REGION, client, keep
from tests.secrets.test_sources import naming, token
from tests.stand_ins.vault import ROOT_TOKEN, VaultStandIn

pytestmark = pytest.mark.anyio
NEW = Secret("the-new-one")


async def rotated(house: House, reference: dict[str, str], **providers: Any) -> str:
    """Replace what the hooks' token refers to; return what the source keeps of the one before."""
    loaded = await house.resolved(naming(reference, **providers))
    assert token(loaded), "there is a value to begin with"
    written = await house.room.put(loaded.references[0].reference, NEW, loaded)
    assert token(await house.resolved(again="all")) == NEW.reveal()
    return written.before


async def refused(house: House, reference: dict[str, str], **providers: Any) -> str:
    """Return why what the hooks' token refers to is not replaced; both ways to ask agree."""
    loaded = await house.resolved(naming(reference, **providers))
    found = next(placed.reference for placed in loaded.references if placed.path == "hooks.token")
    with pytest.raises(Unresolved) as told:
        await house.room.put(found, NEW, loaded)
    with pytest.raises(Unresolved) as before:
        await house.room.target(found, loaded)
    assert str(before.value) == str(told.value)
    return str(told.value)


async def test_a_member_of_a_file_is_replaced_and_the_others_stay(house: House) -> None:
    path = house.private("keys.json", '{"a": {"b": "old", "c": 5}, "list": ["x"]}')
    await rotated(house, {"source": "file", "id": "keys.json#/a/b"})
    assert json.loads(path.read_text()) == {"a": {"b": "the-new-one", "c": 5}, "list": ["x"]}
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("end", ["", "\n"])
async def test_a_file_of_one_value_keeps_its_last_line_break(house: House, end: str) -> None:
    path = house.private("token", f"old{end}")
    await rotated(house, {"source": "file", "id": "token"})
    assert path.read_text() == f"the-new-one{end}"


async def test_a_variable_of_our_own_file_is_replaced(house: House) -> None:
    path = house.private(".env", "A=1\nHOOK=old\n# B\n")
    await rotated(house, {"source": "env", "id": "HOOK"})
    assert path.read_text() == 'A=1\n# B\nHOOK="the-new-one"\n'


@pytest.mark.parametrize("version", [1, 2])
async def test_a_field_in_vault_is_replaced_and_the_others_stay(house: House, version: int) -> None:
    async with VaultStandIn(kv_version=version) as vault:
        vault.put("hook", value="old", other="stays")
        provider = {"source": "vault", "address": vault.base_url, "token": ROOT_TOKEN, "kvVersion": version}
        before = await rotated(house, {"source": "vault", "provider": "own", "id": "hook"}, own=provider)
        assert vault.fields("hook") == {"value": "the-new-one", "other": "stays"}
        assert before == ("Vault keeps the one before as version 1" if version == 2 else "")


async def test_what_aws_keeps_is_replaced_with_its_members_its_type_and_its_key(house: House, aws: str) -> None:
    house.variables |= {**CREDENTIALS, "AWS_ENDPOINT_URL": aws, "AWS_REGION": REGION}
    keep(aws, "rotated", SecretString=json.dumps({"hook": "old", "other": "stays"}))
    assert "AWSPREVIOUS" in await rotated(house, {"source": "aws", "id": "rotated#hook"})
    held = client("secretsmanager", aws).get_secret_value(SecretId="rotated")["SecretString"]
    assert json.loads(held) == {"hook": "the-new-one", "other": "stays"}
    ssm = client("ssm", aws)
    ssm.put_parameter(Name="/rotated", Value="old", Type="SecureString", KeyId="alias/own", Overwrite=True)
    assert "version 1" in await rotated(house, {"source": "ssm", "id": "/rotated"})
    (about,) = ssm.describe_parameters(ParameterFilters=[{"Key": "Name", "Values": ["/rotated"]}])["Parameters"]
    assert (about["Type"], about["KeyId"]) == ("SecureString", "alias/own")


async def test_what_cannot_be_written_says_why_and_stays(house: House) -> None:
    house.variables["HOOK"] = "from-outside"
    assert "environment of this process" in await refused(house, {"source": "env", "id": "HOOK"})
    assert "is not set" in await refused(house, {"source": "env", "id": "GONE"})
    target = house.private("target", "old")
    (house.state / "link").symlink_to(target)
    assert "is a link" in await refused(house, {"source": "file", "id": "link"})
    assert target.read_text() == "old"
    assert "cannot be written" in await refused(house, {"source": "file", "id": "gone"})
    program = {"source": "exec", "command": house.program("print('x')"), "jsonOnly": False}
    assert "where the program keeps it" in await refused(
        house, {"source": "exec", "provider": "p", "id": "x"}, p=program
    )


async def test_a_member_that_is_not_there_is_not_made(house: House) -> None:
    path = house.private("keys.json", '{"a": "old"}')
    loaded = await house.resolved(naming({"source": "file", "id": "keys.json#/b"}))
    with pytest.raises(Unresolved, match="no member"):
        await house.room.put(Reference("file", "keys.json#/b"), NEW, loaded)
    assert path.read_text() == '{"a": "old"}'


async def test_a_file_that_somebody_else_has_rotated_is_noticed(house: House) -> None:
    house.private("token", "old")
    loaded = await house.resolved(naming({"source": "file", "id": "token"}))
    assert not await house.room.has_changed(loaded)
    fresh = house.private("fresh", "renewed")
    fresh.replace(house.state / "token")
    assert await house.room.has_changed(loaded)
    loaded = await house.resolved()
    assert token(loaded) == "renewed"
    assert not await house.room.has_changed(loaded)
    (house.state / "token").unlink()
    assert await house.room.has_changed(loaded)
    loaded = await house.resolved()
    assert token(loaded) == "renewed"
    assert not await house.room.has_changed(loaded), "what is gone is told once"


async def test_when_a_value_was_there_last_is_known_while_its_source_is_down(house: House) -> None:
    async with VaultStandIn() as vault:
        vault.put("hook", value="old")
        provider = {"source": "vault", "address": vault.base_url, "token": ROOT_TOKEN}
        text = naming({"source": "vault", "provider": "own", "id": "hook"}, own=provider)
        reference = (await house.resolved(text)).references[-1].reference
        began_ms = house.clock.now_ms()
        house.clock.advance(60)
        vault.sealed = True
        await house.resolved(again="all")
        assert house.room.resolved_ms(reference) == began_ms
        assert house.room.resolved_ms(Reference("env", "NEVER")) == 0


def test_what_was_replaced_is_kept_for_its_owner_and_only_in_time(tmp_path: Path) -> None:
    former, one, other = FormerSecrets(tmp_path), Reference("file", "a"), Reference("vault", "b", "own")
    former.keep(one, Secret("first"), 2_000, 1_000)
    former.keep(one, Secret("second"), 3_000, 1_000)
    former.keep(other, Secret("third"), 5_000, 1_000)
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600
    assert "first" not in (tmp_path / FILE).read_text()
    found = former.get(one, 2_999)
    assert found is not None
    assert found.matches("second")
    assert former.get(one, 3_000) is None
    former.expire(3_000)
    assert "second" not in (tmp_path / FILE).read_text()
    former.forget(other, 3_000)
    assert not (tmp_path / FILE).exists()
    former.keep(one, Secret("too long"), 1_000 + 2 * MAX_KEEP_MS, 1_000)
    assert former.get(one, 1_000) is None, "a file from elsewhere keeps nothing for ever"
