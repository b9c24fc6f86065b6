"""A gateway that speaks TLS itself: commands beside it need nothing, and a pair that cannot serve does not start."""

from __future__ import annotations

import hashlib
import json
import signal
import socket
from pathlib import Path
from typing import Any

import pytest

from openclaw.client.resolve import fingerprint_of
from openclaw.client.tls import Trust, context
from tests.cli.gateway_process import Place, wait_until
from tests.net.certificates import pair_in

TOKEN = "q8Zr1vLx0Pf7Tn3Kd9Ws5Hb2Mc6Jy4Ga"


def place_with(root: Path, **tls: Any) -> Place:
    place = Place(root)
    place.state.mkdir(mode=0o700)
    configure(place, **tls)
    return place


def configure(place: Place, **tls: Any) -> None:
    gateway = {"auth": {"token": TOKEN}, "tls": {"enabled": True, **tls}, "controlUi": {"basePath": "/claw"}}
    (place.state / "openclaw.json").write_text(json.dumps({"gateway": gateway}))


def well(place: Place, *command: str) -> str:
    done = place.run(*command)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_commands_on_the_same_machine_work_as_without_tls(tmp_path: Path) -> None:
    place = place_with(tmp_path)
    with place.serving("gateway"):
        well(place, "health")
        assert json.loads(well(place, "gateway", "probe", "--json"))["ok"]
        ways = json.loads(well(place, "doctor", "connect", "--json"))["steps"]
        assert "the certificate is the pinned one" in next(one["seen"] for one in ways if one["name"] == "tls")
        assert well(place, "dashboard") == f"https://127.0.0.1:{place.port}/claw/#token={TOKEN}\n"
        assert f"wss://127.0.0.1:{place.port}" in well(place, "status")
        plain = place.run("gateway", "probe", "--url", f"ws://127.0.0.1:{place.port}")
        assert plain.returncode == 1
        assert plain.stdout.count(f"use https://127.0.0.1:{place.port}") == 1
        assert plain.stdout.count("FAIL") == 1, "what the first step says the others would say too"
        (place.state / "gateway" / "tls" / "gateway-key.pem").chmod(0o644)
        found = json.loads(place.run("doctor", "--json").stdout)["findings"]
        tls = {one["id"]: one for one in found if one["id"].startswith("tls.")}
        assert (tls["tls.certificate"]["severity"], tls["tls.key-mode"]["severity"]) == ("ok", "warning")
        assert "chmod 600" in tls["tls.key-mode"]["fix"]


def test_a_change_of_the_files_is_taken_up_or_refused_whole(tmp_path: Path) -> None:
    first, second = pair_in(tmp_path / "first"), pair_in(tmp_path / "second")
    place = place_with(tmp_path, certPath=str(first.certificate), keyPath=str(first.key))
    with place.serving("gateway") as process:
        assert served(place) == fingerprint_of(first.certificate)
        mixed = place.run("config", "set", "gateway.tls.keyPath", str(second.key))
        assert mixed.returncode == 0
        log = place.state / "logs" / "openclaw.log"
        wait_until(lambda: "does not belong to the certificate" in log.read_text())
        assert served(place) == fingerprint_of(first.certificate)
        well(place, "config", "set", "gateway.tls.certPath", str(second.certificate))
        wait_until(lambda: served(place) == fingerprint_of(second.certificate))
        renewed = pair_in(tmp_path / "second")
        process.send_signal(signal.SIGHUP)
        wait_until(lambda: served(place) == fingerprint_of(renewed.certificate))


def served(place: Place) -> str:
    """Return the fingerprint of what the gateway serves now."""
    with (
        socket.create_connection(("127.0.0.1", place.port), 5) as line,
        context(Trust(fingerprint="0" * 64)).wrap_socket(line) as secure,
    ):
        return hashlib.sha256(secure.getpeercert(binary_form=True) or b"").hexdigest()


@pytest.mark.parametrize("fault", ["missing", "mismatched", "expired"])
def test_a_pair_that_cannot_serve_ends_the_start_with_78_and_says_which_file(tmp_path: Path, fault: str) -> None:
    pair, other = pair_in(tmp_path / "tls", ends_ms=1_000_000_000_000 if fault == "expired" else 4_000_000_000_000), ""
    if fault == "missing":
        pair.key.unlink()
    if fault == "mismatched":
        other = str(pair_in(tmp_path / "other").key)
    place = place_with(tmp_path, certPath=str(pair.certificate), keyPath=other or str(pair.key))
    done = place.run("gateway", "run")
    assert done.returncode == 78
    told = {"missing": "does not exist", "mismatched": "does not belong", "expired": "expired on 2001-09-09"}[fault]
    assert told in done.stderr
    findings = {one["id"]: one for one in json.loads(place.run("doctor", "--json").stdout)["findings"]}
    assert findings["tls.certificate"]["severity"] == "error"
    assert told in findings["tls.certificate"]["evidence"]
