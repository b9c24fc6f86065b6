"""What clients send becomes the file's next text."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from openclaw.base.errors import InvalidRequest, TooLarge
from openclaw.config.load import Loaded
from openclaw.config.reading.parse import parse
from openclaw.config.reading.values import same
from openclaw.config.redaction.redact import PLACEHOLDER, comments, redacted, redacted_text
from openclaw.config.writing.difference import merged
from openclaw.config.writing.rewrite import MAX_CHARS, invalid, patch_paths, patched, whole, worse
from tests.config.make import Home

TEXT = """// a gateway
{
  gateway: { port: 19000, auth: { token: 'tok-1' /* the door */ } }, // where
  models: { providers: { // vendors
    mine: { baseUrl: 'http://h/v1', apiKey: 'sk-1', models: [{ id: 'm', name: 'M' }] },
    other: { apiKey: "${OTHER}", baseUrl: 'http://o/v1' },
  } },
  agents: {
    // people
    list: [
      { id: 'main', default: true }, // first
      { id: 'bob', name: 'Bob' },
    ],
  },
  mcp: { servers: { s: { url: 'https://s', headers: { Authorization: 'sk-2' } } } },
  env: { vars: { OTHER: 'sk-3' } }, // last
}
"""
SECRETS = ("tok-1", "sk-1", "sk-2", "sk-3", "${OTHER}")
PATCHES: tuple[Any, ...] = (
    {"gateway": {"port": 19001}},
    {"gateway": {"port": None}},
    {"gateway": {"reload": {"debounceMs": 400}}},
    {"gateway": {"auth": {"token": PLACEHOLDER, "rateLimit": {"maxAttempts": 3}}}},
    {"models": {"providers": {"mine": {"apiKey": PLACEHOLDER, "timeouts": {"idleMs": 5}}}}},
    {"models": {"providers": {"other": {"apiKey": PLACEHOLDER}}}},
    {"models": {"providers": {"third": {"baseUrl": "http://t/v1"}}}},
    {"models": {"providers": {"third": None}}},
    {"agents": {"defaults": {"model": "a/b", "limits": {"steps": 7}}}},
    {"agents": {"defaults": None}},
    {"mcp": {"servers": {"s": {"headers": {"Authorization": PLACEHOLDER}, "enabled": False}}}},
    {"env": {"vars": {"OTHER": PLACEHOLDER, "MORE": "x"}}},
    {"env": {"vars": {"MORE": None}}},
    {"identity": {"name": "it's \"me\""}},
    {"identity": None},
    {"ui": {"assistant": {"name": "Zed"}}},
    {"logging": {"level": "debug"}},
    {"tools": {"deny": ["exec", "web"]}},
    {"tools": {"deny": []}},
)  # fmt: skip


def _notes(text: str) -> list[str]:
    return sorted(comment for _, comment in comments(text))


def _holds_secrets(text: str) -> None:
    assert PLACEHOLDER not in text
    for secret in SECRETS:
        assert secret in text


def test_a_thousand_changes_keep_every_secret_and_comment_and_do_what_they_say(tmp_path: Path) -> None:
    """Each is made as a patch, as an edited text, or as a form that was saved."""
    home, pick = Home(tmp_path), random.Random(4)
    before = home.load(TEXT)
    for _ in range(1000):
        text = before.raw
        sent = pick.choice(PATCHES)
        wanted = merged(redacted(parse(text)), sent)
        how = pick.choice(("patch", "text", "form"))
        if how == "patch":
            text = patched(json.dumps(sent), before)
        elif how == "form":
            text = whole(json.dumps(wanted), before)
        else:
            number = pick.randrange(100)
            raw = redacted_text(text).replace("// where", f"// where {number}")
            text = whole(raw, before)
            assert text == before.raw.replace("// where", f"// where {number}")
            wanted = redacted(before.parsed)
        _holds_secrets(text)
        wanted["models"]["providers"]["other"]["apiKey"] = "${OTHER}"  # a reference is shown as it is
        assert same(redacted(parse(text)), redacted(wanted))
        assert len(_notes(text)) == len(_notes(TEXT))
        before = home.load(text)
        assert not [issue for issue in before.issues if issue.severity == "error"]
        if how == "text":
            before = home.load(text.replace(f"// where {number}", "// where"))


def _loaded(tmp_path: Path, text: str = TEXT) -> Loaded:
    return Home(tmp_path).load(text)


def test_a_text_with_comments_of_its_own_is_written_as_it_came(tmp_path: Path) -> None:
    sent = "{ gateway: { port: 1 } } // mine"
    assert whole(sent, _loaded(tmp_path)) == sent


def test_a_file_without_comments_takes_a_form_as_it_came(tmp_path: Path) -> None:
    assert (
        whole('{"gateway": {"port": 5}}', _loaded(tmp_path, "{ gateway: { port: 1 } }")) == '{"gateway": {"port": 5}}'
    )


def test_a_broken_file_is_replaced_whole_and_never_patched(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.paths().last_good.parent.mkdir()
    home.paths().last_good.write_text("{ gateway: { auth: { token: 'kept' } } }")
    before = home.load("{ gateway: ")
    assert "kept" in whole(f'{{ gateway: {{ auth: {{ token: "{PLACEHOLDER}" }} }} }}', before)
    with pytest.raises(InvalidRequest, match="nothing to patch"):
        patched("{}", before)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ("{not json", "SyntaxError: JSON5: invalid character 'j' at 1:6"),
        ("{\n  a: 1,,\n}", "SyntaxError: JSON5: invalid character ',' at 2:8"),
        ("[1]", "raw must be a JSON5 object"),
    ],
)
def test_what_does_not_parse_is_refused_in_words_that_clients_know(raw: str, message: str, tmp_path: Path) -> None:
    before = _loaded(tmp_path)
    for make in (patched, whole):
        with pytest.raises(InvalidRequest) as caught:
            make(raw, before)
        assert caught.value.message == message


def test_only_what_gets_worse_is_told(tmp_path: Path) -> None:
    home = Home(tmp_path)
    before = home.load("{ agents: { list: [{ id: 'a', bad: 1 }, { id: 'b', bad: 2 }] }, gateway: { port: 'x' } }")
    after = home.load(
        "{ agents: { list: [{ id: 'b', bad: 2 }] }, gateway: { port: 'x', mode: 3 }, bogusKey: 1, ui: 1 }"
    )
    found = worse(after, before)
    assert found[-1] == {"path": "", "message": 'Unrecognized key: "bogusKey"'}
    assert [each["path"] for each in found] == ["gateway.mode", ""]
    refusal = invalid(found[1:])
    assert refusal.message == 'invalid config: <root>: Unrecognized key: "bogusKey"'
    assert refusal.details == {"issues": [{"path": "", "message": 'Unrecognized key: "bogusKey"'}]}


def test_the_leaves_of_a_patch_are_named() -> None:
    assert patch_paths({"ui": {"assistant": {"name": "Zed"}}, "a": {}}) == "ui.assistant.name, a"
    assert patch_paths({str(number): 1 for number in range(9)}).endswith(", …")


def test_what_would_take_seconds_is_refused_with_another_way(tmp_path: Path) -> None:
    small, large = _loaded(tmp_path), "{} //" + "x" * MAX_CHARS
    (tmp_path / "more").mkdir()
    for raw, before in ((large, small), ("{}", _loaded(tmp_path / "more", large))):
        for make in (patched, whole):
            with pytest.raises(TooLarge, match=f"{MAX_CHARS} at most") as caught:
                make(raw, before)
            assert "$include" in caught.value.hint
