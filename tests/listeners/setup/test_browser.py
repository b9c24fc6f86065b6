"""The set-up in a real browser against a real gateway: from a wrong password to the page."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from openclaw.config.env import load_environment
from openclaw.config.paths import resolve_paths
from openclaw.models.local.shelf import installed
from openclaw.ops.doctor.proxy import snippet
from tests.cli.gateway_process import wait_until
from tests.cli.nginx import serving_nginx
from tests.gateway.process import START_S, TOKEN, GatewayProcess, free_port, write_config
from tests.listeners.control_ui.test_browser import CHROMIUM, browser
from tests.listeners.setup.steps import PASSWORD, connect_and_export, sign_in

if TYPE_CHECKING:
    from playwright.async_api import Page

PASSPHRASE = "Größe & 100 % long"
MODELS = resolve_paths(load_environment()).cache_dir
KEY = TOKEN
pytestmark = [
    pytest.mark.anyio,
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine"),
]


async def test_a_wrong_password_is_throttled_and_the_right_one_leads_to_the_page(tmp_path: Path) -> None:
    folder, port = tmp_path / "state", free_port()
    limits = {"maxAttempts": 2, "windowMs": 60_000, "lockoutMs": 1_000}
    endpoints = {"endpoints": {"chatCompletions": {"enabled": True}}}
    write_config(folder, port, gateway={"auth": {"token": TOKEN, "rateLimit": limits}, "http": endpoints})
    env = {"SETUP_PASSWORD": PASSWORD, "PORT": str(port)}
    running = await GatewayProcess.start(folder, port, env=env)
    try:
        await running.ready()
        async with browser(refusals=True) as context:
            page = await context.new_page()
            await page.goto(f"{running.http_url}/setup")
            for why in ("This is not the set-up", "This is not the set-up", "too many"):
                await page.fill("#password", "wrong")
                await page.click("#door button")
                await page.locator("#line", has_text=why).wait_for()
            await when_it_opens(page)
            await connect_and_export(page, f"{running.http_url}/v1", KEY)
            await page.click("#pair")
            await page.locator("#house").wait_for()
            assert TOKEN not in page.url
        written = json.loads((folder / "openclaw.json").read_text())
        assert written["agents"]["defaults"]["model"] == "custom/openclaw"
        assert written["models"]["providers"]["custom"]["apiKey"]["source"] == "file"
        assert json.loads((folder / "secrets.json").read_text()) == {"models.providers.custom.apiKey": KEY}
        assert (folder / "secrets.json").stat().st_mode & 0o777 == 0o600
        assert PASSWORD not in running.output()
        assert KEY not in running.output()
    finally:
        await running.stop()


async def when_it_opens(page: Page) -> None:
    """Give the right password until the lockout is over."""
    async with asyncio.timeout(START_S):
        while not await page.locator("#steps").is_visible():
            await page.fill("#password", PASSWORD)
            async with page.expect_response(lambda answer: answer.url.endswith("/setup/login")) as told:
                await page.click("#door button")
            if (await told.value).ok:
                await page.locator("#steps").wait_for()


async def talk(page: Page, text: str) -> None:
    """Say something in the gateway's page and wait for the answer."""
    await page.fill("#draft", text)
    await page.press("#draft", "Enter")
    await page.locator("#messages li", has_text=f"fake: {text}").wait_for()


async def answered(running: GatewayProcess) -> dict[str, tuple[str, list[tuple[str, str]]]]:
    """Return the sessions once the only turn is over: the page shows what is said as it is said."""
    async with asyncio.timeout(START_S):
        while True:
            found = await sessions(running)
            if [role for _, told in found.values() for role, _ in told] == ["user", "assistant"]:
                return found
            await asyncio.sleep(0.02)


async def sessions(running: GatewayProcess) -> dict[str, tuple[str, list[tuple[str, str]]]]:
    """Return the id and the transcript of every session."""
    found: dict[str, Any] = {}
    async with await running.connect() as client:
        for each in (await client.call("sessions.list", {"limit": 100}))["sessions"]:
            told = (await client.call("chat.history", {"sessionKey": each["key"]}))["messages"]
            found[each["key"]] = each["sessionId"], [(one["role"], json.dumps(one["content"])) for one in told]
    return found


async def test_what_was_exported_is_brought_into_an_empty_gateway_with_the_same_sessions(tmp_path: Path) -> None:
    folder, port = tmp_path / "state", free_port()
    env = {"SETUP_PASSWORD": PASSWORD, "PORT": str(port)}
    write_config(folder, port)
    first = await GatewayProcess.start(folder, port, env=env)
    second = None
    try:
        await first.ready()
        async with browser(refusals=True) as context:
            page = await context.new_page()
            await sign_in(page, first.http_url)
            await page.click("#pair")
            await talk(page, "Remember the 7 hills")
            before = await answered(first)
            await page.goto(f"{first.http_url}/setup")
            await page.fill("#passphrase", PASSPHRASE)
            async with page.expect_download() as download:
                await page.click("#export-form button")
            archive = tmp_path / "taken.tar.gz.age"
            await (await download.value).save_as(archive)
            await first.stop()
            shutil.rmtree(folder)
            folder.mkdir(mode=0o700)

            second = again = await GatewayProcess.start(folder, port, env=env)
            await asyncio.to_thread(wait_until, lambda: "gateway_ready" in again.output())
            await sign_in(page, second.http_url)
            await page.set_input_files("#archive", archive)
            await page.check("#import-sure")
            await page.fill("#import-passphrase", "another passphrase")
            await page.click("#import-form button")
            await page.locator("#line", has_text="the passphrase does not open the backup").wait_for()
            assert list(folder.glob(".restore*")) == []
            await page.fill("#import-passphrase", PASSPHRASE)
            await page.click("#import-form button")
            await page.locator("#line", has_text="The gateway is back").wait_for()
            await page.fill("#password", PASSWORD)
            await page.click("#door button")
            await page.locator("#outcome", has_text="is in place").wait_for()
            assert await sessions(second) == before
            await page.click("#pair")
            await page.locator("#messages li", has_text="fake: Remember the 7 hills").wait_for()
            await talk(page, "And the river")
        assert second.process.returncode is None
        assert len(list((folder / "pre-restore").iterdir())) == 1
    finally:
        await first.stop()
        if second is not None:
            await second.stop()


async def test_behind_a_proxy_with_a_path_the_browser_is_let_in_from_the_set_up_and_a_backup_brought_back(
    tmp_path: Path,
) -> None:
    folder, port, front = tmp_path / "state", free_port(), free_port()
    url = f"http://localhost:{front}/openclaw"
    write_config(folder, 1, gateway={"auth": {"token": TOKEN}, "publicBaseUrl": url})
    env = {"SETUP_PASSWORD": PASSWORD, "PORT": str(port), "OPENCLAW_TRUSTED_PROXIES": "127.0.0.1"}
    running = await GatewayProcess.start(folder, port, env=env)
    server = snippet("nginx", f"127.0.0.1:{port}", "localhost", "/openclaw")
    try:
        await running.ready()
        with serving_nginx(tmp_path / "nginx", front, server):
            async with browser(refusals=True) as context:
                page = await context.new_page()
                await sign_in(page, url)
                assert await page.locator("#unlisted").is_hidden()
                await page.click("#pair")
                await page.locator("#door-why", has_text="pairing").wait_for()
                await page.goto(f"{url}/setup")
                await page.click("#waiting button")
                await page.locator("#waiting li").wait_for(state="detached")
                await page.click("#pair")
                await talk(page, "Hello from afar")
                before = await sessions(running)
                await page.goto(f"{url}/setup")
                async with page.expect_download() as download:
                    await page.click("#export-form button")
                await page.set_input_files("#archive", await (await download.value).path())
                await page.check("#import-sure")
                await page.click("#import-form button")
                await page.locator("#line", has_text="The gateway is back").wait_for()
                await sign_in(page, url)
                await page.click("#pair")
                await page.locator("#messages li", has_text="fake: Hello from afar").wait_for()
                assert page.url.startswith(f"{url}/")
        assert await sessions(running) == before
    finally:
        await running.stop()


@pytest.mark.model
@pytest.mark.skipif("smollm2" not in installed(MODELS), reason="SmolLM2 was not fetched")
async def test_the_model_on_this_machine_is_tested_kept_and_answers_in_the_page(tmp_path: Path) -> None:
    folder, port = tmp_path / "state", free_port()
    write_config(folder, port)
    env = {"SETUP_PASSWORD": PASSWORD, "PORT": str(port), "OPENCLAW_CACHE_DIR": str(MODELS)}
    running = await GatewayProcess.start(folder, port, env=env)
    try:
        await running.ready()
        async with browser(refusals=True) as context:
            context.set_default_timeout(60_000)
            page = await context.new_page()
            await sign_in(page, running.http_url)
            await page.select_option("#provider", "embedded")
            await page.click("#provider-form button")
            await page.locator("#provider-line", has_text="embedded/smollm2 answers").wait_for()
            await page.click("#pair")
            await page.fill("#draft", "Say hello.")
            await page.press("#draft", "Enter")
            await page.locator("#messages li:not(.user)").wait_for()
            await page.locator("#stop").wait_for(state="hidden")
            (_, told) = next(iter((await sessions(running)).values()))
            assert [role for role, _ in told] == ["user", "assistant"]
    finally:
        await running.stop()
