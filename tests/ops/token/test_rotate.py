"""Another token in every place that is ours, none of it elsewhere, and all or nothing."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from openclaw.base.clock import ManualClock
from openclaw.base.errors import InvalidRequest
from openclaw.base.secret import Secret
from openclaw.config.disk import replace_unchanged
from openclaw.identity.grace import grace_file, load
from openclaw.ops.token.copies import disagreeing, effective, find_copies
from openclaw.ops.token.place import replaced
from openclaw.ops.token.rotate import Rotated, rotate
from tests.ops.doctor.place import NOW_MS, OTHER, STRONG, Place

CONFIG = f"""{{
  // ours
  gateway: {{ auth: {{ token: "{STRONG}" }}, remote: {{ token: "{STRONG}" }} }}, // keep
}}
"""


def turn(place: Place, grace_ms: int = 0) -> tuple[Secret, Rotated]:
    scene = place.scene()
    copies = find_copies(scene.paths, scene.loaded, scene.env, scene.cwd, scene.units)
    return rotate(scene.paths, lambda: place.scene().loaded, copies, ManualClock(NOW_MS), grace_ms)


def test_every_place_that_is_ours_gets_the_new_one_and_keeps_everything_else(tmp_path: Path) -> None:
    place = Place(tmp_path).make()
    config = place.write("openclaw.json", CONFIG)
    env = place.write(".env", f'# keys\nA=1\nexport OPENCLAW_GATEWAY_TOKEN="{STRONG}"  # ours\nB=2\n', 0o640)
    file = place.write("credentials/gateway-token", STRONG)
    unit = tmp_path / ".config/systemd/user/openclaw.service"
    unit.parent.mkdir(parents=True)
    unit.write_text(f"[Service]\nEnvironmentFile=-{tmp_path}/gateway.env\n")
    (tmp_path / "gateway.env").write_text(f"OPENCLAW_GATEWAY_TOKEN={STRONG}\n")
    (tmp_path / ".env").write_text("OTHER=1\n")

    new, done = turn(place, 60_000)

    text = new.reveal()
    assert len(done.replaced) == 5
    assert config.read_text() == CONFIG.replace(STRONG, text)
    assert env.read_text() == f"# keys\nA=1\nexport OPENCLAW_GATEWAY_TOKEN={text}  # ours\nB=2\n"
    assert file.read_text() == f"{text}\n"
    assert (tmp_path / "gateway.env").read_text() == f"OPENCLAW_GATEWAY_TOKEN={text}\n"
    scene = place.scene()
    assert effective(scene.loaded)[0] == new
    assert disagreeing(find_copies(scene.paths, scene.loaded, scene.env, scene.cwd, scene.units), new) == []
    assert [one.matches(STRONG) for one in load(grace_file(scene.paths.state_dir), NOW_MS)] == [True]
    assert text not in repr(done)


def test_a_place_that_is_not_ours_is_named_and_left_alone(tmp_path: Path) -> None:
    place = Place(tmp_path).make()
    place.write("openclaw.json", CONFIG)
    unit = tmp_path / ".config/systemd/user/openclaw.service"
    unit.parent.mkdir(parents=True)
    unit.write_text(f"[Service]\nEnvironment=OPENCLAW_GATEWAY_TOKEN={STRONG}\n")
    before = unit.read_text()
    _, done = turn(place)
    assert [str(unit) in where for where in done.left] == [True]
    assert unit.read_text() == before


@pytest.mark.parametrize("where", ["process", "dotenv"])
def test_a_token_that_counts_and_is_not_ours_is_not_rotated(tmp_path: Path, where: str) -> None:
    place = Place(tmp_path, {"OPENCLAW_GATEWAY_TOKEN": OTHER} if where == "process" else {}).make()
    if where == "dotenv":
        (tmp_path / ".env").write_text(f"OPENCLAW_GATEWAY_TOKEN={OTHER}\n")
    place.write("openclaw.json", CONFIG)
    before = place.tree()
    with pytest.raises(InvalidRequest, match="does not own"):
        turn(place)
    assert place.tree() == before


def test_a_failure_half_way_puts_back_what_was_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = Place(tmp_path).make()
    config = place.write("openclaw.json", CONFIG)
    env = place.write(".env", f"OPENCLAW_GATEWAY_TOKEN={STRONG}\n")

    def full(path: Path, data: bytes, base_hash: str | None) -> None:
        if path == config:
            raise OSError(28, "No space left on device")
        replace_unchanged(path, data, base_hash)

    monkeypatch.setattr("openclaw.ops.token.rotate.replace_unchanged", full)
    with pytest.raises(OSError, match="No space"):
        turn(place)
    assert env.read_text() == f"OPENCLAW_GATEWAY_TOKEN={STRONG}\n"
    assert config.read_text() == CONFIG


def test_a_password_is_not_rotated(tmp_path: Path) -> None:
    place = Place(tmp_path).make()
    place.write("openclaw.json", f"{{gateway: {{auth: {{mode: 'password', password: '{STRONG}'}}}}}}")
    with pytest.raises(InvalidRequest, match="chosen, not rotated"):
        turn(place)


@pytest.mark.parametrize(
    ("line", "changed"),
    [
        ("X=old", "X=new"),
        ("export X = 'old' # why", "export X = new # why"),
        ('X="o\\"ld"\r', "X=new\r"),
        ("X=a\nX=b", "X=new\nX=new"),
        ("XX=1\nX=old\n#X=2", "XX=1\nX=new\n#X=2"),
    ],
)
def test_a_line_of_an_env_file_keeps_its_form(tmp_path: Path, line: str, changed: str) -> None:
    place = Place(tmp_path, {}).make()
    place.write(".env", "OPENCLAW_GATEWAY_TOKEN=x\n")
    scene = place.scene()
    copy = find_copies(scene.paths, scene.loaded, scene.env, scene.cwd)[0]
    assert replaced(line, msgspec.structs.replace(copy, key="X"), Secret("new")) == changed
