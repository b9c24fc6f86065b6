"""connect, net and proxy against real gateways, real TLS and a real nginx."""

from __future__ import annotations

import hashlib
import json
import re
import ssl
import subprocess
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from openclaw.client.errors import GatewayDown
from openclaw.ops.doctor.proxy import ProxyProbe, snippet
from openclaw.ops.doctor.step import Step
from tests.cli.gateway_process import Place
from tests.cli.nginx import serving_nginx
from tests.gateway.process import free_port
from tests.net.certificates import pair_in

TOKEN = "q8Zr1vLx0Pf7Tn3Kd9Ws5Hb2Mc6Jy4Ga"

BARE = """
server { listen 443 ssl; location / { proxy_pass http://UPSTREAM/; } }
"""


def place_in(root: Path, **gateway: Any) -> Place:
    place = Place(root)
    place.state.mkdir(mode=0o700)
    config = {"gateway": {"auth": {"token": TOKEN}, **gateway}}
    (place.state / "openclaw.json").write_text(json.dumps(config))
    return place


def steps(place: Place, *arguments: str) -> dict[str, dict[str, Any]]:
    done = place.run("doctor", *arguments, "--json")
    assert done.stdout, done.stderr
    told = json.loads(done.stdout)
    assert done.returncode == (0 if told["ok"] else 1)
    assert TOKEN not in done.stdout
    return {one["name"]: one for one in told["steps"]}


def test_connect_goes_all_the_way_or_names_the_first_thing_that_fails(tmp_path: Path) -> None:
    place = place_in(tmp_path)
    down = steps(place, "connect")
    assert list(down) == ["name", "tcp"]
    assert "openclaw gateway" in down["tcp"]["fix"]
    with place.serving("gateway"):
        up = steps(place, "connect")
        assert list(up) == ["name", "tcp", "http", "websocket", "credential", "pairing", "scopes"]
        assert all(one["ok"] for one in up.values())
        wrong = steps(place, "connect", "--token", "wrong")
        assert list(wrong)[-1] == "credential"
        assert "--token" in wrong["credential"]["fix"]
        nowhere = steps(place, "connect", "ws://no-such-host.invalid:1")
        assert list(nowhere) == ["name"]
        secure = steps(place, "connect", f"wss://127.0.0.1:{place.port}")
        assert list(secure)[-1] == "tls"
        assert "ws://" in secure["tls"]["fix"]
        told = place.run("health", "--url", f"wss://127.0.0.1:{place.port}").stderr
        assert "answers without TLS" in told
        assert f"Use ws://127.0.0.1:{place.port}" in told


def test_connect_shows_the_fingerprint_of_a_certificate_that_is_not_trusted_and_the_fix_works(tmp_path: Path) -> None:
    place = place_in(tmp_path)
    key, certificate, port = tmp_path / "key.pem", tmp_path / "cert.pem", free_port()
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-days", "1"]
    subprocess.run([*made, "-keyout", key, "-out", certificate], check=True, capture_output=True, timeout=60)
    tls = f"listen 127.0.0.1:{port} ssl; ssl_certificate {certificate}; ssl_certificate_key {key};"
    server = snippet("nginx", f"127.0.0.1:{place.port}", "localhost").replace("listen 443 ssl;", tls)
    (place.state / "openclaw.json").write_text(
        json.dumps(
            {
                "gateway": {
                    "auth": {"token": TOKEN},
                    "trustedProxies": ["127.0.0.1"],
                    "publicBaseUrl": f"https://localhost:{port}",
                }
            }
        )
    )
    with place.serving("gateway"), serving_nginx(tmp_path / "nginx", port, server):
        seen = steps(place, "connect", f"wss://localhost:{port}")
        digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(certificate.read_text())).hexdigest()
        assert digest in seen["tls"]["seen"]
        assert list(seen)[-1] == "tls"
        fix = re.search(r"`openclaw (config set gateway.remote.tlsFingerprint [0-9a-f]{64})`", seen["tls"]["fix"])
        assert fix
        assert place.run(*fix[1].split()).returncode == 0
        for key_, value in (("gateway.remote.url", f"wss://localhost:{port}"), ("gateway.mode", "remote")):
            assert place.run("config", "set", key_, value).returncode == 0
        assert place.run("config", "set", "gateway.remote.token", TOKEN).returncode == 0
        again = steps(place, "connect")
        assert again["tls"]["ok"]
        assert again["credential"]["ok"], again


@pytest.mark.parametrize("base", ["", "/openclaw"])
def test_the_snippet_for_nginx_passes_every_probe(tmp_path: Path, base: str) -> None:
    place, port = place_in(tmp_path, trustedProxies=["127.0.0.1"]), free_port()
    server = place.run("doctor", "proxy", f"http://localhost{base}", "--snippet", "nginx").stdout
    assert f"127.0.0.1:{place.port}" in server
    with place.serving("gateway"), serving_nginx(tmp_path / "nginx", port, server):
        seen = steps(place, "proxy", f"http://localhost:{port}{base}")
    assert {name: one["ok"] for name, one in seen.items()} == dict.fromkeys(
        ("reach", "headers", "websocket", "stream", "body"), True
    ), seen


def test_a_bare_proxy_fails_each_probe_with_its_own_fix(tmp_path: Path) -> None:
    place, port = place_in(tmp_path, trustedProxies=["127.0.0.1"]), free_port()
    server = BARE.replace("UPSTREAM", f"127.0.0.1:{place.port}")
    with place.serving("gateway"), serving_nginx(tmp_path / "nginx", port, server):
        seen = steps(place, "proxy", f"http://127.0.0.1:{port}")
    assert {name: one["ok"] for name, one in seen.items() if name != "stream"} == {
        "reach": True,
        "headers": False,
        "websocket": False,
        "body": False,
    }
    assert "own machine" in seen["headers"]["seen"]
    assert "Upgrade" in seen["websocket"]["fix"]
    assert "client_max_body_size" in seen["body"]["fix"]


def test_a_wrong_base_path_is_told_with_where_the_gateway_is_and_both_ways_to_mend_it(tmp_path: Path) -> None:
    public = {"publicBaseUrl": "https://chat.example.com/claw"}
    place, port = place_in(tmp_path, trustedProxies=["127.0.0.1"], **public), free_port()
    passes_all = snippet("nginx", f"127.0.0.1:{place.port}", "localhost")
    with place.serving("gateway"), serving_nginx(tmp_path / "nginx", port, passes_all):
        passed_on = steps(place, "proxy", f"http://localhost:{port}/claw")["reach"]
        assert f"it answers at http://localhost:{port}, without /claw" in passed_on["seen"]
        assert f"https://chat.example.com/claw/#token={TOKEN}" in place.run("dashboard").stdout
        fix = re.search(r"`openclaw (config set gateway.controlUi.basePath /claw)`", passed_on["fix"])
        assert fix
        assert place.run(*fix[1].split()).returncode == 0
    with place.serving("gateway"), serving_nginx(tmp_path / "nginx", port, passes_all):
        assert steps(place, "proxy", f"http://localhost:{port}/claw")["reach"]["ok"]
    cuts = snippet("nginx", f"127.0.0.1:{place.port}", "localhost", "/claw")
    with place.serving("gateway"), serving_nginx(tmp_path / "nginx", port, cuts):
        without = steps(place, "proxy", f"http://localhost:{port}")["reach"]
        assert without["fix"] == f"Use the URL http://localhost:{port}/claw."
        elsewhere = steps(place, "proxy", f"http://localhost:{port}/other")["reach"]
        assert f"it answers at http://localhost:{port}/claw" in elsewhere["seen"]


def headers_step(url: str, public: str = "") -> Step:
    """Return what the doctor says of the forwarding headers, without the slower probes after it."""
    probe = ProxyProbe(url, TOKEN, dict, verify=False, public=public)
    return next(one for one in probe.steps() if one.name == "headers")


def test_a_proxy_that_hides_the_host_or_the_scheme_is_told(tmp_path: Path) -> None:
    place, port = place_in(tmp_path, trustedProxies=["127.0.0.1"]), free_port()
    pair = pair_in(tmp_path / "tls")
    listen = f"listen 127.0.0.1:{port} ssl; ssl_certificate {pair.certificate}; ssl_certificate_key {pair.key};"
    good = snippet("nginx", f"127.0.0.1:{place.port}", "localhost").replace("listen 443 ssl;", listen)
    url = f"https://localhost:{port}"
    with place.serving("gateway"):
        with serving_nginx(tmp_path / "nginx", port, good):
            seen = steps(place, "proxy", url, "--insecure")
            assert [one["ok"] for one in seen.values()] == [True] * 5, seen
        with serving_nginx(tmp_path / "nginx", port, re.sub(r".*X-Forwarded-Proto.*\n", "", good)):
            assert "X-Forwarded-Proto" in headers_step(url).fix
        with serving_nginx(tmp_path / "nginx", port, re.sub(r".*Host \$http_host;\n", "", good)):
            hidden = headers_step(url)
            assert "taken for foreign pages" in hidden.seen
            assert f"config set gateway.publicBaseUrl {url}`" in hidden.fix
            assert headers_step(url, f"{url}/").ok


class Collecting(BaseHTTPRequestHandler):
    """Answers like a gateway behind something that collects a stream and hands it on at its end."""

    def do_GET(self) -> None:
        bodies = {"/health": b'{"ok": true}', "/api/mirror": b'{"client": "::1", "direct": false, "forwarded": []}'}
        body = bodies.get(self.path, b"data: 1\n\n" * 4)
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def test_buffering_is_noticed() -> None:
    def refuse() -> dict[str, Any]:
        raise GatewayDown("no upgrade")

    with ThreadingHTTPServer(("127.0.0.1", 0), Collecting) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        probe = ProxyProbe(f"http://127.0.0.1:{server.server_port}", TOKEN, refuse)
        seen = {one.name: one for one in probe.steps()}
        server.shutdown()
    assert "buffering off" in seen["stream"].fix
    assert not seen["headers"].ok
    assert not seen["body"].ok


def test_a_proxy_that_is_not_trusted_is_named_with_the_setting(tmp_path: Path) -> None:
    place, port = place_in(tmp_path), free_port()
    server = snippet("nginx", f"127.0.0.1:{place.port}", "localhost")
    with place.serving("gateway"), serving_nginx(tmp_path / "nginx", port, server):
        seen = steps(place, "proxy", f"http://localhost:{port}")
        assert list(seen) == ["reach", "headers"]
        assert "gateway.trustedProxies" in seen["headers"]["fix"]
    with serving_nginx(tmp_path / "nginx", port, server):
        alone = steps(place, "proxy", f"http://localhost:{port}")
    assert "502" in alone["reach"]["seen"]


def test_net_tells_the_verdict_and_the_way(tmp_path: Path) -> None:
    place = place_in(tmp_path)
    assert list(steps(place, "net")) == ["policy"]
    with place.serving("gateway"):
        seen = steps(place, "net", f"127.0.0.1:{place.port}")
    assert "networkPolicy.egressAllowlist" in seen["verdict"]["fix"]
    assert "loopback" in seen["address"]["seen"]
    assert seen["tcp"]["ok"]


def test_memory_is_told(tmp_path: Path) -> None:
    place = place_in(tmp_path)
    with place.serving("gateway"):
        assert "main" in place.run("doctor", "memory").stdout
