"""`openclaw onboard`: the first set-up by flags and on a terminal, against a provider that is a stand-in."""

from __future__ import annotations

import io
import json
import os
import pty
import select
import subprocess
from pathlib import Path

import pytest
from anyio import to_thread

from tests.cli.conftest import Ran, Run
from tests.cli.gateway_process import DEADLINE_S, SCRIPT, Place
from tests.stand_ins.openai import MODEL, OpenAIStandIn
from tests.stand_ins.server import Answer, Failure

pytestmark = pytest.mark.anyio
KEY = "hunter2-key"


@pytest.fixture
def say(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the key on stdin; each command may read it once."""
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{KEY}\n"))


def custom(url: str, *more: str) -> tuple[str, ...]:
    """Return a whole set-up by flags."""
    return ("onboard", "--provider", "custom", "--base-url", url, "--model", MODEL, *more)


def files(home: Path) -> dict[str, bytes]:
    """Return what the set-up may write, by name."""
    return {name: (home / name).read_bytes() for name in ("openclaw.json", "secrets.json") if (home / name).exists()}


async def test_flags_set_everything_up_and_the_model_answers(home: Path, command: Run, say: None) -> None:
    async with OpenAIStandIn([Answer(text="hello to you")]) as stand_in:
        ran: Ran = await to_thread.run_sync(lambda: command(*custom(stand_in.base_url, "--api-key-stdin", "--json")))
        assert [each.headers.get("authorization") for each in stand_in.requests] == [f"Bearer {KEY}"]
    assert ran.code == 0, ran
    report = ran.json
    assert (report["ok"], report["provider"], report["model"]) == (True, "custom", f"custom/{MODEL}")
    assert report["test"]["text"] == "hello to you"
    assert set(report["changed"]) == {
        "agents.defaults.model",
        "models.providers.custom.baseUrl",
        "models.providers.custom.apiKey",
    }
    written = files(home)
    assert KEY not in ran.out + ran.err + written["openclaw.json"].decode()
    assert json.loads(written["secrets.json"]) == {"models.providers.custom.apiKey": KEY}
    assert all((home / name).stat().st_mode & 0o777 == 0o600 for name in written)
    assert command("config", "validate", "--strict").code == 0
    assert [each["method"] for each in command("config", "history", "--json").json] == ["cli: onboard", "cli: up"]


def test_the_first_configuration_holds_no_secret_and_the_token_made_for_it_is_rotated_where_it_lies(
    home: Path, command: Run, say: None, quiet_port: None
) -> None:
    assert command(*custom("http://127.0.0.1:1/v1", "--skip-test", "--json", "--api-key-stdin")).code == 0
    first = command("gateway", "token", "show").out.strip()
    env, written = home / ".env", (home / "openclaw.json").read_text()
    assert len(first) >= 43
    assert first in env.read_text()
    assert env.stat().st_mode & 0o777 == 0o600
    assert first not in written
    assert command("secrets", "audit", "--json").json == {"ok": True, "findings": []}
    assert command("gateway", "token", "rotate").code == 0
    second = command("gateway", "token", "show").out.strip()
    assert first != second
    assert second in env.read_text()
    assert (home / "openclaw.json").read_text() == written


def test_a_second_time_changes_nothing(home: Path, command: Run, say: None, monkeypatch: pytest.MonkeyPatch) -> None:
    flags = custom("http://127.0.0.1:1/v1", "--skip-test", "--json")
    assert command(*flags, "--api-key-stdin").code == 0
    first = files(home)
    monkeypatch.setattr("sys.stdin", io.StringIO(KEY))
    short = ("onboard", "--provider", "custom", "--skip-test", "--json")
    for again in (command(*flags, "--api-key-stdin"), command(*flags), command(*short)):
        assert (again.code, again.json["changed"]) == (0, [])
        assert files(home) == first


def test_what_is_set_is_not_replaced_without_leave(home: Path, command: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    before = '{ // mine\n  agents: { defaults: { model: { primary: "fake/echo", fallbacks: ["fake/echo"] } } },\n}\n'
    (home / "openclaw.json").write_text(before)
    (home / "openclaw.json").chmod(0o600)
    flags = custom("http://127.0.0.1:1/v1", "--skip-test", "--non-interactive")
    ran = command(*flags)
    assert (ran.code, "--replace" in ran.err) == (1, True)
    assert files(home) == {"openclaw.json": before.encode()}
    assert command(*flags, "--replace").code == 0
    text = (home / "openclaw.json").read_text()
    assert "// mine" in text
    assert "fallbacks" in text
    assert command("config", "get", "agents.defaults.model.primary").out.strip() == f"custom/{MODEL}"
    assert command("config", "rollback", "last").code == 0
    assert (home / "openclaw.json").read_text() == before


async def test_a_model_that_does_not_answer_fails_and_keeps_what_was_written(
    home: Path, command: Run, say: None
) -> None:
    async with OpenAIStandIn([Failure(401, "invalid_api_key", "no such key")]) as stand_in:
        ran: Ran = await to_thread.run_sync(lambda: command(*custom(stand_in.base_url, "--api-key-stdin", "--json")))
    assert ran.code == 1
    assert (ran.json["ok"], ran.json["test"]) == (False, None)
    assert ran.json["error"]["code"]
    assert "models.providers.custom.apiKey" in files(home)["secrets.json"].decode()
    assert KEY not in ran.out + ran.err


@pytest.mark.parametrize(
    ("flags", "missing"),
    [
        ((), "--provider"),
        (("--provider", "anthropic"), "--api-key-stdin"),
        (("--provider", "ollama"), "--model"),
        (("--provider", "custom", "--model", "m"), "--base-url"),
        (("--provider", "embedded", "--api-key-stdin"), "neither"),
    ],
)
def test_what_is_missing_is_named_and_nothing_is_written(
    home: Path, command: Run, flags: tuple[str, ...], missing: str
) -> None:
    ran = command("onboard", *flags, "--non-interactive")
    assert (ran.code, missing in ran.err) == (2, True), ran
    assert files(home) == {}


def test_a_key_is_not_sent_to_an_address_that_it_was_not_given_for(home: Path, command: Run, say: None) -> None:
    assert command(*custom("http://127.0.0.1:1/v1", "--api-key-stdin", "--skip-test", "--json")).code == 0
    first = files(home)
    ran = command(*custom("http://127.0.0.1:2/v1", "--replace", "--skip-test", "--json"))
    assert (ran.code, "another address" in ran.out) == (2, True), ran
    assert files(home) == first


@pytest.mark.parametrize("provider", ["ollama", "openai"])
def test_nor_is_a_key_that_has_no_value_today(home: Path, command: Run, provider: str) -> None:
    text = f'{{ models: {{ providers: {{ {provider}: {{ apiKey: {{ source: "env", id: "NOT_TODAY" }} }} }} }} }}'
    (home / "openclaw.json").write_text(text)
    flags = ("--base-url", "http://127.0.0.1:2", "--model", "m", "--replace", "--skip-test", "--non-interactive")
    ran = command("onboard", "--provider", provider, *flags)
    assert (ran.code, "another address" in ran.err) == (2, True), ran
    assert (home / "openclaw.json").read_text() == text


def test_the_built_in_provider_gets_its_usual_model_and_no_key_in_the_file(home: Path, command: Run, say: None) -> None:
    ran = command("onboard", "--provider", "anthropic", "--api-key-stdin", "--skip-test", "--json")
    assert ran.code == 0, ran
    assert ran.json["model"].startswith("anthropic/claude-")
    (place,) = [each for each in command("secrets", "list", "--json").json if "anthropic" in each["path"]]
    assert (place["source"], place["resolved"]) == ("file", True)
    found = {each["id"]: each["severity"] for each in command("doctor", "--json").json["findings"]}
    assert found["model.default"] == "ok", "the doctor does not see the key"


def test_a_broken_file_is_not_written_over(home: Path, command: Run) -> None:
    (home / "openclaw.json").write_text("{ gateway: ")
    ran = command("onboard", "--provider", "embedded", "--skip-test", "--json")
    assert ran.code != 0
    assert files(home) == {"openclaw.json": b"{ gateway: "}


class Chosen(Place):
    """A place whose model is the one that was chosen there."""

    @property
    def env(self) -> dict[str, str]:
        return {name: value for name, value in super().env.items() if name != "OPENCLAW_LLM_PROVIDER"}


async def test_on_a_terminal_it_asks_shows_no_key_and_ends_with_a_gateway_that_answers(tmp_path: Path) -> None:
    place = Chosen(tmp_path)
    async with OpenAIStandIn([Answer(text="hello to you"), Answer(text="I am here")]) as stand_in:
        answers = [
            ("Who answers?", "custom"),
            ("Root of its API", stand_in.base_url),
            ("Name of its model", MODEL),
            ("take a key?", "y"),
            ("Secret for", KEY),
            ("Repeat for confirmation", KEY),
            ("one short call?", "y"),
            ("keep the gateway running?", "n"),
        ]
        code, seen = await to_thread.run_sync(_talk, place, answers)
        first = files(place.state)
        again = await to_thread.run_sync(
            _talk, place, [("Who answers?", "custom"), ("one short call?", "n"), ("keep the gateway running?", "n")]
        )
        assert (again[0], files(place.state)) == (0, first), "the second time changed something"
        assert await to_thread.run_sync(_asked, place) == "I am here\n"
    assert code == 0, seen
    assert "hello to you" in seen
    assert "Next:" in seen
    assert KEY not in seen
    assert KEY in (place.state / "secrets.json").read_text()


def _asked(place: Place) -> str:
    with place.serving("gateway"):
        return place.run("agent", "--message", "are you there?").stdout


def _talk(place: Place, answers: list[tuple[str, str]]) -> tuple[int, str]:
    """Run it on a pseudo-terminal with these answers; return the exit code and all that was shown."""
    mine, its = pty.openpty()
    process = subprocess.Popen(
        [SCRIPT, "onboard"], env=place.env | {"TERM": "xterm"}, cwd=place.root, stdin=its, stdout=its, stderr=its
    )
    os.close(its)
    whole = seen = ""
    try:
        for question, answer in (*answers, ("Next:", "")):
            while question not in seen:
                assert select.select([mine], [], [], DEADLINE_S)[0], f"{question!r} did not appear after {whole!r}"
                piece = os.read(mine, 65_536).decode("utf-8", "replace")
                whole, seen = whole + piece, seen + piece
            seen = seen.partition(question)[2]
            if answer:
                os.write(mine, f"{answer}\n".encode())
        while select.select([mine], [], [], DEADLINE_S)[0]:
            try:
                whole += os.read(mine, 65_536).decode("utf-8", "replace")
            except OSError:  # the other side has closed it
                break
        return process.wait(DEADLINE_S), whole
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        os.close(mine)
