"""Agents added, changed and removed by clients, and the files that they work with."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from openclaw.agent.leaving import to_trash
from openclaw.agent.roster import checked_workspace, created, id_for
from openclaw.base.errors import InvalidRequest
from openclaw.config.reading.parse import parse
from tests.rpc.support import Bench, FakePeer

pytestmark = pytest.mark.anyio

TEXT = """{
  agents: { list: [
    { id: 'main', default: true }, // the first
    { id: 'bob', name: 'Bob', model: 'a/b' }, // the second
  ] },
  bindings: [{ agentId: 'bob', match: {} }, { agentId: 'main', match: {} }],
}
"""


async def _ask(bench: Bench, method: str, params: dict[str, Any], protocol: int = 4) -> dict[str, Any]:
    return await bench.ask(FakePeer(protocol), method, params)


def _agents(bench: Bench) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = parse(bench.paths.config_path.read_text())["agents"]["list"]
    return found


@pytest.mark.parametrize("protocol", [3, 4])
async def test_the_first_agent_that_is_added_stands_beside_main(protocol: int, bench: Bench, tmp_path: Path) -> None:
    workspace = str(tmp_path.parent / "bobs")
    answer = await _ask(bench, "agents.create", {"name": "Bob", "workspace": workspace}, protocol)
    assert answer["payload"] == {"ok": True, "agentId": "bob", "name": "Bob", "workspace": workspace}
    assert _agents(bench) == [
        {"id": "main", "default": True},
        {"id": "bob", "name": "Bob", "workspace": workspace},
    ]


async def test_an_agent_without_a_workspace_gets_one_of_its_own(bench: Bench, tmp_path: Path) -> None:
    answer = await _ask(bench, "agents.create", {"name": "Été 2!", "model": "fake/echo", "emoji": "x"})
    assert answer["payload"]["workspace"] == str(tmp_path / "workspace-t-2")
    assert answer["payload"]["model"] == "fake/echo"
    assert _agents(bench)[1] == {"id": "t-2", "name": "Été 2!", "model": "fake/echo", "identity": {"emoji": "x"}}


async def test_an_agent_is_changed_and_removed_in_the_files_own_text(bench: Bench) -> None:
    bench.paths.config_path.write_text(TEXT)
    done = await _ask(bench, "agents.update", {"agentId": "bob", "name": "Bobby", "model": None})
    assert done["payload"] == {"ok": True, "agentId": "bob"}
    text = TEXT.replace("name: 'Bob', model: 'a/b'", "name: 'Bobby'")
    assert bench.paths.config_path.read_text() == text
    done = await _ask(bench, "agents.delete", {"agentId": "bob", "deleteFiles": False}, 3)
    assert done["payload"] == {"ok": True, "agentId": "bob", "removedBindings": 1}
    text = text.replace("\n    { id: 'bob', name: 'Bobby' }, // the second", "")
    assert bench.paths.config_path.read_text() == text.replace("{ agentId: 'bob', match: {} }, ", "")


@pytest.mark.parametrize(
    ("method", "params", "message"),
    [
        ("agents.create", {"name": "Main"}, '"main" is reserved'),
        ("agents.create", {"name": "BOB"}, 'agent "bob" already exists'),
        ("agents.create", {"name": "!!"}, "the name '!!' has no letter or digit that an agent id can hold"),
        ("agents.update", {"agentId": "eve", "name": "E"}, 'agent "eve" not found'),
        ("agents.delete", {"agentId": "eve"}, 'agent "eve" not found'),
        ("agents.delete", {"agentId": "main"}, '"main" cannot be deleted'),
    ],
)
@pytest.mark.parametrize("protocol", [3, 4])
async def test_what_cannot_be_is_refused(
    method: str, params: dict[str, Any], message: str, protocol: int, bench: Bench
) -> None:
    bench.paths.config_path.write_text(TEXT)
    error = (await _ask(bench, method, params, protocol))["error"]
    assert (error["code"], error["message"]) == ("INVALID_REQUEST", message)
    assert bench.paths.config_path.read_text() == TEXT


async def test_the_agent_that_answers_by_default_stays(bench: Bench) -> None:
    bench.paths.config_path.write_text("{ agents: { list: [{ id: 'main' }, { id: 'bob', default: true }] } }")
    error = (await _ask(bench, "agents.delete", {"agentId": "bob"}))["error"]
    assert error["message"] == 'agent "bob" is the default agent and cannot be deleted'


@pytest.mark.parametrize(
    "text",
    ["/", "/etc/x", "/tmp", "/usr", "/proc/1", "{home}", "~/.ssh", "~/.aws/x", "{state}", "{state}/credentials",
     "{state}/agents/x", "{home}/..", "../x", "x", "~", "{link}", "/srv/a\nb", "/srv/" + "x" * 1100],
)  # fmt: skip
def test_a_dangerous_workspace_is_refused(text: str, tmp_path: Path) -> None:
    home, state = tmp_path / "home", tmp_path / "home" / ".openclaw"
    state.mkdir(parents=True)
    (link := tmp_path / "link").symlink_to("/etc")
    path = text.format(home=home, state=state, link=link)
    with pytest.raises(InvalidRequest):
        checked_workspace(path, home=home, state_dir=state)


@pytest.mark.parametrize("text", ["/srv/bob", "~/projects/bob", "{state}/workspace-bob", "{state}/workspace"])
def test_a_folder_of_its_own_is_taken(text: str, tmp_path: Path) -> None:
    home, state = tmp_path / "home", tmp_path / "home" / ".openclaw"
    found = checked_workspace(text.format(state=state), home=home, state_dir=state)
    assert Path(found).is_absolute()


def test_a_service_below_var_lib_may_keep_its_workspaces_there() -> None:
    state = Path("/var/lib/openclaw-test")
    found = checked_workspace(f"{state}/workspace-bob", home=Path("/nonexistent"), state_dir=state)
    assert found == "/var/lib/openclaw-test/workspace-bob"
    with pytest.raises(InvalidRequest, match="belongs to the system"):
        checked_workspace("/var/lib/other", home=Path("/nonexistent"), state_dir=state)


@pytest.mark.parametrize(("name", "agent_id"), [("Bob", "bob"), (" A b/C ", "a-b-c"), ("x" * 99, "x" * 64)])
def test_an_id_is_made_from_the_name(name: str, agent_id: str) -> None:
    assert id_for(name) == agent_id


async def test_folders_of_a_deleted_agent_go_to_the_trash(bench: Bench, tmp_path: Path) -> None:
    bench.paths.config_path.write_text(TEXT)
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "note.md").write_text("kept")
    done = (await _ask(bench, "agents.delete", {"agentId": "bob"}))["payload"]
    assert done["removed"] == [
        {"path": str(tmp_path / "agents" / "bob"), "method": "missing"},
        {"path": str(tmp_path / "b"), "method": "trash"},
    ]
    (kept,) = (tmp_path / "trash").glob("*-bob/workspace/note.md")
    assert kept.read_text() == "kept"


def test_a_folder_that_is_shared_or_a_persons_own_stays(tmp_path: Path) -> None:
    state, mine = tmp_path / "state", tmp_path / "mine"
    (state / "w" / "inner").mkdir(parents=True)
    mine.mkdir()
    for workspace, others in (
        (mine, []),
        (state / "w", [state / "w" / "inner"]),
        (state / "w" / "inner", [state / "w"]),
    ):
        left = to_trash("bob", workspace, others, state, "1")
        assert left[1].reason
        assert workspace.is_dir()


async def test_known_files_are_listed_written_and_read(bench: Bench, tmp_path: Path) -> None:
    root = str(tmp_path / "w")
    listed = (await _ask(bench, "agents.files.list", {"agentId": "main"}))["payload"]
    assert (listed["agentId"], listed["workspace"]) == ("main", root)
    assert listed["files"][0] == {"name": "AGENTS.md", "path": f"{root}/AGENTS.md", "missing": True}
    done = (await _ask(bench, "agents.files.set", {"agentId": "main", "name": "SOUL.md", "content": "be kind"}))[
        "payload"
    ]
    assert done["ok"] is True
    assert done["file"]["size"] == 7
    got = (await _ask(bench, "agents.files.get", {"agentId": "main", "name": "SOUL.md"}, 3))["payload"]
    assert got["file"] == done["file"]
    assert got["file"]["content"] == "be kind"
    missing = (await _ask(bench, "agents.files.get", {"agentId": "main", "name": "USER.md"}))["payload"]
    assert missing["file"] == {"name": "USER.md", "path": f"{root}/USER.md", "missing": True}


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "notes.md", "AGENTS.md/", "agents.md"])
@pytest.mark.parametrize("method", ["agents.files.get", "agents.files.set"])
async def test_other_files_are_not_reached_by_name(name: str, method: str, bench: Bench) -> None:
    params = {"agentId": "main", "name": name, **({"content": "x"} if method.endswith("set") else {})}
    assert (await _ask(bench, method, params))["error"]["message"] == f'unsupported file "{name}"'


async def test_links_lead_nowhere(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "w").mkdir()
    (secret := tmp_path / "secret").write_text("sekret")
    (tmp_path / "w" / "AGENTS.md").symlink_to(secret)
    (tmp_path / "w" / "up").symlink_to(tmp_path)
    os.link(secret, tmp_path / "w" / "USER.md")
    got = await _ask(bench, "agents.files.get", {"agentId": "main", "name": "AGENTS.md"})
    assert got["payload"]["file"]["missing"] is True
    for method, params in (
        ("agents.files.get", {"name": "USER.md"}),
        ("agents.workspace.get", {"path": "AGENTS.md"}),
        ("agents.workspace.get", {"path": "up/secret"}),
        ("agents.workspace.get", {"path": "../secret"}),
        ("agents.workspace.list", {"path": "up"}),
    ):
        answer = await _ask(bench, method, {"agentId": "main", **params})
        assert answer["error"]["code"] == "INVALID_REQUEST", (method, params)
        assert "sekret" not in str(answer)
    listed = (await _ask(bench, "agents.workspace.list", {"agentId": "main"}))["payload"]
    assert [entry["name"] for entry in listed["entries"]] == ["USER.md"]
    await _ask(bench, "agents.files.set", {"agentId": "main", "name": "AGENTS.md", "content": "mine"})
    assert secret.read_text() == "sekret"


@pytest.mark.parametrize(("state", "shown"), [("w", False), ("w/.openclaw", False), ("", True), ("other", True)])
async def test_a_workspace_around_the_gateways_own_state_is_not_shown(state: str, shown: bool, tmp_path: Path) -> None:
    (tmp_path / "w").mkdir()
    (tmp_path / "w" / "openclaw.json").write_text("sekret")
    bench = Bench(tmp_path, state_dir=tmp_path / state)
    for method, params in (("agents.workspace.list", {}), ("agents.workspace.get", {"path": "openclaw.json"})):
        answer = await _ask(bench, method, {"agentId": "main", **params})
        assert answer["ok"] is shown
        assert ("openclaw.json" in str(answer)) is shown
    await bench.close()


async def test_a_workspace_is_read_page_by_page(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "w" / "docs").mkdir(parents=True)
    for name in ("b.txt", "a.bin"):
        (tmp_path / "w" / name).write_bytes(b"\xff\x00" if name == "a.bin" else b"text")
    (tmp_path / "w" / "docs" / "deep.md").write_text("# deep")
    first = (await _ask(bench, "agents.workspace.list", {"agentId": "main", "limit": 2}))["payload"]
    assert [(entry["path"], entry["kind"]) for entry in first["entries"]] == [("docs", "directory"), ("a.bin", "file")]
    assert (first["totalEntries"], "parentPath" in first) == (3, False)
    rest = (await _ask(bench, "agents.workspace.list", {"agentId": "main", "offset": 2}))["payload"]
    assert [entry["path"] for entry in rest["entries"]] == ["b.txt"]
    inner = (await _ask(bench, "agents.workspace.list", {"agentId": "main", "path": "docs/"}))["payload"]
    assert (inner["parentPath"], inner["entries"][0]["path"]) == ("", "docs/deep.md")
    for path, encoding, content in (("docs/deep.md", "utf8", "# deep"), ("a.bin", "base64", "/wA=")):
        file = (await _ask(bench, "agents.workspace.get", {"agentId": "main", "path": path}))["payload"]["file"]
        assert (file["encoding"], file["content"]) == (encoding, content)


async def test_an_unknown_agent_has_no_files(bench: Bench) -> None:
    error = (await _ask(bench, "agents.files.list", {"agentId": "eve"}))["error"]
    assert error["message"] == 'unknown agent id "eve"'


def test_agents_by_id_are_not_joined_by_a_list_that_would_change_who_answers() -> None:
    parsed = {"agents": {"entries": {"home": {"default": True}}}}
    with pytest.raises(InvalidRequest, match=r"names its agents in agents\.entries"):
        created(parsed, {"id": "bob"})
