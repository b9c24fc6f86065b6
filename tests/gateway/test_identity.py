"""People whom an identity provider vouches for, on a running gateway: let in, kept apart, shut out in time."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

import aiohttp
import pytest
from websockets.asyncio.client import connect

from tests.gateway.people import ROLES, Here, ask, ended, house
from tests.gateway.process import TOKEN, GatewayProcess, free_port, write_config
from tests.stand_ins.oidc import OidcServer

pytestmark = pytest.mark.anyio


async def test_people_come_in_by_header_and_by_request_and_are_shut_out_when_their_role_or_token_ends(
    tmp_path: Path,
) -> None:
    async with house(tmp_path) as here:
        alice = here.token("alice")
        by_request, first = await here.open(alice)
        by_header, second = await here.open(alice, upgrade=True)
        for hello in (first, second):
            assert hello["ok"], hello
            assert sorted(hello["payload"]["auth"]["scopes"]) == ["operator.read", "operator.write"]
            assert "deviceToken" not in hello["payload"]["auth"]
        long = here.token("dora", more=[f"a-group-of-the-company-{number}" for number in range(200)])
        assert len(long) > 6000
        for upgrade in (False, True):
            socket, hello = await here.open(long, upgrade=upgrade)
            assert hello["ok"], hello
            await socket.close()
        here.provider.chain.add_rsa("k9")
        assert await here.get("/v1/models", here.token("bob")) == 200
        assert await here.get("/v1/models", here.token("bob", "strangers")) == 403
        assert await here.get("/v1/models", "ey.x.y") == 401
        assert (await here.open(here.token("eve", "strangers")))[1]["error"]["details"]["code"] == "AUTH_NO_ROLE"
        assert (await ask(by_request, "config.get"))["ok"]
        refused = await ask(by_request, "config.patch", raw="{}", baseHash="x")
        assert refused["error"]["details"]["missingScope"] == "operator.admin"

        brief, hello = await here.open(here.token("carol", seconds=-58.5))  # the leeway of a minute included
        assert hello["ok"]
        assert await ended(brief) == (4001, "gateway auth changed")

        stream = await here.http.get(
            here.running.http_url + "/api/mirror/stream?gapMs=60000", headers={"Authorization": f"Bearer {alice}"}
        )
        assert await stream.content.readline() == b"data: 0\n"
        async with await here.running.connect() as operator:
            shown = await operator.call("config.get")
            fewer = "{gateway: {roles: {user: {groups: ['nobody']}}}}"
            lost = ["gateway.roles.user.groups"]
            await operator.call("config.patch", {"raw": fewer, "baseHash": shown["hash"], "replacePaths": lost})
            began = time.monotonic()
            assert await ended(by_request) == (4001, "gateway auth changed")
            assert await ended(by_header) == (4001, "gateway auth changed")
            with pytest.raises(aiohttp.ClientError):
                await asyncio.wait_for(stream.content.read(), 5)
            stream.close()
            assert time.monotonic() - began < 1
            assert await here.get("/v1/models", alice) == 403
            rows = (await operator.call("audit.query", {"kinds": ["identity"]}))["rows"]
        told = {(row["action"], row.get("answer"), row.get("rule")) for row in rows}
        assert {
            ("sign-in connect", "allow", "oidc"),
            ("sign-in http", "allow", "oidc"),
            ("sign-in http", "deny", "auth.malformed"),
            ("sign-in connect", "deny", "auth.no_role"),
            ("sign-in connect", "allow", "token"),
        } <= told
        assert alice not in json.dumps(rows)


async def test_a_lockout_outlives_a_restart(tmp_path: Path) -> None:
    port = free_port()
    auth = {"token": TOKEN, "rateLimit": {"maxAttempts": 3}}
    write_config(tmp_path, port, gateway={"port": port, "auth": auth, "trustedProxies": ["127.0.0.1"]})

    async def status(token: str, client: str) -> int:
        headers = {"Authorization": f"Bearer {token}", "X-Forwarded-For": client}
        async with http.get(f"http://127.0.0.1:{port}/v1/models", headers=headers) as answer:
            return answer.status

    async with aiohttp.ClientSession() as http:
        for _ in range(2):
            running = await (await GatewayProcess.start(tmp_path, port)).ready()
            try:
                for number in range(3):
                    assert await status("wrong", "2001:db8::1") in (401, 429), number
                assert await status(TOKEN, "2001:db8::2") == 429  # the same /64
                assert await status(TOKEN, "::ffff:9.9.9.9") == 200
            finally:
                await running.stop()
        running = await (await GatewayProcess.start(tmp_path, port)).ready()
        try:
            assert await status(TOKEN, "2001:db8::3") == 429
        finally:
            await running.stop()


async def test_a_proxy_on_this_machine_names_users_only_with_the_secret(tmp_path: Path) -> None:
    proxy = {"userHeader": "X-User", "secret": "only-the-proxy-knows-this-one"}
    section = {"auth": {"mode": "trusted-proxy", "token": TOKEN, "trustedProxy": proxy}}
    port = free_port()
    roles = {"user": {"users": ["alice"]}}
    write_config(tmp_path, port, gateway={"port": port, "trustedProxies": ["127.0.0.1"], "roles": roles, **section})
    running = await GatewayProcess.start(tmp_path, port)
    try:
        await running.ready()
        proof = {"X-OpenClaw-Proxy-Secret": "only-the-proxy-knows-this-one"}
        cases: list[tuple[dict[str, str], int]] = [
            ({"X-User": "alice", **proof}, 200),
            ({"X-User": "alice"}, 401),
            ({"X-User": "alice", "X-Forwarded-For": "9.9.9.9"}, 403),
            ({"X-User": "alice", "X-Forwarded-For": "9.9.9.9", **proof}, 200),
            ({"X-User": "mallory", **proof}, 403),
            ({"Authorization": f"Bearer {TOKEN}"}, 200),
            ({"Authorization": f"Bearer {TOKEN}", "X-Forwarded-For": "9.9.9.9", **proof}, 401),
        ]
        async with aiohttp.ClientSession() as http:
            for headers, status in cases:
                async with http.get(f"{running.http_url}/v1/models", headers=headers) as answer:
                    assert answer.status == status, headers
        for extra, ok in ((proof, True), ({}, False)):
            async with connect(running.ws_url, additional_headers={"X-User": "alice", **extra}, proxy=None) as socket:
                await socket.recv()
                client = {"id": "cli", "version": "1", "platform": "linux", "mode": "cli"}
                params = {"minProtocol": 4, "maxProtocol": 4, "client": client}
                await socket.send(json.dumps({"type": "req", "id": "c", "method": "connect", "params": params}))
                assert json.loads(await socket.recv())["ok"] is ok
    finally:
        await running.stop()


async def test_tokens_of_cognito_with_groups_have_the_scopes_of_their_roles(tmp_path: Path) -> None:
    import boto3
    from joserfc import jwk
    from moto import mock_aws
    from moto.utilities.utils import load_resource

    public = jwk.RSAKey.import_key(load_resource("cognitoidp/resources/jwks-private.json"))
    with mock_aws():
        client = boto3.client("cognito-idp", "eu-west-1", aws_access_key_id="x", aws_secret_access_key="y")
        pool = client.create_user_pool(PoolName="p")["UserPool"]["Id"]
        app = client.create_user_pool_client(UserPoolId=pool, ClientName="a")["UserPoolClient"]["ClientId"]
        tokens: dict[str, dict[str, str]] = {}
        for name, group in (("alice", "staff"), ("root", "boss"), ("eve", "")):
            client.admin_create_user(UserPoolId=pool, Username=name)
            client.admin_set_user_password(UserPoolId=pool, Username=name, Password="Passw0rd!!", Permanent=True)
            if group:
                client.create_group(UserPoolId=pool, GroupName=group)
                client.admin_add_user_to_group(UserPoolId=pool, Username=name, GroupName=group)
            tokens[name] = client.admin_initiate_auth(
                UserPoolId=pool,
                ClientId=app,
                AuthFlow="ADMIN_NO_SRP_AUTH",
                AuthParameters={"USERNAME": name, "PASSWORD": "Passw0rd!!"},
            )["AuthenticationResult"]
    async with OidcServer() as provider, aiohttp.ClientSession() as http:
        provider.chain.keys = {"dummy": public}
        cognito = {"userPoolId": pool, "clientId": app, "jwksUrl": f"{provider.base_url}/keys"}
        section = {"auth": {"mode": "cognito", "token": TOKEN, "cognito": cognito}, "roles": ROLES}
        port = free_port()
        write_config(tmp_path, port, gateway={"port": port, **section})
        running = await GatewayProcess.start(tmp_path, port)
        try:
            await running.ready()
            here = Here(running, provider, http)
            expected = {"alice": ["operator.read", "operator.write"], "root": ["operator.admin"]}
            for name, scopes in expected.items():
                for kind in ("AccessToken", "IdToken"):
                    socket, hello = await here.open(tokens[name][kind])
                    assert hello["payload"]["auth"]["scopes"] == scopes
                    await socket.close()
                    assert await here.get("/v1/models", tokens[name][kind]) == 200
            assert await here.get("/v1/models", tokens["eve"]["AccessToken"]) == 403
            head, body, signature = tokens["alice"]["AccessToken"].split(".")
            assert await here.get("/v1/models", f"{head}.{body}.{signature[::-1]}") == 401
        finally:
            await running.stop()
