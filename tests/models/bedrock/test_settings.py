"""When there is a provider `bedrock`, where it is called and with which key."""

from __future__ import annotations

import msgspec
import pytest

from openclaw.base.errors import ModelUnavailable
from openclaw.base.secret import Secret
from openclaw.config.schema import ModelEntry, ProviderConfig
from openclaw.models.bedrock.client import BedrockClient
from openclaw.models.bedrock.transport import AWS
from openclaw.models.provider import provider
from openclaw.net.http import HttpClient
from tests.models.bedrock.clients import KEYS
from tests.models.clients import ask, events_of
from tests.models.test_registry import inner, registry
from tests.stand_ins.bedrock import API_KEY, BedrockStandIn

pytestmark = pytest.mark.anyio
REGION = {"AWS_REGION": "us-east-1"}
OWN = ProviderConfig(api="bedrock-converse")


@pytest.mark.parametrize(
    "hint",
    [
        {"AWS_BEARER_TOKEN_BEDROCK": "k"},
        KEYS,
        {"AWS_PROFILE": "work"},
        {"AWS_WEB_IDENTITY_TOKEN_FILE": "/token"},
        {"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/x"},
    ],
)
def test_a_region_and_a_hint_of_a_credential_make_the_provider(hint: dict[str, str]) -> None:
    found = registry({**REGION, **hint})
    assert isinstance(inner(found.resolve("bedrock/us.amazon.nova-lite-v1:0").client), BedrockClient)
    assert "bedrock" in {model.provider for model in found.models()}
    assert found.resolve("bedrock").info.id == "global.anthropic.claude-sonnet-5"
    assert found.problems() == {}


@pytest.mark.parametrize(
    ("env", "word"), [({}, "AWS_REGION"), (REGION, "AWS_BEARER_TOKEN_BEDROCK"), (KEYS, "AWS_REGION")]
)
def test_without_them_it_is_not_there_and_says_why(env: dict[str, str], word: str) -> None:
    found = registry(env)
    assert "bedrock" not in {model.provider for model in found.models()}
    with pytest.raises(ModelUnavailable, match=word):
        found.resolve("bedrock/x")


def test_a_configured_provider_needs_no_hint_for_its_role_may_be_the_machines() -> None:
    found = registry(bedrock=msgspec.structs.replace(OWN, models=(ModelEntry(id="amazon.nova-lite-v1:0"),)))
    assert found.problems() == {}
    assert found.resolve("bedrock").info.ref == "bedrock/amazon.nova-lite-v1:0"


@pytest.mark.parametrize(
    ("config", "word"),
    [
        (msgspec.structs.replace(OWN, base_url="ftp://x"), "baseUrl"),
        (msgspec.structs.replace(OWN, region="us-east-1/../evil"), "region"),
        (msgspec.structs.replace(OWN, api_key=Secret("a\nb"), region="us-east-1"), "control"),
        (msgspec.structs.replace(OWN, api_key=Secret("ab")), "region"),
    ],
)
def test_problems_name_the_cause_and_the_setting(config: ProviderConfig, word: str) -> None:
    assert word in registry(mine=config).problems()["mine"]


@pytest.mark.parametrize(
    ("base_url", "env", "key"),
    [
        ("", {}, "from-env"),
        ("https://vpce-1.bedrock-runtime.us-east-1.vpce.amazonaws.com", {}, "from-env"),
        ("http://bedrock-runtime.us-east-1.amazonaws.com", {}, None),
        ("https://proxy.test", {}, None),
        ("https://amazonaws.com.evil.test", {}, None),
        ("https://proxy.test", {"AWS_ENDPOINT_URL_BEDROCK_RUNTIME": "https://proxy.test"}, "from-env"),
        ("", {"AWS_ENDPOINT_URL": "https://proxy.test"}, "from-env"),
    ],
)
def test_the_environments_key_goes_only_to_aws_or_where_the_environment_says(
    base_url: str, env: dict[str, str], key: str | None
) -> None:
    config = msgspec.structs.replace(OWN, base_url=base_url)
    found = provider("bedrock", config, {**REGION, **env, "AWS_BEARER_TOKEN_BEDROCK": "from-env"}.get)
    assert found is not None
    secret = found.config.api_key
    assert (secret.reveal() if secret else None) == key


def test_region_and_key_of_the_configuration_win_over_the_environments() -> None:
    config = msgspec.structs.replace(OWN, region="eu-west-1", api_key=Secret("own"))
    found = provider("bedrock", config, {**REGION, "AWS_BEARER_TOKEN_BEDROCK": "from-env"}.get)
    assert found is not None
    assert (found.config.region, found.config.api_key) == ("eu-west-1", Secret("own"))


def test_a_named_profile_wins_over_the_environments_key() -> None:
    config = msgspec.structs.replace(OWN, aws_profile="work")
    found = provider("bedrock", config, {**REGION, "AWS_BEARER_TOKEN_BEDROCK": "from-env"}.get)
    assert found is not None
    assert found.config.api_key is None


@pytest.mark.parametrize(
    ("region", "runtime", "control"),
    [
        (
            "us-east-1",
            "https://bedrock-runtime.us-east-1.amazonaws.com",
            "https://bedrock.us-east-1.amazonaws.com",
        ),
        (
            "cn-north-1",
            "https://bedrock-runtime.cn-north-1.amazonaws.com.cn",
            "https://bedrock.cn-north-1.amazonaws.com.cn",
        ),
    ],
)
def test_each_region_has_its_addresses(region: str, runtime: str, control: str) -> None:
    assert (AWS.of_runtime(region), AWS.of_control(region)) == (runtime, control)


async def test_addresses_come_from_the_configuration_or_the_environment(nowhere: dict[str, str]) -> None:
    async with HttpClient() as http, BedrockStandIn() as server:
        env = {**nowhere, **REGION, **KEYS}
        by_config = registry(env, http, bedrock=msgspec.structs.replace(OWN, base_url=server.base_url))
        by_env = registry({**env, "AWS_ENDPOINT_URL_BEDROCK_RUNTIME": server.base_url}, http)
        by_key = registry({**REGION, "AWS_ENDPOINT_URL": server.base_url, "AWS_BEARER_TOKEN_BEDROCK": API_KEY}, http)
        for found in (by_config, by_env, by_key):
            client = found.resolve("bedrock/amazon.nova-lite-v1:0").client
            await client.generate(ask(model="amazon.nova-lite-v1:0"))
            await events_of(client, ask(model="amazon.nova-lite-v1:0"))
            assert (await client.list_models())[0].id == "amazon.nova-lite-v1:0"
            await found.close()
        assert set(server.proofs) == {"sigv4 us-east-1 bedrock", "bearer"}
