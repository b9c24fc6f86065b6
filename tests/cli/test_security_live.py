"""`openclaw security audit --deep` as an operator runs it, beside a gateway that runs."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.gateway_process import Place

TOKEN = "q8Zr1vLx0Pf7Tn3Kd9Ws5Hb2Mc6Jy4Ga"
HOOKS = "Xw2Lk9Qe4Rt7Yu1Io5Pa8Sd3Fg6Hj0Zx"
CONFIG = f"""{{
  gateway: {{ auth: {{ token: "{TOKEN}" }} }},
  hooks: {{ enabled: true, token: "{HOOKS}" }},
  networkPolicy: {{ egressAllowlist: ["example.com", "localhost", "127.0.0.1.nip.io"] }},
}}
"""


def test_a_running_gateway_stands_the_probes_and_what_is_open_around_it_is_mended(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.state.mkdir(mode=0o777)
    place.state.chmod(0o777)
    (place.state / "openclaw.json").write_text(CONFIG)
    with place.serving("gateway"):
        looked = place.run("security", "audit", "--deep", "--json")
        mended = place.run("security", "audit", "--deep", "--fix", "--json")
        told = place.run("security", "audit").stdout
    before, after = json.loads(looked.stdout), json.loads(mended.stdout)
    assert looked.returncode == 1
    assert "fs.state_dir.perms_world_writable" in {one["checkId"] for one in before["findings"]}
    assert after["deep"]["gateway"]["ok"]
    probes = {one["name"]: one for one in after["deep"]["probes"]}
    assert len(probes) >= 13
    assert [one for one in probes.values() if not one["ok"]] == []
    assert "answered 403" in probes["a tool that asks for this machine"]["seen"]
    assert mended.returncode == 0
    assert after["summary"]["critical"] == 0
    assert "0 critical" in told
    assert TOKEN not in looked.stdout + told
    assert HOOKS not in looked.stdout + told


def test_a_gateway_that_is_down_is_said_and_a_broken_file_does_not_end_the_audit(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.state.mkdir(mode=0o700)
    (place.state / "openclaw.json").write_text("{gateway: {")
    (place.state / "openclaw.json").chmod(0o600)
    done = place.run("security", "audit", "--deep", "--json")
    ids = {one["checkId"] for one in json.loads(done.stdout)["findings"]}
    assert {"gateway.probe_failed", "config.unusable"} <= ids
    assert done.returncode == 1
