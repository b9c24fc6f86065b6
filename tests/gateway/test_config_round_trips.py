"""A thousand times: get, edit, set, by every writer and in every form, and each of them can be taken back."""

from __future__ import annotations

import asyncio
import json
import os
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from openclaw.base.errors import OpenClawError
from openclaw.base.principal import LOCAL_OPERATOR
from openclaw.config.changes.offline import change, roll_back
from openclaw.config.changes.record import Wish
from openclaw.config.load import Draft, Files, Loaded, read_files
from openclaw.config.redaction.redact import PLACEHOLDER
from openclaw.config.writing.apply import set_in, unset_in
from openclaw.config.writing.rewrite import patched, whole
from openclaw.ops.doctor.summary import remarks
from openclaw.rpc.config_port import ConfigChange
from openclaw.rpc.methods.house.config import _shown_config
from tests.gateway.test_config_desk import House, house

__all__ = ["house"]
pytestmark = pytest.mark.anyio

TRIPS = 334
NOTES = ("note-1", "note-2", "note-3", "note-4", "note-5")
SECRETS = ("sekret-a", "sekret-b", "sekret-c")
JSON5 = """{ // note-1
  gateway: { port: 19000, /* note-2 */ auth: { token: 'sekret-a' } }, // note-3
  models: { providers: { p: { apiKey: 'sekret-b', baseUrl: 'http://u:sekret-c@h' } } }, // note-4
  // note-5
}
"""
YAML = """# note-1
gateway:
  port: 19000 # note-2
  auth: { token: sekret-a } # note-3
models:
  providers:
    # note-4
    p:
      apiKey: sekret-b
      baseUrl: http://u:sekret-c@h # note-5
"""
INCLUDING = """{ // note-1
  gateway: { $include: 'gate.json5', port: 19000 /* note-2 */ }, // note-3
  models: { $include: 'models.json5' }, // note-4
}
"""
INCLUDED = {
    "gate.json5": "{ auth: { token: 'sekret-a' } } // note-5",
    "models.json5": "{ providers: { p: { apiKey: 'sekret-b', baseUrl: 'http://u:sekret-c@h' } } }",
}
EDITS: tuple[tuple[str, Any], ...] = (
    ("gateway.port", 19001),
    ("gateway.port", 19002),
    ("gateway.reload.debounceMs", 400),
    ("identity.name", 'it\'s "me" # not a note'),
    ("identity", None),
    ("logging.level", "debug"),
    ("logging", None),
    ("tools.deny", ["exec", "web"]),
    ("tools", None),
    ("agents.defaults.limits.steps", 7),
    ("models.providers.p.timeouts.idleMs", 9),
    ("models.providers.q", {"baseUrl": "http://t/v1", "apiKey": "fresh"}),
    ("models.providers.q", None),
)


def as_it_is(loaded: Loaded, draft: Draft | None = None) -> Loaded:
    return loaded


def _with(values: Mapping[str, Any], path: str, value: Any) -> dict[str, Any]:
    key, _, rest = path.partition(".")
    out = dict(values)
    if rest:
        out[key] = _with(out.get(key, {}), rest, value)
    elif value is None:
        out.pop(key, None)
    else:
        out[key] = value
    return out


async def _send(house: House, how: str, path: str, value: Any) -> None:
    """Do what a client does: read, edit what was shown, send it back."""
    loaded = await house.desk.read()
    shown = _shown_config(house.desk, loaded, house.loaded)
    raw = json.dumps(_with(shown["config"], path, value))
    rewrite = whole
    if how == "config.patch":
        raw, rewrite = json.dumps(_with({}, path, value) if value is not None else _null(path)), patched
    elif how == "text" and shown["raw"]:
        raw = shown["raw"].replace("19000", "19003")
    assert not [secret for secret in SECRETS if secret in raw]
    sent = ConfigChange(method=how, rewrite=lambda before: rewrite(raw, before), base=shown["hash"])
    await house.desk.write(sent, LOCAL_OPERATOR)


def _null(path: str) -> Any:
    value: Any = None
    for key in reversed(path.split(".")):
        value = {key: value}
    return value


def _by_command(house: House, how: str, path: str, value: Any) -> None:
    home = house.home

    def rewrite(before: Loaded) -> str:
        return unset_in(before, path) if value is None else set_in(before, path, value)

    change(home.paths(), home.env(), house.clock, Wish(method=how), rewrite, as_it_is, remarks)


def _whole(files: Files) -> str:
    return "\n".join(data.decode() for data in files.values())


@pytest.mark.parametrize("form", ["json5", "yaml", "including"])
async def test_no_writer_writes_a_placeholder_or_loses_a_comment_and_each_change_is_taken_back(
    form: str, house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)  # a thousand times; the order of writes stays as it is
    path = tmp_path / ("c.yaml" if form == "yaml" else "c.json5")
    house.home.variables["OPENCLAW_CONFIG_PATH"] = str(path)
    texts = {path.name: {"json5": JSON5, "yaml": YAML, "including": INCLUDING}[form]}
    for name, text in {**texts, **(INCLUDED if form == "including" else {})}.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o600)
    house.loaded = house.home.load()
    house.use(house.home.paths())
    pick, refused = random.Random(form), 0
    for _ in range(TRIPS):
        house.clock.advance(1)
        how = pick.choice(("text", "config.set", "config.apply", "config.patch", "cli: config set"))
        at, value = pick.choice(EDITS)
        before = read_files(path)
        try:
            if how.startswith("cli"):
                await asyncio.to_thread(_by_command, house, how, at, value)
            else:
                await _send(house, how, at, value)
        except OpenClawError:  # what an included file sets, or what is not there to be removed
            refused += 1
            assert read_files(path) == before
        said = _whole(read_files(path))
        assert PLACEHOLDER not in said
        assert [each for each in (*NOTES, *SECRETS) if said.count(each) != 1] == []
    assert refused < TRIPS / 2
    records = house.records()
    assert len(records) > 40
    assert {each.outcome for each in records} <= {"applied", "restart-required", "written"}
    for record in pick.sample(records, 9):
        wish = Wish(method="back")
        roll_back(house.home.paths(), house.home.env(), house.clock, wish, record.id, as_it_is, remarks)
        assert read_files(path) == house.ledger.files(record.before)
