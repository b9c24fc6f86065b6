"""Which gateway, and with which token from where."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from openclaw.base.errors import ConfigError
from openclaw.base.secret import Secret
from openclaw.client.resolve import both_urls, fingerprint_of, target
from openclaw.config.schema import AuthConfig, Config, GatewayConfig, RemoteConfig, TlsConfig
from tests.net.certificates import pair_in


@dataclass
class Loaded:
    config: Config
    sources: dict[str, str] = field(default_factory=dict)


def _loaded(**gateway: object) -> Loaded:
    return Loaded(Config(gateway=GatewayConfig(auth=AuthConfig(token=Secret("file")), **gateway)))  # type: ignore[arg-type]  # any field


def test_the_flag_wins_over_the_environment_and_that_over_the_file() -> None:
    flag = target(_loaded(), {"OPENCLAW_GATEWAY_TOKEN": "env"}, token="flag")
    assert (flag.token, flag.token_source) == (Secret("flag"), "--token")
    env = target(_loaded(), {"OPENCLAW_GATEWAY_TOKEN": "env"})
    assert (env.token, env.token_source) == (Secret("env"), "environment variable OPENCLAW_GATEWAY_TOKEN")
    file = target(_loaded(port=5000), {})
    assert (file.token, file.url, file.http_url) == (Secret("file"), "ws://127.0.0.1:5000", "http://127.0.0.1:5000")
    assert "configuration" in file.token_source


def test_a_remote_gateway_is_asked_with_its_own_token() -> None:
    remote = RemoteConfig(url="wss://gw.example/base/", token=Secret("far"))
    found = target(_loaded(mode="remote", remote=remote), {})
    assert (found.url, found.http_url) == ("wss://gw.example/base", "https://gw.example/base")
    assert found.token == Secret("far")
    with pytest.raises(ConfigError):
        target(_loaded(mode="remote"), {})


def test_odd_bind_addresses_become_something_to_connect_to() -> None:
    assert target(_loaded(bind="lan"), {}).url == "ws://127.0.0.1:18789"
    assert target(_loaded(bind="custom", custom_bind_host="::"), {}).url == "ws://127.0.0.1:18789"
    assert target(_loaded(bind="custom", custom_bind_host="fd00::1"), {}).url == "ws://[fd00::1]:18789"


def test_a_url_may_be_given_in_either_scheme() -> None:
    assert both_urls("http://h:1") == both_urls("h:1") == ("ws://h:1", "http://h:1")
    for wrong in ("ftp://h", "ws://", "::"):
        with pytest.raises(ConfigError):
            both_urls(wrong)


def test_the_own_certificate_is_pinned_where_a_url_leads_to_the_own_gateway(tmp_path: Path) -> None:
    own = pair_in(tmp_path).certificate
    here = _loaded(tls=TlsConfig(enabled=True))
    plain = target(here, {}, certificate=own)
    assert (plain.url, plain.http_url) == ("wss://127.0.0.1:18789", "https://127.0.0.1:18789")
    assert plain.tls_fingerprint == fingerprint_of(own) != ""
    assert target(here, {}, port=5000, certificate=own).url == "wss://127.0.0.1:5000"
    assert target(here, {}, port=5000, certificate=own).tls_fingerprint == fingerprint_of(own)
    assert target(here, {}, "wss://localhost:18789/claw", certificate=own).tls_fingerprint == fingerprint_of(own)
    for other in ("wss://localhost:9443", "wss://gw.example:18789", "ws://localhost:18789"):
        assert target(here, {}, other, certificate=own).tls_fingerprint == "", other
    tunnel = RemoteConfig(url="wss://127.0.0.1:18789", tls_fingerprint="ab")
    far = _loaded(mode="remote", remote=tunnel, tls=TlsConfig(enabled=True))
    assert target(far, {}, certificate=own).tls_fingerprint == "ab"


def test_importing_the_client_loads_no_heavy_library() -> None:
    code = (
        "import sys, openclaw.client.ws, openclaw.client.http, openclaw.client.resolve;"
        "print([m for m in ('websockets','aiohttp','uvicorn','apsw','click') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
