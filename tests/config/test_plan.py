"""The difference between two configurations."""

from __future__ import annotations

from openclaw.config.plan import Change, plan, strongest
from openclaw.config.schema import Config
from tests.config.make import loaded


def changes(old: str, new: str) -> tuple[Change, ...]:
    return plan(loaded(old).config, loaded(new).config)


def test_equal_configurations_have_no_plan() -> None:
    assert plan(Config(), Config()) == ()
    assert strongest(()) is None


def test_each_changed_leaf_carries_its_reload_class() -> None:
    found = changes("{}", "{gateway: {port: 5}, logging: {level: 'debug'}}")
    assert found == (
        Change("gateway.port", 18789, 5, "process"),
        Change("logging.level", "info", "debug", "live"),
    )
    assert strongest(found) == "process"


def test_entries_come_go_and_change_by_their_name() -> None:
    found = changes(
        "{agents: {list: [{id: 'a'}, {id: 'b'}]}, models: {providers: {x: {}, y: {}}}}",
        "{agents: {list: [{id: 'b', name: 'B'}, {id: 'c'}]}, models: {providers: {y: {baseUrl: 'u'}, z: {}}}}",
    )
    assert [(change.path, change.old is None, change.new is None) for change in found] == [
        ("agents.list[0]", False, True),
        ("agents.list[0].name", False, False),
        ("agents.list[1]", True, False),
        ("models.providers.x", False, True),
        ("models.providers.y.baseUrl", False, False),
        ("models.providers.z", True, False),
    ]
    assert strongest(found) == "live"


def test_a_new_order_of_agents_is_a_change() -> None:
    found = changes("{agents: {list: [{id: 'a'}, {id: 'b'}]}}", "{agents: {list: [{id: 'b'}, {id: 'a'}]}}")
    assert [(change.path, change.old, change.new) for change in found] == [("agents.list", ("a", "b"), ("b", "a"))]


def test_a_model_given_as_text_or_as_an_object_can_be_compared() -> None:
    found = changes(
        "{agents: {defaults: {model: 'a/b'}}}", "{agents: {defaults: {model: {primary: 'a/b', fallbacks: ['c/d']}}}}"
    )
    assert [change.path for change in found] == ["agents.defaults.model"]


def test_a_changed_secret_is_seen_and_not_shown() -> None:
    found = changes("{gateway: {auth: {token: 'old-one'}}}", "{gateway: {auth: {token: 'new-one'}}}")
    assert [change.path for change in found] == ["gateway.auth.token"]
    assert "-one" not in repr(found)
