"""A YAML file as configuration: found, loaded, watched over by line, never written."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw.base.errors import ConfigError
from openclaw.base.secret import Secret
from openclaw.config import lastgood
from openclaw.config.env import Environment
from openclaw.config.load import Loaded, load_text
from openclaw.config.paths import StatePaths, resolve_paths
from openclaw.config.plan import plan
from openclaw.config.reading.service import APIS
from openclaw.config.refusal import refusals
from openclaw.config.schema import AgentConfig, Config, ModelChoice
from openclaw.config.schema.describe import leaves
from openclaw.models.api import BUILT_IN
from tests.config.make import Home, errors, issue_at
from tests.config.reading.yaml_texts import NOISE, texts

FILE = Path("/nowhere/config.yaml")


def loaded(text: str, **variables: str) -> Loaded:
    env = Environment((("process", {"HOME": "/nowhere", **variables}),))
    return load_text(text, resolve_paths(env, FILE), env)


@pytest.fixture
def yaml_home(home: Home) -> Home:
    home.variables["OPENCLAW_CONFIG_PATH"] = str(home.folder / "config.yaml")
    return home


def test_the_schema_in_yaml_is_the_same_configuration(home: Home) -> None:
    json5 = """{ gateway: { port: 19000, auth: { token: "${TOKEN}" } },
      agents: { defaults: { model: { primary: "x/big", fallbacks: ["x/small"] } }, list: [{ id: "main" }] },
      tools: { deny: ["write_file"] } }"""
    yaml = """
gateway:
  port: 19000
  auth: { token: "${TOKEN}" }
agents:
  defaults: { model: { primary: x/big, fallbacks: [x/small] } }
  list:
    - id: main
tools:
  deny: [write_file]
"""
    first, second = home.load(json5, {"TOKEN": "t"}), loaded(yaml, TOKEN="t")
    assert second.config == first.config
    assert second.parsed == first.parsed
    assert (second.issues, second.valid, second.source) == ((), True, "file")
    assert second.sources == first.sources
    assert plan(first.config, second.config) == ()


def test_issues_name_the_path_and_line_in_the_file() -> None:
    found = loaded("gateway:\n  port: many\n  reload: {mode: off}\nbogus: 1\ntools: {deny: ['${NOPE}']}\n")
    assert (issue_at(found, "gateway.port").line, issue_at(found, "gateway.port").column) == (2, 3)
    assert (issue_at(found, "bogus").kind, issue_at(found, "bogus").line) == ("unknown-key", 4)
    assert (issue_at(found, "tools.deny[0]").kind, issue_at(found, "tools.deny[0]").line) == ("missing-env", 5)
    assert found.config.gateway.reload.mode == "off"
    assert errors(found) == ["gateway.port", "tools.deny[0]"]


def test_the_service_form_is_the_schema_in_short() -> None:
    found = loaded("""
server: { host: 0.0.0.0, port: 8080 }
agent: { name: default, memory_size: 500, policy: strict }
actions: [ { name: translate, module: my_actions.translate, class: TranslateAction, args: { target_lang: es } } ]
llm_provider: anthropic
""")
    assert found.issues == ()
    assert (found.config.gateway.bind, found.config.gateway.port) == ("lan", 8080)
    assert found.config.agents.list == (AgentConfig(id="default", name="default"),)
    assert found.config.agents.defaults.memory.size == 500
    assert found.config.actions[0].args == {"target_lang": "es"}
    assert found.config.agents.defaults.model == "anthropic"
    assert found.line_of("gateway.port") == 2
    assert found.line_of("agents.defaults.model") == 5


@pytest.mark.parametrize(
    ("host", "bind", "custom"),
    [
        ("127.0.0.1", "loopback", ""),
        ("LocalHost", "loopback", ""),
        ("'*'", "lan", ""),
        ("'::'", "lan", ""),
        ("10.0.0.7", "custom", "10.0.0.7"),
        ("${HOST}", "custom", "10.0.0.9"),
    ],
)
def test_a_host_is_a_bind(host: str, bind: str, custom: str) -> None:
    gateway = loaded(f"server:\n  host: {host}\n", HOST="10.0.0.9").config.gateway
    assert (gateway.bind, gateway.custom_bind_host) == (bind, custom)


def test_a_host_beyond_this_machine_wants_a_secret_and_names_the_line() -> None:
    (refusal,) = refusals(loaded("server:\n  host: 10.0.0.7\ngateway:\n  auth: {token: short}\n"))
    assert refusal.details == {"path": "gateway.auth.token", "line": 4}
    (refusal,) = refusals(loaded("server:\n  host: my.host\n"))
    assert refusal.details == {"path": "gateway.customBindHost", "line": 2}


def test_several_agents_keep_their_own_settings() -> None:
    found = loaded("""
agents:
  - name: Front Desk
    model: openai/x
    systemPrompt: Be brief.
  - { id: back, name: Back, memory_size: 3 }
""")
    front, back = found.config.agents.list
    assert (front.id, front.name, front.model, front.system_prompt) == (
        "front-desk",
        "Front Desk",
        "openai/x",
        "Be brief.",
    )
    assert (back.id, back.name) == ("back", "Back")
    assert (issue_at(found, "agents[1].memory_size").line, errors(found)) == (6, [])


@pytest.mark.parametrize(
    ("text", "model"),
    [
        ("llm_provider: anthropic", "anthropic"),
        ("llm_provider: openai/gpt", "openai/gpt"),
        ("llm: {provider: bedrock, model: 'anthropic.claude-3:0'}", "bedrock/anthropic.claude-3:0"),
        ("llm: {provider: openai, model: openai/gpt}", "openai/gpt"),
        ("llm: {provider: openai}", "openai"),
        ("llm: {provider: openai, model: gpt}\nllm_provider: anthropic", "anthropic"),
        ("llm: {provider: openai, model: gpt}\nllm_provider: openai", "openai/gpt"),
        ("llm: {model: gpt}\nllm_provider: openai", "openai/gpt"),
        ("llm_provider: ${P}", "from-env"),
        ("llm_provider: a\nagents: {defaults: {model: b/c}}", "a"),
        ("llm_provider: a\nagents: {defaults: {model: {primary: b/c, fallbacks: [d/e]}}}", ("a", "d/e")),
    ],
)
def test_a_provider_puts_the_default_model_aside_and_keeps_its_fallbacks(text: str, model: Any) -> None:
    found = loaded(text, P="from-env")
    wanted = model if isinstance(model, str) else ModelChoice(primary=model[0], fallbacks=model[1:])
    assert found.config.agents.defaults.model == wanted
    assert found.issues == ()


def test_switching_the_provider_leaves_the_agents_alone_and_is_live() -> None:
    one, two = (loaded(f"agent: {{name: a}}\nllm_provider: {name}").config for name in ("anthropic", "openai"))
    assert [(change.path, change.reload) for change in plan(one, two)] == [("agents.defaults.model", "live")]
    assert loaded("llm_provider: a", OPENCLAW_LLM_PROVIDER="b").config.agents.defaults.model == ""


def test_a_key_goes_to_its_provider_which_keeps_its_wire() -> None:
    found = loaded("llm: {provider: anthropic, api_key: '${KEY}', model: m}", KEY="k")
    provider = found.config.models.providers["anthropic"]
    assert (provider.api_key, provider.api) == (Secret("k"), "anthropic-messages")
    assert {name: entry.api for name, entry in BUILT_IN.items()} == APIS
    missing = loaded("llm:\n  provider: anthropic\n  api_key: ${KEY}\n")
    issue = issue_at(missing, "models.providers.anthropic.apiKey")
    assert (issue.kind, issue.line) == ("missing-env", 3)
    assert "llm.api_key" in issue.message


def test_authentication_is_the_mode_of_that_provider() -> None:
    text = "authentication: {enabled: true, provider: cognito, user_pool_id: eu-west-1_x, client_id: c, region: r}\n"
    auth = loaded(text).config.gateway.auth
    assert (auth.mode, auth.cognito.user_pool_id, auth.cognito.client_id) == ("cognito", "eu-west-1_x", "c")
    assert not errors(loaded(text))
    assert loaded(text.replace("enabled: true", "enabled: false")).config.gateway.auth.mode == "token"
    assert errors(loaded(text.replace("client_id: c,", ""))) == ["gateway.auth.mode"]


def test_an_identity_provider_that_we_do_not_know_is_put_aside_and_the_token_stays() -> None:
    found = loaded("agent: {name: a}\nauthentication: {enabled: true, provider: okta}\n")
    issue = issue_at(found, "authentication.provider")
    assert (issue.kind, issue.severity, issue.line) == ("not-available", "warning", 2)
    assert found.valid
    assert found.config.gateway.auth.mode == "token"


@pytest.mark.parametrize(
    ("text", "path", "kind", "line"),
    [
        ("server:\n  tls: on\n", "server.tls", "unknown-key", 2),
        ("server: 8080\n", "server", "invalid-value", 1),
        ("server:\n  port: http\n", "gateway.port", "invalid-value", 2),
        ("server:\n  host: [a]\n", "gateway.bind", "invalid-value", 2),
        ("gateway: {port: 1}\nserver:\n  port: 2\n", "server.port", "invalid-value", 3),
        ("agent:\n  name: 3\n", "agents.list[0].id", "invalid-value", 2),
        ("agent:\n  name: a\n  maxConcurrent: x\n", "agents.list[0].maxConcurrent", "invalid-value", 3),
        ("agent:\n  name: a\n  persona: x\n", "agents.list[0].persona", "unknown-key", 3),
        ("agent:\n  name: a\n  memory_size: -1\n", "agents.defaults.memory.size", "invalid-value", 3),
        ("agent:\n  name: a\n  policy: open\n", "agent.policy", "not-available", 3),
        ("agent: a\n", "agents.list[0]", "invalid-value", 1),
        ("agents: {list: [{id: a}]}\nagent: {name: b}\n", "agent", "invalid-value", 2),
        ("agent: {name: a}\nagents:\n- name: a\n", "agents.list[1]", "duplicate-id", 3),
        ("agent: {name: a}\nllm:\n  model: x\n", "llm", "invalid-value", 2),
        ("agent: {name: a}\nllm: {api_key: x}\n", "llm", "invalid-value", 2),
        ("gateway: text\nserver:\n  port: 2\n", "server.port", "invalid-value", 3),
        (
            "models: {providers: {x: {apiKey: a}}}\nllm:\n  provider: x\n  api_key: b\n",
            "llm.api_key",
            "invalid-value",
            4,
        ),
        ("llm:\n  provider: x\n  model: 3\n", "agents.defaults.model", "invalid-value", 3),
        ("llm:\n  provider: a/b\n  api_key: x\n", "llm.provider", "invalid-value", 2),
        ("llm_provider: 7\n", "agents.defaults.model", "invalid-value", 1),
        ("agents: text\n", "agents", "invalid-value", 1),
    ],
)
def test_what_is_wrong_in_the_short_form_is_named_where_it_stands(text: str, path: str, kind: str, line: int) -> None:
    issue = issue_at(loaded(text), path)
    assert (issue.kind, issue.line) == (kind, line)


def test_an_issue_names_the_key_as_the_file_writes_it() -> None:
    assert issue_at(loaded("server: {port: x}"), "gateway.port").message.endswith("(written as server.port)")
    assert "written as" not in issue_at(loaded("gateway: {port: x}"), "gateway.port").message


def test_a_section_that_is_still_empty_takes_what_the_short_form_says() -> None:
    assert loaded("gateway:\nserver: {port: 8080}").config.gateway.port == 8080


def test_empty_sections_of_the_short_form_say_nothing() -> None:
    found = loaded("server:\nagent:\nllm:\nllm_provider:\nauthentication:\n")
    assert (found.issues, found.config) == ((), Config())


@given(texts() | NOISE)
def test_any_yaml_text_loads_or_is_a_config_error(text: str) -> None:
    try:
        found = loaded(text)
    except ConfigError:
        return
    for issue in found.issues:
        assert str(issue)
    msgspec.to_builtins(found.config, enc_hook=str)
    for leaf in leaves():
        assert found.line_of(leaf.path.replace("[]", "[0]").replace(".*", ".x")) >= 0


@given(st.text())
def test_any_text_at_all_loads_or_is_a_config_error(text: str) -> None:
    with contextlib.suppress(ConfigError):
        assert loaded(text).source == "file"


# Where the file is


def paths_of(folder: Path, system: Path, **variables: str) -> StatePaths:
    env = Environment((("process", {"HOME": str(folder), "OPENCLAW_STATE_DIR": str(folder), **variables}),))
    return resolve_paths(env, system_config=system)


def test_the_systems_file_is_used_when_there_is_no_other(tmp_path: Path) -> None:
    system, own = tmp_path / "etc" / "config.yaml", tmp_path / "openclaw.json"
    assert paths_of(tmp_path, system).config_path == own
    system.parent.mkdir()
    system.write_text("server: {port: 8080}")
    assert paths_of(tmp_path, system).config_path == system
    assert paths_of(tmp_path, system, OPENCLAW_CONFIG_PATH="/c/x.yml").config_path == Path("/c/x.yml")
    own.write_text("{}")
    assert paths_of(tmp_path, system).config_path == own


def test_a_broken_file_falls_back_to_the_last_good_yaml(yaml_home: Home) -> None:
    paths = yaml_home.paths()
    assert paths.last_good.name == "last-good.yaml"
    lastgood.save(paths.last_good, "server: {port: 19999}\nagent: {polcy: 1}\n")
    found = yaml_home.load("server: {port: 1\n")
    assert (found.config.gateway.port, found.source, found.valid) == (19999, "last-good", False)
    assert (found.issues[0].kind, found.issues[0].line) == ("parse-error", 2)
    assert all(issue.line == 0 for issue in found.issues[1:])


def test_a_file_that_is_not_there_means_defaults(yaml_home: Home) -> None:
    found = yaml_home.load()
    assert (found.config, found.exists, found.source) == (Config(), False, "defaults")


# What it costs

_PROBE = """
import sys
{before}
from pathlib import Path
from openclaw.base.errors import ConfigError
from openclaw.config.env import Environment
from openclaw.config.load import load_text
from openclaw.config.paths import resolve_paths
env = Environment((("process", {{"HOME": "/nowhere"}}),))
try:
    load_text({text!r}, resolve_paths(env, Path({path!r})), env)
except ConfigError as error:
    print(error.message, "|", error.hint)
print("yaml" in sys.modules, any("service" in name or "yaml_text" in name for name in sys.modules))
"""


def _probe(path: str, text: str, before: str = "") -> str:
    code = _PROBE.format(path=path, text=text, before=before)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    return done.stdout


def test_json5_never_loads_yaml() -> None:
    assert _probe("/nowhere/openclaw.json", "{gateway: {port: 1}}") == "False False\n"
    assert _probe("/nowhere/config.yaml", "gateway: {port: 1}") == "True True\n"


def test_without_pyyaml_the_fix_is_said() -> None:
    said = _probe("/nowhere/config.yaml", "gateway: {port: 1}", "sys.modules['yaml'] = None")
    assert "PyYAML is not installed" in said
    assert "openclaw-gateway[yaml]" in said
