"""Agents come and go, transcripts leave as files, and what hands remember leads somewhere: against a gateway."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.cli.gateway_process import Place

pytestmark = pytest.mark.slow

CONFIG = """{
  // whose gateway this is
  models: { providers: { fake: { api: "fake", models: [{ id: "echo" }] } } },
}
"""


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    place = Place(tmp_path_factory.mktemp("agents"))
    place.state.mkdir(mode=0o700)
    (place.state / "openclaw.json").write_text(CONFIG)
    with place.serving("gateway"):
        yield place


def test_an_agent_is_added_answers_and_goes_with_its_folder_and_comments_stay(live: Place) -> None:
    added = live.run("agents", "add", "Code Review", "--json")
    assert (json.loads(added.stdout)["agentId"], added.returncode) == ("code-review", 0)
    assert live.run("agent", "--agent", "code-review", "-m", "hello").stdout == "fake: hello\n"
    rows = json.loads(live.run("agents", "list", "--json").stdout)
    assert [(row["id"], row["isDefault"]) for row in rows] == [("main", True), ("code-review", False)]
    assert "// whose gateway this is" in (live.state / "openclaw.json").read_text()
    assert "agents.create" in live.run("config", "history").stdout

    assert live.run("agents", "add", "code review").returncode == 1
    assert "Give --yes." in live.run("agents", "remove", "code-review").stderr
    gone = live.run("agents", "remove", "code-review", "--yes")
    assert "to the trash" in gone.stdout, gone
    assert "code-review" not in live.run("agents").stdout
    for name in ("code-review", "main"):
        refused = live.run("agents", "remove", name, "--yes")
        assert (refused.returncode, "What to do:" in refused.stderr) == (1, True), refused


def test_a_transcript_leaves_as_a_file_that_only_its_owner_reads(live: Place) -> None:
    for words in ("one", "two"):
        assert live.run("agent", "-m", words, "--session-id", "talk").returncode == 0
    for suffix, begins in (("md", "# agent:main:talk"), ("json", '{"key"'), ("jsonl", '{"role":"user"')):
        target = live.root / f"talk.{suffix}"
        done = live.run("sessions", "export", "talk", "--output", str(target))
        assert done.stdout == f"4 messages of talk are in {target}.\n", done
        assert target.read_text().startswith(begins)
        assert target.stat().st_mode & 0o777 == 0o600
    again = live.run("sessions", "export", "talk", "-o", str(live.root / "talk.md"))
    assert (again.returncode, "exists already" in again.stderr) == (1, True)
    said = json.loads(live.run("sessions", "export", "talk", "--json").stdout)["messages"]
    assert [each["content"][0]["text"] for each in said] == ["one", "fake: one", "two", "fake: two"]
    missing = live.root / "none.md"
    assert live.run("sessions", "export", "no-such", "-o", str(missing)).returncode == 1
    assert not missing.exists()


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        ("daemon status", 0, "connectivity"),
        ("exec-approvals list", 0, "Nothing waits"),
        ("config:validate", 0, "valid"),
        ("help sessions export", 0, "openclaw sessions export main > main.md"),
        ("help", 0, "openclaw doctor"),
        ("models usage --days 1", 0, "CALLS"),
        ("pairing list", 0, "Nobody asks"),
        ("statsu", 2, "Did you mean status?"),
        ("update", 1, "upgrade --check"),
        ("message send --to x hello", 1, "no chat channels yet"),
        ("channels add telegram --token t", 1, "no chat channels yet"),
        ("pairing approve telegram CODE", 1, "openclaw pairing list"),
    ],
)
def test_what_hands_remember_works_or_says_what_to_do_instead(live: Place, line: str, code: int, said: str) -> None:
    done = live.run(*line.split())
    assert done.returncode == code, done
    assert said in done.stdout + done.stderr


def test_what_is_not_here_is_json_where_that_was_asked_for(live: Place) -> None:
    told = json.loads(live.run("plugins", "list", "--json").stdout)
    assert told["error"]["code"] == "NOT_SUPPORTED"
    assert "MCP" in told["error"]["hint"]
