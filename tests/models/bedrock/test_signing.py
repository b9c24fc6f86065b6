"""Where AWS credentials come from: each link of the chain for real, and what is said when there is none."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from openclaw.base.clock import SYSTEM_CLOCK, ManualClock
from openclaw.base.errors import ModelAuth, ModelUnavailable
from openclaw.models.bedrock.signing import AwsSigner, Outgoing, _load
from openclaw.net.http import HttpClient
from tests.models.bedrock.clients import KEYS, signed, signer
from tests.models.clients import ask
from tests.stand_ins.bedrock import ACCESS_KEY, SECRET_KEY, BedrockStandIn
from tests.stand_ins.server import Failure, Raw, Request, StandIn
from tests.test_architecture import modules_after

pytestmark = pytest.mark.anyio
ASKED = Outgoing("POST", "https://bedrock-runtime.us-east-1.amazonaws.com/model/m/converse", {}, b"{}", "us-east-1")
INI = f"aws_access_key_id = {ACCESS_KEY}\naws_secret_access_key = {SECRET_KEY}\n"


def write(path: str | Path, text: str) -> None:
    """Write a small file."""
    Path(path).write_text(text)


def used(headers: Any) -> str:
    """Return the access key that signed."""
    return str(headers["Authorization"]).partition("Credential=")[2].partition("/")[0]


def metadata(key: str) -> Raw:
    """Return a credential as ECS and IMDS give it."""
    found = {
        "Code": "Success",
        "AccessKeyId": key,
        "SecretAccessKey": "s",
        "Token": "t",
        "Expiration": "2099-01-01T00:00:00Z",
        "LastUpdated": "2026-01-01T00:00:00Z",
        "Type": "AWS-HMAC",
    }
    return closing(msgspec.json.encode(found))


def closing(body: bytes) -> Raw:
    """Return an answer after which the client closes its connection: botocore leaves it open else."""
    return Raw((body,), headers={"Connection": "close"})


def test_importing_the_models_room_loads_nothing_of_aws() -> None:
    loaded = modules_after("import openclaw.models.registry, openclaw.models.bedrock.settings")
    assert {name for name in loaded if name.split(".")[0] in ("botocore", "boto3", "s3transfer", "dateutil")} == set()


async def test_no_credential_names_the_chain_that_was_tried(
    nowhere: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    del nowhere["AWS_EC2_METADATA_DISABLED"]
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:1")
    with pytest.raises(ModelUnavailable) as caught:
        await signer(nowhere).headers("m", ASKED)
    for link in ("AWS_ACCESS_KEY_ID", "~/.aws/credentials", "SSO", "ECS", "EKS", "credential_process", "IMDSv2"):
        assert link in caught.value.message
    assert caught.value.details["model"] == "m"
    assert "AWS_BEARER_TOKEN_BEDROCK" in caught.value.hint


async def test_an_empty_chain_is_asked_again_after_a_while_only(nowhere: dict[str, str]) -> None:
    clock = ManualClock()
    found = AwsSigner("bedrock", nowhere.get, clock)
    with pytest.raises(ModelUnavailable):
        await found.headers("m", ASKED)
    nowhere.update(KEYS)
    clock.advance(9)
    with pytest.raises(ModelUnavailable):
        await found.headers("other", ASKED)
    clock.advance(1)
    assert used(await found.headers("m", ASKED)) == ACCESS_KEY


async def test_keys_of_our_own_environment_are_found(nowhere: dict[str, str]) -> None:
    token = {"AWS_SESSION_TOKEN": "session"}
    headers = await signer({**nowhere, **KEYS, **token}).headers("m", ASKED)
    assert used(headers) == ACCESS_KEY
    assert headers["X-Amz-Security-Token"] == "session"


async def test_half_a_credential_says_which_half_is_missing(nowhere: dict[str, str]) -> None:
    with pytest.raises(ModelUnavailable, match="AWS_SECRET_ACCESS_KEY"):
        await signer({**nowhere, "AWS_ACCESS_KEY_ID": "x"}).headers("m", ASKED)


async def test_a_profile_gives_keys_and_region(nowhere: dict[str, str]) -> None:
    write(nowhere["AWS_SHARED_CREDENTIALS_FILE"], f"[work]\n{INI}")
    write(nowhere["AWS_CONFIG_FILE"], "[profile work]\nregion = eu-west-3\n")
    by_env = signer({**nowhere, "AWS_PROFILE": "work"})
    by_config = signer({**nowhere, "AWS_ACCESS_KEY_ID": "AKIAOTHER", "AWS_SECRET_ACCESS_KEY": "x"}, "work")
    for found in (by_env, by_config):
        assert used(await found.headers("m", ASKED)) == ACCESS_KEY
        assert await found.region("m") == "eu-west-3"
    with pytest.raises(ModelUnavailable, match="nobody"):
        await signer(nowhere, "nobody").headers("m", ASKED)


async def test_credentials_are_kept_until_they_expire(nowhere: dict[str, str], tmp_path: Path) -> None:
    made = tmp_path / "made"
    script = tmp_path / "make.sh"
    answer = '{"Version":1,"AccessKeyId":"AKIA%s","SecretAccessKey":"s","SessionToken":"t","Expiration":"%s"}'
    write(nowhere["AWS_CONFIG_FILE"], f"[default]\ncredential_process = sh {script}\n")

    def let(key: str, expires: str) -> None:
        write(script, f"echo . >> {made}\necho '{answer % (key, expires)}'\n")

    def times_made() -> int:
        return made.read_text().count(".")

    let("LONG", "2099-01-01T00:00:00Z")
    found = signer(nowhere)
    for _ in range(3):
        assert used(await found.headers("m", ASKED)) == "AKIALONG"
    assert times_made() == 1

    found.forget()
    let("SOON", datetime.fromtimestamp(SYSTEM_CLOCK.now_ms() / 1000 + 120, UTC).isoformat())
    assert used(await found.headers("m", ASKED)) == "AKIASOON"
    let("NEXT", "2099-01-01T00:00:00Z")
    for _ in range(3):
        assert used(await found.headers("m", ASKED)) == "AKIANEXT"


async def test_an_sso_profile_that_is_signed_out_says_so(nowhere: dict[str, str]) -> None:
    write(
        nowhere["AWS_CONFIG_FILE"],
        "[default]\nsso_session = s\nsso_account_id = 123456789012\nsso_role_name = dev\nregion = us-east-1\n"
        "[sso-session s]\nsso_region = us-east-1\nsso_start_url = https://example.test/start\n",
    )
    with pytest.raises(ModelAuth) as caught:
        await signer(nowhere).headers("m", ASKED)
    assert "aws sso login" in caught.value.hint


async def test_a_containers_role_is_found(nowhere: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    async with StandIn([metadata("AKIACONTAINER")]) as server:
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", server.base_url + "/role")
        headers = await signer(nowhere).headers("m", ASKED)
    assert used(headers) == "AKIACONTAINER"


async def test_an_instances_role_is_found_by_imds_version_2(
    nowhere: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    del nowhere["AWS_EC2_METADATA_DISABLED"]

    def answer(request: Request) -> Raw:
        if request.method == "PUT":
            return closing(b"imds-token")
        assert request.headers["x-aws-ec2-metadata-token"] == "imds-token"
        role = request.path.endswith("/role")
        return metadata("AKIAINSTANCE") if role else closing(b"role")

    async with StandIn(answer) as server:
        monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", server.base_url)
        headers = await signer(nowhere).headers("m", ASKED)
        assert server.requests[0].method == "PUT"
    assert used(headers) == "AKIAINSTANCE"


async def test_a_credential_that_aws_calls_expired_is_looked_up_again(
    nowhere: dict[str, str], http: HttpClient
) -> None:
    env = {**nowhere, **KEYS}
    async with BedrockStandIn([Failure(403, "ExpiredTokenException", "expired")]) as server:
        client = signed(http, server.base_url, env)
        with pytest.raises(ModelAuth):
            await client.generate(ask())
        env["AWS_SESSION_TOKEN"] = server.session_token = "renewed"
        assert (await client.generate(ask())).finish_reason == "stop"
        assert server.requests[1].headers["x-amz-security-token"] == "renewed"


async def test_a_wrong_secret_is_an_auth_error_and_stays_secret(nowhere: dict[str, str], http: HttpClient) -> None:
    env = {**nowhere, **KEYS, "AWS_SECRET_ACCESS_KEY": "wr0ng"}
    async with BedrockStandIn() as server:
        with pytest.raises(ModelAuth) as caught:
            await signed(http, server.base_url, env).generate(ask())
    assert caught.value.details["awsError"] == "InvalidSignatureException"
    assert "wr0ng" not in str(caught.value.as_dict())


async def test_without_any_region_the_message_says_where_to_set_one(nowhere: dict[str, str], http: HttpClient) -> None:
    with pytest.raises(ModelUnavailable, match="region") as caught:
        await signed(http, "http://127.0.0.1:1", {**nowhere, **KEYS}, region="").generate(ask())
    assert "AWS_REGION" in caught.value.hint


async def test_a_renewal_that_fails_is_an_auth_error_and_the_chain_is_walked_again(
    nowhere: dict[str, str], tmp_path: Path
) -> None:
    clock = ManualClock()
    script = tmp_path / "make.sh"
    write(nowhere["AWS_CONFIG_FILE"], f"[default]\ncredential_process = sh {script}\n")
    soon = datetime.fromtimestamp(SYSTEM_CLOCK.now_ms() / 1000 + 120, UTC).isoformat()
    keys = '{"Version":1,"AccessKeyId":"AKIASOON","SecretAccessKey":"s","SessionToken":"t","Expiration":"%s"}'
    write(script, f"echo '{keys % soon}'\n")
    found = AwsSigner("bedrock", nowhere.get, clock)
    assert used(await found.headers("m", ASKED)) == "AKIASOON"
    write(script, "echo out of order >&2; exit 1\n")
    with pytest.raises(ModelAuth, match="out of order"):
        await found.headers("m", ASKED)
    clock.advance(10)
    write(nowhere["AWS_SHARED_CREDENTIALS_FILE"], f"[default]\n{INI}")
    assert used(await found.headers("m", ASKED)) == ACCESS_KEY


def test_without_the_library_the_message_says_how_to_install_it() -> None:
    with pytest.raises(ModelUnavailable) as caught:
        _load("botocore.not_there")
    assert "openclaw-gateway[aws]" in caught.value.hint
