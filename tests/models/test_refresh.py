"""A newer catalog: taken only whole, newer and sane."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw.base.clock import SYSTEM_CLOCK, ManualClock
from openclaw.base.errors import InvalidRequest, NotFound, OpenClawError, TooLarge, Unavailable
from openclaw.config.schema import ModelEntry, ModelsConfig, ProviderConfig
from openclaw.models.catalog import Catalog, builtin
from openclaw.models.refresh import LIMIT_BYTES, read_catalog, refresh, stored
from openclaw.net.http import HttpClient
from tests.models.test_registry import registry
from tests.stand_ins.openai import OpenAIStandIn
from tests.stand_ins.server import Raw

pytestmark = pytest.mark.anyio
NEWER = "2026-12-24"
CHRISTMAS = ManualClock(now_ms=1_798_200_000_000)


def catalog(date: str = NEWER, **row: Any) -> bytes:
    """Return a catalog of one new model and a dearer old one."""
    models = [
        {"provider": "openai", "id": "gpt-7", "input_usd_micros": 7, "output_usd_micros": 8, **row},
        {"provider": "anthropic", "id": "claude-opus-5", "input_usd_micros": 9, "output_usd_micros": 9},
        {"provider": "embedded", "id": "smollm2", "tools": True},
    ]
    return msgspec.json.encode({"date": date, "sources": [], "defaults": {"openai": "gpt-7"}, "models": models})


async def test_a_newer_catalog_lies_over_the_programs_own(tmp_path: Path, http: HttpClient) -> None:
    source, path = tmp_path / "new.json", tmp_path / "state" / "model-catalog.json"
    source.write_bytes(catalog())
    found = await refresh(str(source), path, http=http, clock=CHRISTMAS)
    assert (found.kept, found.date, found.previous) == (True, NEWER, builtin().date)
    over = Catalog(newer=stored(path))
    assert over.default_model("openai") == "gpt-7"
    assert over.info("openai", "gpt-7").input_usd_micros == 7
    assert over.info("anthropic", "claude-opus-5").input_usd_micros == 9
    assert over.info("anthropic", "claude-sonnet-5-5") == Catalog().info("anthropic", "claude-sonnet-5-5")
    assert over.info("embedded", "smollm2").tools is False
    assert [file.name for file in path.parent.iterdir()] == [path.name]


async def test_the_registry_reads_the_kept_catalog_at_start_and_at_every_reload(
    tmp_path: Path, http: HttpClient
) -> None:
    path = tmp_path / "model-catalog.json"
    found = registry({"OPENAI_API_KEY": "k"}, http, catalog_path=path)
    assert found.default_ref() == "openai/gpt-6-sol"
    path.write_bytes(catalog())
    await found.reload(ModelsConfig())
    assert found.default_ref() == "openai/gpt-7"
    configured = ProviderConfig(models=(ModelEntry(id="mine"),))
    await found.reload(ModelsConfig(providers={"openai": configured}))
    assert found.default_ref() == "openai/mine"


@pytest.mark.parametrize("date", [builtin().date, "2020-01-01"])
async def test_a_catalog_that_is_not_newer_is_not_kept(date: str, tmp_path: Path, http: HttpClient) -> None:
    source, path = tmp_path / "new.json", tmp_path / "kept.json"
    source.write_bytes(catalog(date))
    assert not (await refresh(str(source), path, http=http, clock=CHRISTMAS)).kept
    assert not path.exists()


async def test_an_older_one_never_replaces_a_kept_one(tmp_path: Path, http: HttpClient) -> None:
    source, path = tmp_path / "new.json", tmp_path / "kept.json"
    for date, kept in ((NEWER, True), ("2026-12-01", False), (NEWER, False)):
        source.write_bytes(catalog(date))
        assert (await refresh(str(source), path, http=http, clock=CHRISTMAS)).kept is kept
    assert msgspec.json.decode(path.read_bytes())["date"] == NEWER


@pytest.mark.parametrize(
    ("raw", "kind", "word"),
    [
        (b"{}", InvalidRequest, "date"),
        (b"not json", InvalidRequest, "no model catalog"),
        (b"[" * 100_000, InvalidRequest, "no model catalog"),
        (catalog("20261224"), InvalidRequest, "YYYY-MM-DD"),
        (catalog("soon"), InvalidRequest, "no model catalog"),
        (catalog("2999-01-01"), InvalidRequest, "future"),
        (catalog(input_usd_micros=-1), InvalidRequest, "input_usd_micros"),
        (catalog(context_tokens=0), InvalidRequest, "context_tokens"),
        (catalog(id=""), InvalidRequest, "no id"),
        (catalog(colour="red"), InvalidRequest, "colour"),
        (catalog(input_usd_micros=1.5), InvalidRequest, "int"),
        (b" " * (LIMIT_BYTES + 1), TooLarge, "bytes"),
    ],
)
async def test_a_catalog_that_is_not_sane_is_refused(
    raw: bytes, kind: type[OpenClawError], word: str, tmp_path: Path, http: HttpClient
) -> None:
    source, path = tmp_path / "new.json", tmp_path / "kept.json"
    source.write_bytes(raw)
    with pytest.raises(kind, match=word):
        await refresh(str(source), path, http=http, clock=CHRISTMAS)
    assert not path.exists()


async def test_a_file_that_is_not_there_is_named(tmp_path: Path, http: HttpClient) -> None:
    with pytest.raises(NotFound, match=r"none\.json"):
        await refresh(str(tmp_path / "none.json"), tmp_path / "kept.json", http=http, clock=SYSTEM_CLOCK)


async def test_an_address_is_fetched(tmp_path: Path, http: HttpClient) -> None:
    path = tmp_path / "kept.json"
    replies = [Raw((catalog(),)), Raw((b"no",), 404), Raw((b" " * (LIMIT_BYTES + 1),))]
    async with OpenAIStandIn(replies) as server:
        assert (await refresh(f"{server.base_url}/c.json", path, http=http, clock=CHRISTMAS)).kept
        with pytest.raises(Unavailable, match="404"):
            await refresh(f"{server.base_url}/c.json", path, http=http, clock=CHRISTMAS)
        with pytest.raises(TooLarge):
            await refresh(f"{server.base_url}/c.json", path, http=http, clock=CHRISTMAS)


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("http://example.test/c.json", InvalidRequest),
        ("ftp://example.test/c.json", InvalidRequest),
        ("https://me:pw@example.test/c.json", InvalidRequest),
        ("http://127.0.0.1:9/c.json", Unavailable),
    ],
)
async def test_addresses_that_cannot_be_used_are_refused(
    source: str, kind: type[OpenClawError], tmp_path: Path, http: HttpClient
) -> None:
    with pytest.raises(kind) as caught:
        await refresh(source, tmp_path / "kept.json", http=http, clock=SYSTEM_CLOCK)
    assert "pw" not in str(caught.value.as_dict())


def test_a_damaged_kept_catalog_is_passed_over_and_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "kept.json"
    path.write_bytes(catalog()[:-20])
    with caplog.at_level(logging.WARNING, logger="openclaw.models"):
        assert stored(path) is None
    assert "catalog_ignored" in caplog.text
    assert stored(tmp_path / "none.json") is None


@given(st.binary(max_size=60) | st.recursive(st.none() | st.text(max_size=5), st.lists).map(msgspec.json.encode))
def test_garbage_is_no_catalog(raw: bytes) -> None:
    with pytest.raises(InvalidRequest):
        read_catalog(raw)
