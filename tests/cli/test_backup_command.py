"""`openclaw backup` as people type it."""

from __future__ import annotations

import asyncio
import io
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from openclaw.ops.backup.parts import DATABASE
from tests.cli.conftest import Run
from tests.ops.backup.house import CONFIG, furnish


@pytest.fixture
def furnished(home: Path) -> Path:
    asyncio.run(furnish(home))
    return home


def told(text: str) -> dict[str, Any]:
    found = msgspec.json.decode(text)
    assert isinstance(found, dict)
    return found


def test_create_verify_list_restore_undo(furnished: Path, command: Run) -> None:
    made = command("backup", "create", "--json")
    assert made.code == 0, made.err
    said = told(made.out)
    assert (said["ok"], said["encrypted"], said["pruned"]) == (True, False, [])
    assert Path(said["where"]).parent == furnished / "backups"
    assert "not encrypted" in said["warnings"][0]

    listed = told(command("backup", "list", "--json").out)
    assert [each["name"] for each in listed["backups"]] == [Path(said["where"]).name]
    assert "NAME" in command("backup", "list").out

    whole = told(command("backup", "verify", "--json").out)
    assert (whole["ok"], whole["own"], whole["signer"]) == (True, True, said["signer"])
    assert command("backup", "verify", said["where"]).out.startswith("whole: ")

    (furnished / "openclaw.json").write_text("{logging: {level: 'error'}}")
    restored = command("backup", "restore", "latest", "--yes")
    assert restored.code == 0, restored.err
    assert "restore --undo" in restored.out
    assert (furnished / "openclaw.json").read_text() == CONFIG
    assert command("backup", "restore", "--undo").code == 0
    assert "logging" in (furnished / "openclaw.json").read_text()


def test_a_restore_asks_before_it_replaces(furnished: Path, command: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    command("backup", "create")
    (furnished / "openclaw.json").write_text("{}")
    asked = command("backup", "restore", "latest")
    assert asked.code == 1
    assert "Nothing is changed." in asked.err
    assert (furnished / "openclaw.json").read_text() == "{}"


def test_a_passphrase_comes_from_a_file_and_is_never_shown(furnished: Path, command: Run, tmp_path: Path) -> None:
    secret = tmp_path / "passphrase"
    secret.write_text("correct horse battery staple\nignored\n")
    made = command("backup", "create", "--passphrase-file", str(secret), "--keep", "3", "--json")
    assert told(made.out)["encrypted"] is True
    refused = command("backup", "verify", "--json")
    assert refused.code == 1
    assert told(refused.out)["error"]["details"] == {"code": "BACKUP_PASSPHRASE"}
    assert command("backup", "verify", "--passphrase-file", str(secret)).code == 0
    target = tmp_path / "fresh"
    back = command("backup", "restore", "latest", "--to", str(target), "--passphrase-file", str(secret))
    assert back.code == 0, back.err
    assert f"OPENCLAW_STATE_DIR={target}" in back.out
    assert (target / DATABASE).exists()
    for each in (made, refused, back):
        assert "correct horse" not in each.out + each.err


def test_the_setting_s_passphrase_is_used_unless_it_is_to_be_plain(
    furnished: Path, command: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENCLAW_BACKUP_PASSPHRASE", "correct horse battery staple")
    assert told(command("backup", "create", "--json").out)["encrypted"] is True
    assert told(command("backup", "verify", "--json").out)["ok"] is True
    assert told(command("backup", "create", "--plain", "--json").out)["encrypted"] is False


def test_prune_says_what_goes(furnished: Path, command: Run) -> None:
    for _ in range(3):
        command("backup", "create")
    would = told(command("backup", "prune", "--keep", "1", "--dry-run", "--json").out)
    assert len(would["deleted"]) == 2
    assert len(told(command("backup", "list", "--json").out)["backups"]) == 3
    assert command("backup", "prune", "--keep", "1").out.count("deleted: ") == 2
    assert command("backup", "prune", "--keep", "forever").code == 1
    assert "Nothing in" in command("backup", "prune").out


def test_a_schedule_is_set_shown_and_switched_off(furnished: Path, command: Run) -> None:
    assert "no: openclaw backup schedule" in command("backup", "schedule").out
    done = command("backup", "schedule", "--every", "12h", "--keep", "14", "-d", "/mnt/x", "--json")
    said = told(done.out)
    assert (said["scheduled"], said["every"], said["keep"], said["destination"]) == (True, "12h", "14", "/mnt/x")
    assert "// kept to the letter" in (furnished / "openclaw.json").read_text()
    assert command("backup", "schedule", "--cron", "0 3 * * *").code == 0
    said = told(command("backup", "schedule", "--json").out)
    assert (said["every"], said["cron"]) == ("", "0 3 * * *")
    assert command("backup", "schedule", "--every", "sometimes").code == 1
    assert command("backup", "schedule", "--cron", "sometimes").code == 1
    assert command("backup", "schedule", "--every", "1d", "--cron", "0 3 * * *").code == 2
    command("backup", "schedule", "--off")
    assert told(command("backup", "schedule", "--json").out)["scheduled"] is False


def test_what_is_wrong_is_said_with_what_to_do(furnished: Path, command: Run, tmp_path: Path) -> None:
    missing = command("backup", "verify", "nothing.tar.gz")
    assert missing.code == 1
    assert "openclaw backup list" in missing.err
    (tmp_path / "rubbish.tar.gz").write_bytes(b"rubbish")
    rubbish = command("backup", "restore", str(tmp_path / "rubbish.tar.gz"), "--yes")
    assert rubbish.code == 1
    assert re.search(r"refused.*gzip", rubbish.err)
    assert command("backup", "restore").code == 2
    assert command("backup", "restore", "--undo").code == 1


def test_the_status_says_how_the_last_one_went(furnished: Path, command: Run) -> None:
    assert told(command("status", "--json").out)["backup"].startswith("none")
    command("backup", "create")
    assert f"{furnished}/backups/" in told(command("status", "--json").out)["backup"]
    command("backup", "create", "-d", f"{furnished}/openclaw.json/below")
    assert told(command("status", "--json").out)["backup"].startswith("failed ")


def test_a_restore_that_waits_for_a_start_can_be_taken_back(furnished: Path, command: Run) -> None:
    command("backup", "create")
    waits = command("backup", "restore", "latest", "--at-start", "--yes", "--json")
    assert told(waits.out)["waits"] is True
    assert "is dropped" in command("backup", "restore", "--undo").out
    assert not (furnished / ".restore-waiting").exists()
    assert command("backup", "restore", "latest", "--at-start", "--to", "/x").code == 2


def test_what_was_to_be_encrypted_is_never_made_plain(furnished: Path, command: Run) -> None:
    (furnished / "openclaw.json").write_text('{backup: {passphrase: "${NOT_SET_ANYWHERE}"}}')
    refused = command("backup", "create")
    assert refused.code == 78
    assert "backup.passphrase is set, but cannot be had" in refused.err
    assert not (furnished / "backups").exists()
    assert command("backup", "create", "--plain").code == 0
