"""Every command that talks to a gateway, as a process, against a gateway that is a process."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from openclaw.base.clock import SYSTEM_CLOCK
from tests.cli.gateway_process import Place

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    place = Place(tmp_path_factory.mktemp("live"))
    with place.serving("gateway"):
        yield place


@pytest.mark.parametrize(
    "arguments",
    [
        ["status"],
        ["health"],
        ["gateway", "status"],
        ["gateway", "health"],
        ["gateway", "usage-cost"],
        ["gateway", "token", "check"],
        ["gateway", "call", "agents.list"],
        ["agent", "--message", "hello"],
        ["sessions", "list"],
        ["sessions", "show", "main"],
        ["usage"],
        ["usage", "--by", "model", "--days", "1"],
        ["cron", "list", "--all"],
        ["cron", "status"],
        ["cron", "runs"],
        ["system", "heartbeat", "last"],
        ["system", "presence"],
        ["logs"],
        ["models", "list"],
        ["models", "status"],
        ["models", "test"],
        ["config", "show"],
        ["config", "validate"],
        ["config", "env"],
        ["actions", "list"],
        ["doctor"],
        ["version"],
    ],
    ids=" ".join,
)
def test_a_read_command_prints_text_and_json(live: Place, arguments: list[str]) -> None:
    if arguments[:2] == ["sessions", "show"]:
        live.run("agent", "-m", "so that there is one")
    text = live.run(*arguments)
    assert (text.returncode, text.stderr) == (0, "")
    assert text.stdout.strip()
    as_json = live.run(*arguments, "--json")
    assert (as_json.returncode, as_json.stderr) == (0, "")
    for document in as_json.stdout.splitlines() if arguments == ["logs"] else [as_json.stdout]:
        msgspec.json.decode(document)


def test_the_address_of_the_page_has_the_token_where_browsers_do_not_send_it(live: Place) -> None:
    token = live.run("gateway", "token", "show").stdout.strip()
    address = live.run("dashboard").stdout.strip()
    assert address.startswith("http://127.0.0.1:")
    assert address.endswith(f"/#token={token}")
    assert msgspec.json.decode(live.run("dashboard", "--json").stdout) == {"url": address, "opened": False}


def test_one_turn_answers_and_streams(live: Place) -> None:
    assert live.run("agent", "-m", "hello there", "--session", "one").stdout == "fake: hello there\n"
    assert live.run("agent", "-m", "hello there", "--stream").stdout == "fake: hello there\n"
    assert live.run("agent", "-m", "hard one", "--thinking", "high").stdout == "fake: hard one\n"
    assert live.run("agent", "-m", "-", stdin="from a pipe").stdout == "fake: from a pipe\n"
    assert "hello there" in live.run("sessions", "show", "one").stdout


def test_a_streamed_turn_shows_its_tools_on_lines_of_their_own(live: Place) -> None:
    message = 'do it\n/tool write_file {"path": "notes.txt", "content": "hi"}\n/then\n/tool read_file {"path": "no"}'
    lines = live.run("agent", "-m", message, "--stream", "--session", "tools").stdout.splitlines()
    assert lines[0] == '  → write_file {"path":"notes.txt","content":"hi"}'
    assert lines[1].startswith("  ← write_file done: ")
    assert lines[2] == '  → read_file {"path":"no"}'
    assert lines[3].startswith("  ← read_file failed: ")
    assert lines[4].startswith("fake: ")
    assert (live.state / "workspace" / "notes.txt").read_text() == "hi"


def test_a_question_whose_agent_needs_an_approval_is_told_at_once_that_nobody_can_give_it(live: Place) -> None:
    began = SYSTEM_CLOCK.monotonic_s()
    asked = live.run("agent", "-m", '/tool exec {"command": "touch made"}', "--session", "asking")
    assert "nobody who could give it is connected" in asked.stdout
    assert SYSTEM_CLOCK.monotonic_s() - began < 60, "an approval would be waited for much longer"
    live.run("agent", "-m", "so that there is something", "--session", "afresh")
    assert live.run("agent", "-m", "/reset", "--session", "afresh").returncode == 0


def test_a_session_is_reset_and_deleted(live: Place) -> None:
    live.run("agent", "-m", "remember me", "--session", "gone")
    assert live.run("sessions", "reset", "gone").returncode == 0
    assert live.run("sessions", "show", "gone").returncode == 1
    assert live.run("sessions", "delete", "gone", "--yes").returncode == 0
    again = live.run("sessions", "delete", "gone", "--yes")
    assert again.returncode == 1
    assert "NOT_FOUND" in again.stderr


def test_a_wrong_token_is_named_with_its_source_and_the_fix(live: Place) -> None:
    refused = live.run("health", "--token", "wrong")
    assert refused.returncode == 1
    assert "--token" in refused.stderr
    assert "openclaw gateway token show" in refused.stderr
    as_json = live.run("health", "--token", "wrong", "--json")
    assert msgspec.json.decode(as_json.stdout)["error"]["code"] == "UNAUTHORIZED"


def test_the_shown_token_opens_the_gateway_and_a_bad_method_is_an_error(live: Place) -> None:
    token = live.run("gateway", "token", "show").stdout.strip()
    assert len(token) >= 32
    called = live.run("gateway", "call", "health", "--token", token)
    assert msgspec.json.decode(called.stdout)["ok"] is True
    assert "unknown method" in live.run("gateway", "call", "no.such.method").stderr
    assert live.run("gateway", "call", "health", "--params", "[1]").returncode == 1


def test_a_chat_on_a_pipe_answers_each_line(live: Place) -> None:
    chat = live.run("chat", "--session", "piped", stdin="hello\n/model\n/reset\nagain\n/quit\nnever sent\n")
    assert chat.returncode == 0
    assert "fake: hello\n" in chat.stdout
    assert "  fake/echo\n" in chat.stdout
    assert "fake: again\n" in chat.stdout
    assert "never sent" not in chat.stdout


def test_up_joins_a_gateway_that_runs_and_a_second_gateway_is_refused(live: Place) -> None:
    joined = live.run("up", "--demo")
    assert joined.returncode == 0
    assert "joining it" in joined.stdout
    assert "capital of Japan" in joined.stdout
    second = live.run("gateway")
    assert second.returncode == 78
    assert "in use by process" in second.stderr


def test_commands_without_a_gateway_say_how_to_start_it(tmp_path: Path) -> None:
    alone = Place(tmp_path).run("health")
    assert alone.returncode == 1
    assert "openclaw gateway" in alone.stderr


def test_the_demo_sets_up_a_private_state_answers_and_leaves(tmp_path: Path) -> None:
    place = Place(tmp_path)
    demo = place.run("up", "--demo")
    assert (demo.returncode, demo.stderr) == (0, "")
    assert "fake: What is the capital of Japan?" in demo.stdout
    assert stat.S_IMODE(place.state.stat().st_mode) == 0o700
    config = place.state / "openclaw.json"
    assert stat.S_IMODE(config.stat().st_mode) == 0o600
    before = config.read_bytes()
    assert len(place.run("gateway", "token", "show").stdout.strip()) >= 32
    assert place.run("up", "--demo").returncode == 0
    assert config.read_bytes() == before
    assert "gateway_stopped" in place.run("logs").stdout


def test_a_demo_without_an_answer_fails(tmp_path: Path) -> None:
    demo = Place(tmp_path, model="fake-err401").run("up", "--demo")
    assert demo.returncode == 1
    assert "What to do" in demo.stderr


def test_up_without_a_terminal_serves_until_a_signal(tmp_path: Path) -> None:
    place = Place(tmp_path)
    with place.serving("up") as process:
        assert place.run("health").returncode == 0
    assert process.returncode == 0


def test_force_takes_the_state_over_from_a_running_gateway(tmp_path: Path) -> None:
    place = Place(tmp_path)
    with place.serving("gateway") as first, place.serving("gateway", "--force") as second:
        assert first.wait(10) == 0
        assert second.poll() is None


def test_a_configuration_that_must_not_start_ends_with_78(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.state.mkdir()
    (place.state / "openclaw.json").write_text('{gateway: {bind: "lan", auth: {token: "short"}}}')
    assert place.run("gateway").returncode == 78
    assert place.run("config", "validate").returncode == 78
    (place.state / "openclaw.json").write_text("{gateway: ")
    broken = place.run("config", "show")
    assert broken.returncode == 78
    assert "line" in broken.stderr


def test_a_job_is_made_run_changed_and_removed(live: Place) -> None:
    made = live.run("cron", "add", "tea", "--every", "1h", "-m", "make tea", "--missed", "skip", "--json")
    assert made.returncode == 0, made.stderr
    job = msgspec.json.decode(made.stdout)
    assert (job["schedule"]["everyMs"], job["missed"]) == (3_600_000, "skip")
    assert "every 1h" in live.run("cron", "list").stdout
    assert live.run("cron", "run", job["id"]).returncode == 0
    assert live.run("cron", "run", job["id"], "--due").returncode == 1
    edited = live.run("cron", "edit", job["id"], "--cron", "0 7 * * *", "--tz", "UTC", "--name", "coffee")
    assert "coffee" in edited.stdout
    assert "0 7 * * * UTC" in edited.stdout
    assert live.run("cron", "disable", job["id"]).returncode == 0
    assert "coffee" not in live.run("cron", "list").stdout
    assert live.run("cron", "enable", job["id"]).returncode == 0
    assert live.run("cron", "get", job["id"]).returncode == 0
    assert live.run("cron", "rm", job["id"]).returncode == 0
    assert live.run("cron", "rm", job["id"]).returncode == 1
    assert live.run("cron", "add", "nothing").returncode == 2


def test_a_note_waits_for_the_next_message(live: Place) -> None:
    assert live.run("system", "event", "the kettle is on").returncode == 0
    live.run("agent", "-m", "hello")
    shown = live.run("sessions", "show", "main").stdout
    assert "the kettle is on" in shown
