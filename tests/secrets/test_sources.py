"""Variables, files and programs: what gives a value, and why something does not."""

from __future__ import annotations

import json
import os

import pytest

from openclaw.config.load import Loaded
from tests.config.make import issue_at
from tests.secrets.conftest import House

pytestmark = pytest.mark.anyio


def token(loaded: Loaded) -> str | None:
    """Return what the hooks' token became."""
    found = loaded.config.hooks.token
    return found.reveal() if found else None


def naming(reference: object, **providers: object) -> str:
    """Return a configuration whose hooks' token is that reference."""
    return json.dumps({"hooks": {"token": reference}, "secrets": {"providers": providers}})


def why(loaded: Loaded) -> str:
    """Return why the hooks' token has no value."""
    issue = issue_at(loaded, "hooks.token")
    assert issue.kind == "unresolved-secret"
    return issue.message


async def test_a_variable_comes_from_the_first_source_that_has_it(house: House) -> None:
    house.private(".env", "HOOK=from-the-file\n")
    text = naming({"source": "env", "id": "HOOK"})
    assert token(await house.resolved(text)) == "from-the-file"
    house.variables["HOOK"] = "from-the-process"
    assert token(await house.resolved()) == "from-the-process"
    block = json.dumps({"env": {"OTHER": "from-the-block"}, "hooks": {"token": {"source": "env", "id": "OTHER"}}})
    assert token(await house.resolved(block)) == "from-the-block"


async def test_a_variable_that_is_not_set_is_named(house: House) -> None:
    assert "HOOK is not set" in why(await house.resolved(naming({"source": "env", "id": "HOOK"})))


@pytest.mark.parametrize(
    ("name", "provider", "expected"),
    [
        ("secrets.json#/a~1b/c", None, "deep"),
        ("secrets.json#plain", None, "value"),
        ("plain", {"path": "secrets.json"}, "value"),
        ("/list/1", {"path": "secrets.json"}, "two"),
        ("number", {"path": "secrets.json", "mode": "json"}, "42"),
        ("token", None, "one line"),
        ("value", {"path": "token"}, "one line"),
    ],
)
async def test_a_file_gives_its_one_value_or_a_member(
    house: House, name: str, provider: dict[str, str] | None, expected: str
) -> None:
    members = {"plain": "value", "a/b": {"c": "deep"}, "list": ["one", "two"], "number": 42}
    house.private("secrets.json", json.dumps(members))
    house.private("token", "one line\n")
    providers = {"default": {"source": "file", **provider}} if provider else {}
    assert token(await house.resolved(naming({"source": "file", "id": name}, **providers))) == expected


async def test_the_text_form_reads_the_state_directorys_own_file(house: House) -> None:
    house.private("secrets.json", '{"anthropic/api-key": "sk-1"}')
    assert token(await house.resolved(naming("{{ secrets['anthropic/api-key'] }}"))) == "sk-1"


async def test_the_text_form_goes_to_the_provider_that_the_configuration_names(house: House) -> None:
    house.private("own.json", '{"k": "from-own"}')
    own = {"default": "own", "providers": {"own": {"source": "file", "path": "own.json"}}}
    text = json.dumps({"hooks": {"token": "{{ secrets['k'] }}"}, "secrets": own})
    assert token(await house.resolved(text)) == "from-own"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666])
async def test_a_file_that_others_may_read_is_refused_unless_that_is_wanted(house: House, mode: int) -> None:
    path = house.private("weak", "value", mode)
    assert f"{mode:04o}" in why(await house.resolved(naming({"source": "file", "id": str(path)})))
    insecure = {"default": {"source": "file", "allowInsecure": True}}
    assert token(await house.resolved(naming({"source": "file", "id": str(path)}, **insecure))) == "value"


async def test_what_is_no_file_of_text_is_refused_without_waiting(house: House) -> None:
    os.mkfifo(house.state / "pipe", 0o600)
    (house.state / "folder").mkdir()
    (house.state / "binary").write_bytes(b"\xff\xfe")
    (house.state / "binary").chmod(0o600)
    house.private("empty", "\n")
    house.private("large", "x" * 70_000)
    for name, said in {
        "pipe": "not a file",
        "folder": "directory",
        "binary": "UTF-8",
        "empty": "empty",
        "large": "longer than",
        "absent": "cannot be read",
        "large#/x": "not JSON",
    }.items():
        assert said in why(await house.resolved(naming({"source": "file", "id": name}))), name


async def test_a_file_is_read_up_to_its_cap(house: House) -> None:
    house.private("file", "0123456789")
    capped = {"default": {"source": "file", "path": "file", "maxBytes": 5}}
    assert "larger than 5 bytes" in why(await house.resolved(naming({"source": "file", "id": "x"}, **capped)))


ANSWER = """
asked = json.load(sys.stdin)
with open(os.path.join(os.environ["HOME"], "asked"), "a") as log:
    log.write(json.dumps([asked, sorted(os.environ)]) + "\\n")
print(json.dumps({"protocolVersion": 1, "values": {name: "value of " + name for name in asked["ids"] if name != "no"},
                  "errors": {"no": {"message": "the answer is hunter2"}}}))
"""


async def test_a_program_is_asked_once_for_all_its_ids_with_a_clean_environment(house: House) -> None:
    provider = {"source": "exec", "command": house.program(ANSWER), "passEnv": ["WANTED"], "env": {"GIVEN": "1"}}
    house.variables |= {"WANTED": "1", "UNWANTED_KEY": "secret"}
    ref = {"source": "exec", "provider": "own"}
    values = {
        "hooks": {"token": {**ref, "id": "a"}},
        "gateway": {"auth": {"password": {**ref, "id": "b"}}, "remote": {"token": {**ref, "id": "a"}}},
        "models": {"providers": {"x": {"apiKey": {**ref, "id": "no"}}}},
        "secrets": {"providers": {"own": provider}},
    }
    loaded = await house.resolved(json.dumps(values))
    assert token(loaded) == "value of a"
    assert loaded.config.gateway.auth.password is not None
    assert loaded.config.gateway.auth.password.reveal() == "value of b"
    assert "hunter2" not in issue_at(loaded, "models.providers.x.apiKey").message
    (line,) = (house.folder / "asked").read_text().splitlines()
    asked, names = json.loads(line)
    assert asked == {"protocolVersion": 1, "provider": "own", "ids": ["b", "a", "no"]}
    assert set(names) - {"LC_CTYPE"} <= {"GIVEN", "HOME", "LANG", "PATH", "WANTED"}


async def test_a_programs_plain_output_is_the_value_where_that_is_said(house: House) -> None:
    command = house.program("print('plain ' + sys.argv[1])")
    provider = {"source": "exec", "command": command, "jsonOnly": False, "args": ["{id}; rm -rf $HOME"]}
    text = naming({"source": "exec", "provider": "own", "id": "x"}, own=provider)
    assert token(await house.resolved(text)) == "plain x; rm -rf $HOME"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("sys.exit('hunter2')", "status 1"),
        ("print('hunter2')", "not JSON"),
        ("print(json.dumps({'values': {'x': 'hunter2'}}))", "protocolVersion"),
        ("print(json.dumps({'protocolVersion': 1, 'values': {'x': ['hunter2']}}))", "not a text"),
        ("print('hunter2' * 100000)", "more than"),
        ("print('hunter2', flush=True); time.sleep(60)", "longer than 500 ms"),
    ],
)
async def test_a_program_that_misbehaves_gives_nothing_and_is_not_quoted(
    house: House, body: str, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    command = house.program(f"print('hunter2', file=sys.stderr)\n{body}")
    limits = {"timeoutMs": 500 if "sleep" in body else 20_000, "maxBytes": 10_000}
    provider = {"source": "exec", "command": command, **limits}
    with caplog.at_level("DEBUG"):
        found = why(await house.resolved(naming({"source": "exec", "provider": "own", "id": "x"}, own=provider)))
    assert said in found
    assert "hunter2" not in found + caplog.text


async def test_only_a_program_by_its_whole_path_that_nobody_else_may_change_is_run(house: House) -> None:
    weak = house.program("")
    os.chmod(weak, 0o722)  # noqa: PTH101  # a path would be a blocking one here
    data = house.private("data", "")
    for command, said in {
        "cat": "absolute",
        "": "absolute",
        "/nonexistent/x": "cannot be run",
        weak: "changed by other users",
        str(data): "not a program",
    }.items():
        provider = {"source": "exec", "command": command}
        text = naming({"source": "exec", "provider": "own", "id": "x"}, own=provider)
        assert said in why(await house.resolved(text)), command


async def test_a_provider_that_is_not_there_or_is_another_kind_is_named(house: House) -> None:
    other = {"source": "file", "path": "x"}
    assert "secrets.providers.gone" in why(
        await house.resolved(naming({"source": "aws", "provider": "gone", "id": "x"}))
    )
    text = naming({"source": "aws", "provider": "other", "id": "x"}, other=other)
    assert "source file, not aws" in why(await house.resolved(text))
    assert "command" in why(await house.resolved(naming({"source": "exec", "id": "x"})))
