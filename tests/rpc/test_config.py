"""The configuration over RPC, in the words of each protocol."""

from __future__ import annotations

import json
from typing import Any

import pytest

from openclaw.config.redaction.redact import PLACEHOLDER
from openclaw.rpc.methods.house.config import WRITES
from tests.rpc.support import RAW, Bench, FakePeer

pytestmark = pytest.mark.anyio

SECRET = "s3cret-token-value"


async def _ok(bench: Bench, method: str, params: dict[str, Any] | None = None, protocol: int = 4) -> Any:
    answer = await bench.ask(FakePeer(protocol), method, params)
    assert answer["ok"], answer
    return answer["payload"]


async def _error(bench: Bench, method: str, params: dict[str, Any], protocol: int) -> dict[str, Any]:
    answer = await bench.ask(FakePeer(protocol), method, params)
    error: dict[str, Any] = answer["error"]
    return error


async def _base(bench: Bench, protocol: int = 4) -> str:
    return str((await _ok(bench, "config.get", protocol=protocol))["hash"])


PATCH = '{"identity":{"name":"Zed"}}'


@pytest.mark.parametrize(
    ("protocol", "base", "raw", "error"),
    [
        (4, None, PATCH, {
            "message": "config base hash required for identity.name; re-run config.get and retry with baseHash",
        }),
        (3, None, PATCH, {"message": "config base hash required; re-run config.get and retry"}),
        (4, "bad", PATCH, {"message": "config changed since last load; re-run config.get and retry"}),
        (3, "bad", PATCH, {"message": "config changed since last load; re-run config.get and retry"}),
        (4, "", '{"bogusKey":1}', {
            "message": 'invalid config: <root>: Unrecognized key: "bogusKey"',
            "details": {"issues": [{"path": "", "message": 'Unrecognized key: "bogusKey"'}]},
        }),
        (3, "", '{"bogusKey":1}', {
            "message": "invalid config",
            "details": {"issues": [{"path": "", "message": 'Unrecognized key: "bogusKey"'}]},
        }),
        (4, "", "{not json", {"message": "SyntaxError: JSON5: invalid character 'j' at 1:6"}),
        (3, "", "{not json", {"message": "SyntaxError: JSON5: invalid character 'j' at 1:6"}),
    ],
)  # fmt: skip
async def test_refusals_are_those_that_clients_know(
    protocol: int, base: str | None, raw: str, error: dict[str, Any], bench: Bench
) -> None:
    bench.paths.config_path.write_text(RAW)
    params = {"raw": raw}
    if base is not None:
        params["baseHash"] = base or await _base(bench, protocol)
    assert await _error(bench, "config.patch", params, protocol) == {"code": "INVALID_REQUEST", **error}
    assert bench.paths.config_path.read_text() == RAW


@pytest.mark.parametrize("protocol", [3, 4])
async def test_what_was_shown_is_sent_back_changed_and_keeps_its_secret(protocol: int, bench: Bench) -> None:
    bench.paths.config_path.write_text(RAW)
    shown = await _ok(bench, "config.get", protocol=protocol)
    sent = shown["raw"].replace('{"auth"', '{"port": 1234, "auth"')
    done = await _ok(bench, "config.set", {"raw": sent, "baseHash": shown["hash"]}, protocol)
    assert bench.paths.config_path.read_text() == RAW.replace('{"auth"', '{"port": 1234, "auth"')
    assert done["config"] == {"gateway": {"port": 1234, "auth": {"token": PLACEHOLDER}}}
    assert SECRET not in json.dumps(done)
    form = {**done["config"], "identity": {"name": "Zed"}}
    base = await _base(bench, protocol)
    done = await _ok(bench, "config.apply", {"raw": json.dumps(form), "baseHash": base}, protocol)
    text = bench.paths.config_path.read_text()
    assert SECRET in text
    assert "// a comment" in text
    assert set(done) == (
        {"ok", "path", "config"}
        if protocol == 3
        else {"ok", "path", "hash", "config", "changedPaths", "reload", "warnings"}
    )


async def test_a_patch_that_changes_nothing_says_so(bench: Bench) -> None:
    bench.paths.config_path.write_text(RAW)
    done = await _ok(bench, "config.patch", {"raw": '{"ui":null}', "baseHash": await _base(bench)})
    assert (done["noop"], done["changedPaths"]) == (True, [])


async def test_a_file_that_broke_is_shown_as_broken(bench: Bench) -> None:
    bench.paths.config_path.write_text(RAW)
    bench.paths.last_good.parent.mkdir()
    bench.paths.last_good.write_text(RAW)
    bench.paths.config_path.write_text("{ broken")
    shown = await _ok(bench, "config.get")
    assert (shown["valid"], shown["raw"]) == (False, "")
    assert "cannot be parsed at line 1" in shown["issues"][0]["message"]
    mended = await _ok(
        bench, "config.set", {"raw": f'{{gateway: {{auth: {{token: "{PLACEHOLDER}"}}}}}}', "baseHash": shown["hash"]}
    )
    assert mended["ok"]
    assert SECRET in bench.paths.config_path.read_text()


async def test_a_key_that_other_gateways_know_is_kept_with_a_warning(bench: Bench) -> None:
    done = await _ok(bench, "config.patch", {"raw": '{"ui":{"assistant":{"name":"Zed"}}}'})
    assert done["warnings"][0]["path"] == "ui"


@pytest.mark.parametrize("protocol", [3, 4])
async def test_the_schema_is_made_once(protocol: int, bench: Bench) -> None:
    first = await _ok(bench, "config.schema", protocol=protocol)
    assert set(first) == {"schema", "uiHints", "version", "generatedAt"}
    bench.clock.advance(60)
    assert await _ok(bench, "config.schema", protocol=protocol) == first
    assert first["uiHints"]["gateway.auth.token"]["sensitive"] is True


async def test_a_place_of_the_schema_is_looked_up(bench: Bench) -> None:
    found = await _ok(bench, "config.schema.lookup", {"path": "gateway.auth"})
    assert (found["path"], found["reloadKind"]) == ("gateway.auth", "hot")
    assert [child["key"] for child in found["children"]][:2] == ["mode", "token"]
    error = await _error(bench, "config.schema.lookup", {"path": "a b"}, 4)
    assert "must match pattern" in error["message"]


async def test_a_client_that_writes_without_end_is_slowed_down(bench: Bench) -> None:
    peer = FakePeer()
    answers = [await bench.ask(peer, "config.patch", {"raw": "{ui: null}"}) for _ in range(WRITES.burst + 1)]
    assert [answer["ok"] for answer in answers] == [True] * WRITES.burst + [False]
    assert answers[-1]["error"]["details"]["code"] == "RATE_LIMITED"
