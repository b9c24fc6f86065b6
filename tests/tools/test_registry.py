"""Configured actions are loaded, reloaded, and fail alone."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from textwrap import dedent
from typing import Any

import msgspec
import pytest

from openclaw.base.errors import PolicyDenied
from openclaw.config.schema import ActionConfig
from openclaw.testing import make_context
from openclaw.tools import registry as registry_module
from openclaw.tools.action import action, build_tool
from openclaw.tools.api import Tool, ToolBox, ToolContext
from openclaw.tools.registry import ToolRegistry

pytestmark = pytest.mark.anyio

BUILTIN = ["edit_file", "list_files", "read_file", "read_image", "search_files", "session_status", "write_file"]
GREET = """
    from openclaw import Action

    class Greet(Action):
        '''Greet someone.'''
        def __init__(self, greeting: str = "Hello"):
            self.greeting = greeting
        def run(self, name: str) -> str:
            return f"{self.greeting} {name}"
"""


@pytest.fixture(autouse=True)
def _same_modules_afterwards() -> Iterator[None]:
    before, path = set(sys.modules), list(sys.path)
    yield
    assert sys.path == path
    for name in set(sys.modules) - before:
        del sys.modules[name]


async def _pass(tool: Tool, arguments: Mapping[str, Any], context: ToolContext) -> None: ...


def _put(folder: Path, name: str, text: str) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(dedent(text))


def _config(name: str, module: str, class_: str, path: str = "", **args: Any) -> ActionConfig:
    return ActionConfig(name=name, module=module, class_=class_, args=args, path=path)


async def _call(registry: ToolRegistry, tool: str, base: Path, /, **arguments: Any) -> str:
    text, is_error = await registry_module.test_tool(
        registry, tool, msgspec.json.encode(arguments).decode(), base / "w"
    )
    assert not is_error, text
    return text


def test_the_built_in_tools_are_there() -> None:
    registry = ToolRegistry((), Path("/nowhere"), _pass)
    assert [tool.spec.name for tool in registry.tools()] == BUILTIN
    assert {tool.spec.name for tool in registry.tools() if tool.safety == "write"} == {"edit_file", "write_file"}
    assert registry.problems() == {}
    assert registry.actions() == frozenset()


async def test_an_action_in_a_users_own_module_is_called_with_typed_arguments(tmp_path: Path) -> None:
    _put(tmp_path, "mine/greeting.py", GREET)
    registry = ToolRegistry((_config("greet", "greeting", "Greet", "mine", greeting="Hi"),), tmp_path, _pass)
    assert registry.problems() == {}
    assert registry.actions() == {"greet"}
    assert await _call(registry, "greet", tmp_path, name="Ann") == "Hi Ann"
    text, is_error = await registry_module.test_tool(registry, "greet", '{"name": 5}', tmp_path / "w")
    assert is_error
    assert "name: Expected `str`, got `int`" in text


async def test_a_module_beside_the_config_file_needs_no_path(tmp_path: Path) -> None:
    _put(tmp_path, "my_actions/__init__.py", "")
    _put(tmp_path, "my_actions/greeting.py", GREET)
    registry = ToolRegistry((_config("greet", "my_actions.greeting", "Greet"),), tmp_path, _pass)
    assert await _call(registry, "greet", tmp_path, name="Ann") == "Hello Ann"


async def test_one_bad_action_is_named_and_the_others_work(tmp_path: Path) -> None:
    _put(tmp_path, "good.py", GREET)
    _put(tmp_path, "broken.py", "1 / 0\n")
    _put(tmp_path, "syntax.py", "def (\n")
    _put(tmp_path, "leaves.py", "import sys\nsys.exit(3)\n")
    _put(tmp_path, "json.py", GREET)
    _put(
        tmp_path, "raises.py", "from openclaw import Action\nclass A(Action):\n  'Doc.'\n  def __init__(self): 1 / 0\n"
    )
    registry = ToolRegistry(
        (
            _config("greet", "good", "Greet"),
            _config("greet", "good", "Greet"),
            _config("read_file", "good", "Greet"),
            _config("a", "broken", "X"),
            _config("b", "syntax", "X"),
            _config("c", "leaves", "X"),
            _config("d", "no_such_module", "X"),
            _config("e", "good", "Gret"),
            _config("f", "good", "Action"),
            _config("g", "good", "Greet", greting="x"),
            _config("h", "json", "Greet", "."),
            _config("i", "raises", "A"),
        ),
        tmp_path,
        _pass,
    )
    problems = registry.problems()
    assert sorted(problems) == ["a", "b", "c", "d", "e", "f", "g", "greet", "h", "i", "read_file"]
    assert f"ZeroDivisionError: division by zero ({tmp_path}/broken.py:1)" in problems["a"]
    assert "SyntaxError" in problems["b"]
    assert "SystemExit" in problems["c"]
    assert "No module named 'no_such_module'" in problems["d"]
    assert "has no 'Gret'. It has: Greet." in problems["e"]
    assert "base class" in problems["f"]
    assert "greting is not an argument (there are: greeting)" in problems["g"]
    assert "taken by another tool" in problems["greet"]
    assert "'json' is taken by" in problems["h"]
    assert "ZeroDivisionError" in problems["i"]
    assert await _call(registry, "greet", tmp_path, name="Ann") == "Hello Ann"
    text, is_error = await registry_module.test_tool(registry, "a", "{}", tmp_path / "w")
    assert is_error
    assert "could not be loaded: ZeroDivisionError" in text


async def test_a_changed_module_is_read_afresh_and_an_old_registry_keeps_its_own(tmp_path: Path) -> None:
    configs = (_config("greet", "pack.greeting", "Greet"),)
    _put(tmp_path, "pack/__init__.py", "")
    _put(tmp_path, "pack/words.py", "WORD = 'Hello'\n")
    _put(tmp_path, "pack/greeting.py", GREET.replace("from openclaw", "from .words import WORD\n    from openclaw", 1))
    _put(tmp_path, "pack/greeting.py", (tmp_path / "pack/greeting.py").read_text().replace('"Hello"', "WORD"))
    old = ToolRegistry(configs, tmp_path, _pass)
    assert await _call(old, "greet", tmp_path, name="Ann") == "Hello Ann"

    same = sys.modules["pack.greeting"]
    assert ToolRegistry(configs, tmp_path, _pass).problems() == {}
    assert sys.modules["pack.greeting"] is same

    _put(tmp_path, "pack/words.py", "WORD = 'Salut'\n")
    new = ToolRegistry(configs, tmp_path, _pass)
    assert await _call(new, "greet", tmp_path, name="Ann") == "Salut Ann"
    assert await _call(old, "greet", tmp_path, name="Ann") == "Hello Ann"


async def test_a_mended_module_is_taken_up(tmp_path: Path) -> None:
    configs = (_config("greet", "mended", "Greet"),)
    _put(tmp_path, "helper_of_mended.py", "")
    _put(tmp_path, "mended.py", "import helper_of_mended\n1 / 0\n")
    assert "greet" in ToolRegistry(configs, tmp_path, _pass).problems()
    _put(tmp_path, "mended.py", GREET)
    assert ToolRegistry(configs, tmp_path, _pass).problems() == {}
    (tmp_path / "mended.py").unlink()
    assert "No module named 'mended'" in ToolRegistry(configs, tmp_path, _pass).problems()["greet"]


async def test_modules_of_the_same_name_in_two_folders_do_not_meet(tmp_path: Path) -> None:
    _put(tmp_path, "one/tools_of_mine.py", GREET)
    _put(tmp_path, "two/tools_of_mine.py", GREET.replace("Hello", "Ciao"))
    configs = (
        _config("one", "tools_of_mine", "Greet", "one"),
        _config("two", "tools_of_mine", "Greet", "two"),
        _config("uno", "tools_of_mine", "Greet", "one"),
    )
    for _ in range(3):
        registry = ToolRegistry(configs, tmp_path, _pass)
        assert registry.problems() == {}
        for name, word in (("one", "Hello"), ("two", "Ciao"), ("uno", "Hello")):
            assert await _call(registry, name, tmp_path, name="Ann") == f"{word} Ann"


def test_loading_again_and_again_leaves_no_modules_behind(tmp_path: Path) -> None:
    before = len(sys.modules)
    for turn in range(20):
        _put(tmp_path, "again.py", GREET + "\n" * turn)
        assert ToolRegistry((_config("greet", "again", "Greet"),), tmp_path, _pass).problems() == {}
    assert len(sys.modules) <= before + 1


def test_our_own_modules_are_never_forgotten(tmp_path: Path) -> None:
    """A configuration in a checkout has our sources, and maybe an environment, below its folder."""
    checkout = Path(__file__).parents[2]
    _put(tmp_path, "outside_of_it.py", GREET)
    ours = sys.modules["openclaw.tools.registry"]
    for turn in range(2):
        _put(tmp_path, "outside_of_it.py", GREET + "\n" * turn)
        ToolRegistry((_config("greet", "outside_of_it", "Greet", str(tmp_path)),), checkout, _pass)
        ToolRegistry((_config("x", "tests.tools.none", "X"),), checkout, _pass)
    assert sys.modules["openclaw.tools.registry"] is ours


def test_a_toolbox_offers_what_is_allowed_and_not_denied(tmp_path: Path) -> None:
    registry = ToolRegistry((), tmp_path, _pass)

    def names(allow: tuple[str, ...], deny: tuple[str, ...]) -> list[str]:
        return [spec.name for spec in registry.toolbox(allow, deny).specs()]

    assert names((), ()) == BUILTIN
    assert names(("write_file", "read_file"), ()) == ["read_file", "write_file"]
    assert names(("write_file", "read_file"), ("write_file",)) == ["read_file"]
    assert names(("unknown",), ()) == []
    assert registry.toolbox(("a", "b"), ()) is registry.toolbox(["b", "a"], ())
    assert registry.toolbox((), ()) is not registry.toolbox((), ("a",))


async def test_a_tool_that_is_denied_does_not_exist_for_the_model(tmp_path: Path) -> None:
    box = ToolRegistry((), tmp_path, _pass).toolbox((), ("read_file",))
    text, is_error = await box.call("read_file", '{"path":"x"}', make_context(tmp_path))
    assert is_error
    assert text.startswith("There is no tool 'read_file'")


async def test_testing_a_tool_goes_through_the_gate(tmp_path: Path) -> None:
    async def gate(tool: Tool, arguments: Mapping[str, Any], context: ToolContext) -> None:
        raise PolicyDenied("closed")

    registry = ToolRegistry((), tmp_path, gate)
    answer = await registry_module.test_tool(registry, "list_files", "{}", tmp_path)
    assert answer == ("The policy does not allow this call: closed", True)


async def test_an_installed_package_offers_actions_by_entry_points(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _put(tmp_path, "site/packaged_actions.py", GREET)
    _put(tmp_path, "site/packaged-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: packaged\nVersion: 1.0\n")
    _put(
        tmp_path,
        "site/packaged-1.0.dist-info/entry_points.txt",
        "[openclaw.actions]\npackaged = packaged_actions:Greet\nbad = packaged_actions:Nothing\n",
    )
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    registry = ToolRegistry((), tmp_path, _pass)
    assert await _call(registry, "packaged", tmp_path, name="Ann") == "Hello Ann"
    assert "AttributeError" in registry.problems()["bad"]
    configured = ToolRegistry((_config("packaged", "packaged_actions", "Greet", greeting="Hi"),), tmp_path, _pass)
    assert await _call(configured, "packaged", tmp_path, name="Ann") == "Hi Ann"


class _Source:
    """Tools that come and go."""

    def __init__(self) -> None:
        self.version = 0
        self.now: list[Tool] = []

    def tools(self) -> list[Tool]:
        return self.now

    def problems(self) -> dict[str, str]:
        return {"mcp:down": "not connected"}

    def put(self, *names: str) -> None:
        self.version += 1
        self.now = [_tool(name) for name in names]


def _tool(name: str) -> Tool:
    @action(name=name)
    async def say() -> str:
        """Say one's name."""
        return name

    return build_tool(say)


def _names(box: ToolBox) -> list[str]:
    return [spec.name for spec in box.specs() if spec.name not in BUILTIN]


async def test_a_toolbox_shows_the_tools_of_a_source_as_they_come_and_go(tmp_path: Path) -> None:
    source = _Source()
    registry = ToolRegistry((), tmp_path, _pass, more=[_tool("more")], extra=source)
    box = registry.toolbox()
    assert _names(box) == ["more"]
    source.put("mcp__a__x")
    assert _names(box) == ["mcp__a__x", "more"]
    assert await box.call("mcp__a__x", "", make_context(tmp_path)) == ("mcp__a__x", False)
    source.put()
    assert _names(box) == ["more"]
    assert await box.call("mcp__a__x", "", make_context(tmp_path)) != ("mcp__a__x", False)
    assert registry.problems() == {"mcp:down": "not connected"}
    assert registry.actions() == frozenset()


def test_the_specs_of_a_source_that_does_not_change_are_the_same_object(tmp_path: Path) -> None:
    source = _Source()
    box = ToolRegistry((), tmp_path, _pass, extra=source).toolbox()
    source.put("b", "a")
    assert box.specs() is box.specs()


def test_a_tool_of_a_source_never_takes_the_name_of_another(tmp_path: Path) -> None:
    source = _Source()
    source.put("read_file")
    registry = ToolRegistry((), tmp_path, _pass, extra=source)
    assert [tool.spec.description for tool in registry.tools() if tool.spec.name == "read_file"] != ["Say one's name."]


@pytest.mark.parametrize(
    ("allow", "deny", "shown"),
    [
        (("mcp__a__*",), (), ["mcp__a__x", "mcp__a__y"]),
        ((), ("mcp__*",), []),
        (("mcp__*",), ("mcp__a__x",), ["mcp__a__y", "mcp__b__x"]),
        (("mcp__b__x", "read_file"), (), ["mcp__b__x"]),
    ],
)
def test_a_name_with_a_star_means_all_that_begin_so(
    tmp_path: Path, allow: tuple[str, ...], deny: tuple[str, ...], shown: list[str]
) -> None:
    source = _Source()
    source.put("mcp__a__x", "mcp__a__y", "mcp__b__x")
    assert _names(ToolRegistry((), tmp_path, _pass, extra=source).toolbox(allow, deny)) == shown
