"""The device's files: made once, private, and never believed when others could have written them."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from openclaw.base.errors import ConfigError
from openclaw.base.secret import Secret
from openclaw.client.device import KEY_FILE, TOKENS_FILE, DeviceStore


def test_the_key_is_made_once_and_only_its_owner_may_read_it(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "device"
    key = DeviceStore(folder).key()
    assert DeviceStore(folder).key().device_id == key.device_id
    assert stat.S_IMODE((folder / KEY_FILE).stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert [path.name for path in folder.iterdir()] == [KEY_FILE]


def test_a_key_that_others_may_read_or_that_is_none_is_refused(tmp_path: Path) -> None:
    store = DeviceStore(tmp_path)
    store.key()
    path = tmp_path / KEY_FILE
    path.chmod(0o644)
    with pytest.raises(ConfigError, match="can be read by others"):
        store.key()
    path.chmod(0o600)
    path.write_text("nonsense")
    with pytest.raises(ConfigError, match="is no device key"):
        store.key()
    path.unlink()
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ConfigError, match="cannot be read"):
        store.key()


def test_tokens_are_kept_by_gateway_and_role(tmp_path: Path) -> None:
    store = DeviceStore(tmp_path)
    store.keep_token("ws://a", "operator", Secret("1"))
    store.keep_token("ws://a", "node", Secret("2"))
    store.keep_token("ws://b", "operator", Secret("3"))
    store.keep_token("ws://b", "operator", None)
    again = DeviceStore(tmp_path)
    assert again.token("ws://a", "operator") == Secret("1")
    assert again.token("ws://a", "node") == Secret("2")
    assert again.token("ws://b", "operator") is None
    assert stat.S_IMODE((tmp_path / TOKENS_FILE).stat().st_mode) == 0o600


def test_a_damaged_token_file_costs_one_pairing_and_nothing_else(tmp_path: Path) -> None:
    store = DeviceStore(tmp_path)
    store.keep_token("ws://a", "operator", Secret("1"))
    (tmp_path / TOKENS_FILE).write_text("{")
    assert store.token("ws://a", "operator") is None
    store.keep_token("ws://a", "operator", Secret("2"))
    assert store.token("ws://a", "operator") == Secret("2")
