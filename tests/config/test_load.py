"""Load: every problem is named with path and line, and disables only what is broken."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw.base.errors import ConfigError
from openclaw.base.secret import Secret
from openclaw.config.reading.validate import CLOSED_NODES, CLOSED_TOOLS
from openclaw.config.schema import Config, ModelChoice, NodeCommandsConfig, ToolsConfig
from openclaw.identity.locality import TrustedProxies, parse_address
from tests.config.json5 import NOISE
from tests.config.make import Home, errors, issue_at, loaded


def test_a_missing_file_means_defaults(home: Home) -> None:
    found = home.load()
    assert found.config == Config()
    assert (found.exists, found.valid, found.source, found.raw, found.issues) == (False, True, "defaults", "", ())
    assert found.hash == sha256(b"").hexdigest()


def test_a_typical_file_is_loaded_whole(home: Home) -> None:
    text = """\ufeff{
      // my gateway
      gateway: { port: 19000, auth: { token: "${TOKEN}" } },
      agents: { defaults: { model: { primary: "x/big", fallbacks: ["x/small"] } }, list: [{ id: "main" }] },
      models: { providers: { x: { baseUrl: "http://127.0.0.1:1/v1", apiKey: "k", models: [{ id: "big" }] } } },
    }"""
    found = home.load(text, {"TOKEN": "from-env"})
    assert found.issues == ()
    assert found.valid
    assert found.source == "file"
    assert found.config.gateway.port == 19000
    assert found.config.gateway.auth.token == Secret("from-env")
    assert found.config.agents.defaults.model == ModelChoice(primary="x/big", fallbacks=("x/small",))
    assert found.config.models.providers["x"].api_key == Secret("k")
    assert found.parsed["gateway"]["auth"]["token"] == "${TOKEN}"
    assert found.hash == sha256(text.encode()).hexdigest()
    assert found.sources["gateway.port"] == "file"
    assert "gateway.bind" not in found.sources


def test_an_unknown_key_is_quarantined_with_line_and_suggestion() -> None:
    found = loaded("{\n  bogus: 1,\n  agents: { defaults: {\n    maxConcurent: 3, limits: { steps: 7 } } },\n}")
    assert found.valid
    assert found.config.agents.defaults.limits.steps == 7
    bogus = issue_at(found, "bogus")
    assert (bogus.kind, bogus.severity, bogus.line, bogus.column) == ("unknown-key", "warning", 2, 3)
    typo = issue_at(found, "agents.defaults.maxConcurent")
    assert typo.line == 4
    assert "agents.defaults.maxConcurrent" in typo.hint


def test_a_key_in_the_wrong_section_is_led_to_the_right_one() -> None:
    assert "gateway.customBindHost" in issue_at(loaded("{customBindHost: 'x'}"), "customBindHost").hint


@pytest.mark.parametrize(
    "text",
    [
        "{plugins: {entries: {}}}",
        "{gateway: {tailscale: {mode: 'off'}}}",
        "{agents: {list: [{id: 'a', memorySearch: {}}]}}",
        "{models: {providers: {x: {headers: {a: 'b'}}}}}",
        "{channels: {telegram: {enabled: true, botToken: 'x', somethingNew: 1}}}",
    ],
)
def test_keys_of_other_versions_are_carried_with_a_note(text: str) -> None:
    found = loaded(text)
    assert [(issue.kind, issue.severity) for issue in found.issues] == [("not-available", "warning")]
    assert found.valid


def test_editor_bookkeeping_is_not_worth_a_word() -> None:
    assert loaded("{$schema: 'x', meta: {lastTouchedVersion: '1'}}").issues == ()


def test_a_wrong_type_in_one_channel_names_that_channel_only() -> None:
    found = loaded("{channels: {\n telegram: {\n  enabled: 'yes' },\n discord: 5,\n slack: {enabled: true} }}")
    assert errors(found) == ["channels.discord", "channels.telegram.enabled"]
    telegram = issue_at(found, "channels.telegram.enabled")
    assert (telegram.line, telegram.section) == (3, "channels.telegram")
    assert list(found.config.channels) == ["slack"]
    assert found.config.gateway == Config().gateway


def test_a_bad_provider_is_dropped_alone() -> None:
    found = loaded(
        """{models: {providers: {
          bad: {api: "smoke-signals", baseUrl: 5},
          good: {baseUrl: "http://x", models: [{id: "m"}, {id: ""}]},
        }}}"""
    )
    assert list(found.config.models.providers) == ["good"]
    assert [model.id for model in found.config.models.providers["good"].models] == ["m"]
    assert errors(found) == [
        "models.providers.bad.api",
        "models.providers.bad.baseUrl",
        "models.providers.good.models[1].id",
    ]
    assert issue_at(found, "models.providers.bad.baseUrl").section == "models.providers.bad"


def test_a_bad_agent_and_a_bad_action_are_dropped_alone() -> None:
    found = loaded(
        """{
          agents: {list: [{id: "Not Ok"}, {id: "fine"}, {name: "no id"}, {id: "limits", limits: {steps: 0}}, 7]},
          actions: [{name: "a", module: "m", class: "C"}, {name: "b", module: "m"}],
        }"""
    )
    assert [agent.id for agent in found.config.agents.list] == ["fine"]
    assert [action.class_ for action in found.config.actions] == ["C"]
    assert errors(found) == [
        "agents.list[0].id",
        "agents.list[2].id",
        "agents.list[3].limits.steps",
        "agents.list[4]",
        "actions[1].class",
    ]


def test_a_second_agent_of_the_same_id_is_named_where_it_stands() -> None:
    found = loaded("{agents: {list: [\n{id: 'a', name: 'first'},\n{id: 5},\n{id: 'a'}]}}")
    assert [agent.name for agent in found.config.agents.list] == ["first"]
    assert (issue_at(found, "agents.list[2]").kind, issue_at(found, "agents.list[2]").line) == ("duplicate-id", 4)


def test_a_bad_leaf_elsewhere_goes_back_to_its_default() -> None:
    found = loaded("{gateway: {port: '80', bind: 'tailnet', reload: {debounceMs: 1}}, logging: 'loud'}")
    assert found.config.gateway == Config().gateway
    assert found.config.logging == Config().logging
    assert errors(found) == ["gateway.port", "gateway.bind", "gateway.reload.debounceMs", "logging"]
    assert "a whole number from 1 to 65535" in issue_at(found, "gateway.port").message


def test_all_problems_are_collected_not_only_the_first() -> None:
    found = loaded(
        "{gateway: {port: 0, mode: 'x', trustedProxies: [1, '10.0.0.0/8', 2]}, session: {ephemeralHours: 0}}"
    )
    assert errors(found) == [
        "gateway.mode",
        "gateway.port",
        "gateway.trustedProxies[0]",
        "gateway.trustedProxies[2]",
        "session.ephemeralHours",
    ]


@pytest.mark.parametrize("text", ["{tools: {deny: 'write_file'}}", "{tools: {allow: [5]}}", "{tools: 'none'}"])
def test_broken_tool_lists_close_the_tools_instead_of_opening_them(text: str) -> None:
    assert loaded(text).config.tools == CLOSED_TOOLS


@pytest.mark.parametrize(
    "commands",
    [
        "commands: {deny: 'camera.snap', allow: ['a']}",
        "commands: 'all'",
        "commands: {deny: [5]}",
        "denyCommands: 'x', allowCommands: ['a']",
        "denyCommands: ['x'], commands: {deny: 'y'}",
    ],
)
def test_broken_lists_of_node_commands_let_none_through(commands: str) -> None:
    text = f"{{gateway: {{port: 19000, nodes: {{{commands}}}}}}}"
    found = loaded(text).config.gateway
    assert (found.nodes.commands, found.port) == (CLOSED_NODES, 19000)


def test_node_commands_are_read_where_older_files_have_them_and_the_newer_place_wins() -> None:
    old = "{gateway: {nodes: {allowCommands: ['a'], denyCommands: ['b']}}}"
    assert loaded(old).config.gateway.nodes.commands == NodeCommandsConfig(allow=("a",), deny=("b",))
    both = "{gateway: {nodes: {allowCommands: ['a'], denyCommands: ['b'], commands: {allow: ['c'], deny: ['d']}}}}"
    assert loaded(both).config.gateway.nodes.commands == NodeCommandsConfig(allow=("c",), deny=("b", "d"))


def test_a_missing_variable_disables_only_the_part_that_holds_it() -> None:
    found = loaded(
        """{
          gateway: { auth: {
            token: "${NOPE}" } },
          models: { providers: { a: { apiKey: "${NOPE_KEY}" }, b: {} } },
          channels: { telegram: { accounts: { x: { botToken: "${NOPE_BOT}" } } } },
        }"""
    )
    assert found.config.gateway.auth.token is None
    assert list(found.config.models.providers) == ["b"]
    assert found.config.channels == {}
    token = issue_at(found, "gateway.auth.token")
    assert (token.kind, token.line, token.severity) == ("missing-env", 3, "error")
    assert "NOPE" in token.message
    assert len(errors(found)) == 3


def test_a_missing_variable_in_a_part_without_effect_is_only_a_warning() -> None:
    found = loaded("{talk: {token: '${NOPE}'}}")
    assert found.valid
    assert issue_at(found, "talk.token").severity == "warning"


def test_text_from_a_variable_may_stand_for_a_number() -> None:
    found = loaded("{gateway: {port: '${P}'}, agents: {defaults: {systemPrompt: '${P}'}}}", P="8123")
    assert found.issues == ()
    assert (found.config.gateway.port, found.config.agents.defaults.system_prompt) == (8123, "8123")


def test_the_env_block_is_asked_last_and_may_use_the_environment() -> None:
    found = loaded("{env: {A: 'block', vars: {B: 'x${A}', N: 5}}, identity: {name: '${A}${B}${N}'}}", A="process", B="")
    assert found.issues == ()
    assert found.config.identity.name == "processxprocess5"
    assert found.env.source("B") == "config env block"


@pytest.mark.parametrize(
    ("given_bind", "bind"),
    [("127.0.0.1", "loopback"), ("localhost", "loopback"), ("::1", "loopback"), ("0.0.0.0", "lan"), ("*", "lan")],
)
def test_addresses_are_accepted_for_bind(given_bind: str, bind: str) -> None:
    found = loaded(f"{{gateway: {{bind: '{given_bind}'}}}}")
    assert found.config.gateway.bind == bind
    assert found.issues == ()
    assert loaded("{}", OPENCLAW_GATEWAY_BIND=given_bind).config.gateway.bind == bind


def test_documented_variables_beat_the_file_and_are_named_as_the_source() -> None:
    found = loaded(
        "{gateway: {port: 1, auth: {token: 'file'}}, logging: {level: 'info'}}",
        OPENCLAW_GATEWAY_TOKEN="env\n",
        OPENCLAW_GATEWAY_PORT="19001",
        PORT="80",
        OPENCLAW_LOG_LEVEL="WARN",
    )
    assert found.issues == ()
    assert found.config.gateway.auth.token == Secret("env")
    assert found.config.gateway.port == 19001
    assert found.config.logging.level == "warning"
    assert found.sources["gateway.port"] == "OPENCLAW_GATEWAY_PORT (process)"
    assert found.line_of("gateway.port") == 0


@pytest.mark.parametrize(
    ("model", "left"),
    [
        ("'openai/gpt-x'", ""),
        ("{primary: 'openai/gpt-x', fallbacks: ['a/b']}", ModelChoice(fallbacks=("a/b",))),
        ("''", ""),
    ],
)
def test_a_provider_in_the_environment_puts_the_default_model_aside_but_no_agents_own(
    model: str, left: str | ModelChoice
) -> None:
    text = f"{{agents: {{defaults: {{model: {model}}}, list: [{{id: 'main', model: 'acme/own'}}]}}}}"
    found = loaded(text, OPENCLAW_LLM_PROVIDER="anthropic")
    assert found.issues == ()
    assert found.config.agents.defaults.model == left
    assert found.config.agents.list[0].model == "acme/own"
    if model != "''":
        assert found.sources["agents.defaults.model"] == "OPENCLAW_LLM_PROVIDER (process)"


def test_without_a_provider_in_the_environment_the_default_model_stays() -> None:
    found = loaded("{agents: {defaults: {model: 'openai/gpt-x'}}}", OPENCLAW_LLM_PROVIDER=" ")
    assert found.config.agents.defaults.model == "openai/gpt-x"


def test_the_platforms_port_is_used_when_there_is_no_other() -> None:
    assert loaded("{gateway: {port: 1}}", PORT="8080").config.gateway.port == 8080


def test_a_bad_variable_is_named_and_the_file_keeps_its_say() -> None:
    found = loaded("{gateway: {port: 5}}", OPENCLAW_GATEWAY_PORT="http")
    assert found.config.gateway.port == 5
    assert errors(found) == ["OPENCLAW_GATEWAY_PORT"]


def test_a_broken_gateway_section_still_takes_the_variables() -> None:
    found = loaded("{gateway: 5}", OPENCLAW_GATEWAY_TOKEN="t")
    assert found.config.gateway.auth.token == Secret("t")
    assert errors(found) == ["gateway"]


def test_no_secret_is_ever_in_a_message_or_a_repr() -> None:
    found = loaded("{gateway: {auth: {token: ['s3cret'], password: 's3cret', mode: 'password'}}, models: 's3cret'}")
    found2 = loaded("{channels: {telegram: {botToken: 's3cret', enabled: 's3cret'}}}")
    assert "s3cret" not in repr(found.config)
    assert "s3cret" not in str([issue for issue in found.issues if issue.section == "gateway"])
    assert "s3cret" not in str(found2.issues)


def test_an_unparsable_file_without_a_last_good_is_a_config_error_with_the_place(home: Home) -> None:
    with pytest.raises(ConfigError) as caught:
        home.load("{\n  gateway: {\n  port 5\n}}")
    assert caught.value.details["line"] == 3


@pytest.mark.parametrize("raw", [b"\xff\xfe{}", b"{a: '\xe4'}"])
def test_a_file_that_is_not_utf8_is_a_config_error(home: Home, raw: bytes) -> None:
    home.paths().config_path.write_bytes(raw)
    with pytest.raises(ConfigError, match="UTF-8"):
        home.load()


def test_a_folder_in_place_of_the_file_is_a_config_error(home: Home) -> None:
    home.paths().config_path.mkdir()
    with pytest.raises(ConfigError, match="cannot be read"):
        home.load()


def _noisy() -> st.SearchStrategy[str]:
    keys = st.sampled_from(
        ["gateway", "agents", "channels", "models", "actions", "tools", "env", "list", "providers", "auth", "x"]
    )
    leaves: st.SearchStrategy[Any] = st.none() | st.booleans() | st.integers() | st.sampled_from(["${A}", "a", "lan"])
    values = st.recursive(
        leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3), max_leaves=12
    )
    return (
        st.dictionaries(keys, values, max_size=4)
        .map(repr)
        .map(lambda text: text.replace("None", "null").replace("True", "true").replace("False", "false"))
    )


@given(_noisy())
def test_any_object_gives_a_usable_config(text: str) -> None:
    found = loaded(text)
    assert isinstance(found.config, Config)
    assert all(issue.path and issue.section for issue in found.issues)
    assert all(issue.line >= 1 for issue in found.issues)


@given(NOISE)
def test_any_text_is_loaded_or_a_config_error(text: str) -> None:
    try:
        found = loaded(text)
    except ConfigError:
        return
    assert isinstance(found.config.tools, ToolsConfig)


def test_proxies_come_from_the_environment_with_commas_between_them() -> None:
    found = loaded("{gateway: {trustedProxies: ['10.9.9.9']}}", OPENCLAW_TRUSTED_PROXIES=" 10.0.0.1, fd00::/8 ,")
    assert found.config.gateway.trusted_proxies == ("10.0.0.1", "fd00::/8")
    assert found.sources["gateway.trustedProxies"].startswith("OPENCLAW_TRUSTED_PROXIES")
    assert found.valid


@pytest.mark.parametrize("where", ["file", "environment"])
def test_a_proxy_that_is_no_address_is_named_and_trusts_nobody(where: str) -> None:
    variables = {"OPENCLAW_TRUSTED_PROXIES": "proxy,127.0.0.1"} if where == "environment" else {}
    found = loaded("{gateway: {trustedProxies: ['proxy', '127.0.0.1']}}", **variables)
    assert errors(found) == ["gateway.trustedProxies"]
    trusted = TrustedProxies(found.config.gateway.trusted_proxies)
    assert parse_address("127.0.0.1") in trusted
    assert parse_address("10.0.0.1") not in trusted
