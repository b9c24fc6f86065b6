"""`openclaw doctor` as an operator runs it, beside a gateway that runs."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.gateway_process import Place

TOKEN = "q8Zr1vLx0Pf7Tn3Kd9Ws5Hb2Mc6Jy4Ga"
OLD = f"""{{
  // by hand, years ago
  gateway: {{
    auth: {{ token: "{TOKEN}" }},
    nodes: {{ allowCommands: ["camera.snap"] }}, // one only
  }},
}}
"""


def test_a_running_gateway_is_looked_at_mended_and_put_back(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.state.mkdir(mode=0o755)
    config = place.state / "openclaw.json"
    config.write_text(OLD)
    config.chmod(0o644)
    with place.serving("gateway"):
        planned = place.run("doctor", "--fix", "--dry-run", "--json")
        assert config.read_text() == OLD
        mended = place.run("doctor", "--fix", "--json")
        told = json.loads(mended.stdout)
        assert mended.returncode == 0, mended.stdout
        wanted = {one["patch"] for one in json.loads(planned.stdout)["fix"]["patches"]}
        assert wanted == {one["patch"] for one in told["fix"]["patches"]}
        severities = {one["id"]: one["severity"] for one in told["findings"]}
        assert severities["gateway.reachable"] == severities["listen.bind"] == severities["lock.holder"] == "ok"
        assert severities["store.integrity"] == "ok"
        assert "commands" in config.read_text()
        assert "// one only" in config.read_text()
        assert "Nothing to mend" in place.run("doctor", "--fix").stdout
        assert place.run("gateway", "status").returncode == 0
        undone = place.run("doctor", "undo", told["fix"]["id"])
        assert undone.returncode == 0, undone.stderr
        assert config.read_text() == OLD
        assert config.stat().st_mode & 0o777 == 0o644
        report = place.run("doctor", "--markdown").stdout
    assert "`config.deprecated`" in report
    assert TOKEN not in report + mended.stdout + planned.stdout
    assert place.run("doctor", "nose").returncode == 1


def test_a_file_that_cannot_be_parsed_is_diagnosed_with_exit_1(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.state.mkdir(mode=0o700)
    (place.state / "openclaw.json").write_text("{gateway: {")
    done = place.run("doctor", "config", "--json")
    assert done.returncode == 1, done.stderr
    assert json.loads(done.stdout)["findings"][0]["id"] == "config.file"
