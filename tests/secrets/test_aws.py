"""Secrets Manager and the Parameter Store: the real botocore against moto's server."""

from __future__ import annotations

import json
from typing import Any

import boto3
import pytest

from openclaw.base.errors import PolicyDenied
from openclaw.net.target import Target
from openclaw.net.way import Purpose, Way
from tests.config.make import issue_at
from tests.secrets.conftest import House
from tests.secrets.test_sources import naming, token, why

pytestmark = pytest.mark.anyio

REGION = "eu-west-1"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "AKIAMOTO", "AWS_SECRET_ACCESS_KEY": "moto-secret-key"}


def client(service: str, url: str) -> Any:
    """Return a client that fills moto."""
    keys = {"aws_access_key_id": "x", "aws_secret_access_key": "x"}
    return boto3.client(service, endpoint_url=url, region_name=REGION, **keys)


def keep(url: str, name: str, **given: Any) -> None:
    """Put a secret into moto's Secrets Manager."""
    manager = client("secretsmanager", url)
    try:
        manager.create_secret(Name=name, **given)
    except manager.exceptions.ResourceExistsException:
        manager.put_secret_value(SecretId=name, **given)


@pytest.fixture
def signed_in(house: House, aws: str) -> House:
    """A house whose environment may use AWS."""
    house.variables |= {**CREDENTIALS, "AWS_ENDPOINT_URL": aws, "AWS_REGION": REGION}
    return house


async def test_a_secret_comes_as_its_text_or_as_a_member_of_it(signed_in: House, aws: str) -> None:
    keep(aws, "prod/hook", SecretString="a plain one")
    keep(aws, "prod/keys", SecretString=json.dumps({"openai": "sk-1", "deep": {"x": "sk-2"}}))
    for name, expected in {"prod/hook": "a plain one", "prod/keys#openai": "sk-1", "prod/keys#/deep/x": "sk-2"}.items():
        assert token(await signed_in.resolved(naming({"source": "aws", "id": name}))) == expected


async def test_region_and_address_may_stand_in_the_configuration(house: House, aws: str) -> None:
    keep(aws, "prod/hook", SecretString="by its provider")
    house.variables |= CREDENTIALS
    provider = {"source": "aws", "region": REGION, "endpoint": aws}
    text = naming({"source": "aws", "provider": "own", "id": "prod/hook"}, own=provider)
    assert token(await house.resolved(text)) == "by its provider"


async def test_parameters_are_decrypted_and_asked_for_together(signed_in: House, aws: str) -> None:
    ssm = client("ssm", aws)
    names = [f"/app/key{index}" for index in range(12)]
    for name in names:
        ssm.put_parameter(Name=name, Value=f"value of {name}", Type="SecureString", Overwrite=True)
    providers = {f"p{index}": {"apiKey": {"source": "ssm", "id": name}} for index, name in enumerate(names)}
    providers["gone"] = {"apiKey": {"source": "ssm", "id": "/app/gone"}}
    loaded = await signed_in.resolved(json.dumps({"models": {"providers": providers}}))
    keys = [each.api_key for each in loaded.config.models.providers.values()]
    assert [key.reveal() for key in keys if key] == [f"value of {name}" for name in names]
    assert "no parameter" in issue_at(loaded, "models.providers.gone.apiKey").message


async def test_what_aws_does_not_give_is_said_without_its_own_words(signed_in: House, aws: str) -> None:
    keep(aws, "prod/binary", SecretBinary=b"\x00\x01")
    keep(aws, "prod/hook", SecretString="a plain one")
    for name, said in {"prod/gone": "no secret", "prod/binary": "binary", "prod/hook#x": "not JSON"}.items():
        assert said in why(await signed_in.resolved(naming({"source": "aws", "id": name}))), name


async def test_without_a_region_a_credential_or_a_server_it_says_so(house: House, aws: str) -> None:
    text = naming({"source": "aws", "id": "x"})
    house.variables |= {"AWS_ENDPOINT_URL": aws, "AWS_EC2_METADATA_DISABLED": "true", **CREDENTIALS}
    assert "region" in why(await house.resolved(text))
    house.variables |= {"AWS_REGION": REGION, "AWS_ENDPOINT_URL": "http://127.0.0.1:1"}
    assert "EndpointConnectionError" in why(await house.resolved(text))
    provider = {"source": "aws", "region": REGION, "profile": "absent"}
    gone = naming({"source": "aws", "provider": "own", "id": "x"}, own=provider)
    assert "profile" in why(await house.resolved(gone))


async def test_what_the_egress_door_refuses_is_no_secret_and_says_so(signed_in: House, aws: str) -> None:
    keep(aws, "prod/hook", SecretString="behind the door")
    asked: list[tuple[str, str]] = []

    async def door(where: Target, purpose: Purpose) -> Way:
        asked.append((where.origin, purpose))
        raise PolicyDenied(f"{where.host} is in no list")

    signed_in.room.door = door
    assert "127.0.0.1 is in no list" in why(await signed_in.resolved(naming({"source": "aws", "id": "prod/hook"})))
    assert asked == [(aws, "secrets")]
    vault = {"source": "vault", "provider": "v", "id": "x"}
    found = await signed_in.resolved(naming(vault, v={"source": "vault", "address": "https://vault.example:8200"}))
    assert issue_at(found, "hooks.token").kind == "unresolved-secret"
