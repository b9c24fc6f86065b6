"""Variables of the login shell: taken only where they are wanted, expected and missing."""

from __future__ import annotations

import pytest

from tests.secrets.conftest import House
from tests.secrets.test_sources import naming, token

pytestmark = pytest.mark.anyio

ON = "{env: {shellEnv: {enabled: true, timeoutMs: 2000}}, hooks: {token: '${HOOK_KEY}'}}"


def with_profile(house: House, profile: str, shell: str = "/bin/sh") -> None:
    """Give the user a profile that the login shell reads."""
    (house.folder / ".profile").write_text(profile)
    house.variables["SHELL"] = shell


async def test_what_is_expected_and_missing_comes_from_the_profile(house: House) -> None:
    with_profile(house, "echo Welcome; export OPENAI_API_KEY=sk-shell HOOK_KEY='two words' OTHER=x\n")
    loaded = await house.resolved(ON)
    assert token(loaded) == "two words"
    assert loaded.env.get("OPENAI_API_KEY") == "sk-shell"
    assert loaded.env.source("OPENAI_API_KEY") == "login shell"
    assert loaded.env.get("OTHER") is None
    assert {secret.reveal() for secret in house.told} == {"sk-shell", "two words"}


async def test_no_other_source_is_overridden_not_even_the_configurations_own(house: House) -> None:
    with_profile(house, "export OPENAI_API_KEY=shell ANTHROPIC_API_KEY=shell HOOK_KEY=shell\n")
    house.variables["OPENAI_API_KEY"] = "process"
    text = "{env: {ANTHROPIC_API_KEY: 'block', shellEnv: {enabled: true}}, hooks: {token: '${HOOK_KEY}'}}"
    loaded = await house.resolved(text)
    assert [loaded.env.get(f"{name}_API_KEY") for name in ("OPENAI", "ANTHROPIC")] == ["process", "block"]
    assert token(loaded) == "shell"


@pytest.mark.parametrize(("says", "asked"), [("1", True), ("true", True), ("0", False), ("", False)])
async def test_the_variable_says_it_as_well_as_the_configuration(house: House, says: str, asked: bool) -> None:
    with_profile(house, "export OPENAI_API_KEY=sk-shell\n")
    house.variables["OPENCLAW_LOAD_SHELL_ENV"] = says
    assert ((await house.resolved("{}")).env.get("OPENAI_API_KEY") == "sk-shell") is asked


async def test_the_variable_switches_off_what_the_configuration_wants(house: House) -> None:
    with_profile(house, "export HOOK_KEY=shell\n")
    house.variables["OPENCLAW_LOAD_SHELL_ENV"] = "0"
    assert token(await house.resolved(ON)) is None


async def test_a_reference_may_name_a_variable_of_the_shell(house: House) -> None:
    with_profile(house, "export HOOK_KEY=shell\n")
    house.variables["OPENCLAW_LOAD_SHELL_ENV"] = "1"
    assert token(await house.resolved(naming({"source": "env", "id": "HOOK_KEY"}))) == "shell"


async def test_the_shell_is_asked_once(house: House) -> None:
    with_profile(house, 'echo x >> "$HOME/asked"; export HOOK_KEY=shell\n')
    await house.resolved(ON)
    assert token(await house.resolved(again="all")) == "shell"
    assert (house.folder / "asked").read_text() == "x\n"


@pytest.mark.parametrize(
    ("profile", "shell", "said"),
    [
        ("sleep 30\n", "/bin/sh", "longer than 2000 ms"),
        ("exit 3\n", "/bin/sh", "status 3"),
        ("", "/nonexistent/sh", "cannot be run"),
        ("", "/usr/sbin/nologin", "is none"),
        ("", "sh", "is none"),
    ],
)
async def test_a_shell_that_gives_nothing_is_an_issue_that_says_why(
    house: House, profile: str, shell: str, said: str
) -> None:
    with_profile(house, profile, shell)
    loaded = await house.resolved(ON)
    assert [said in issue.message for issue in loaded.issues if issue.path == "env"] == [True]
    assert token(loaded) is None


async def test_what_a_profile_prints_reaches_no_log(house: House, caplog: pytest.LogCaptureFixture) -> None:
    with_profile(house, "echo hunter2; echo hunter2 >&2; export HOOK_KEY=hunter2\n")
    with caplog.at_level("DEBUG"):
        await house.resolved(ON)
    assert "hunter2" not in caplog.text
