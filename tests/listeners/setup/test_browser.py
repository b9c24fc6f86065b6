"""The set-up in a real browser against a real gateway: from a wrong password to the page."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.gateway.process import TOKEN, GatewayProcess, free_port, write_config
from tests.listeners.control_ui.test_browser import CHROMIUM, browser

PASSWORD = "setup-password-7"
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
            await page.wait_for_timeout(1_200)
            await page.fill("#password", PASSWORD)
            await page.click("#door button")
            await page.locator("#steps").wait_for()
            await page.select_option("#provider", "custom")
            await page.fill("#key", KEY)
            await page.fill("#base-url", f"{running.http_url}/v1")
            await page.fill("#model", "openclaw")
            await page.click("#provider-form button")
            await page.locator("#provider-line", has_text="custom/openclaw answers").wait_for()
            async with page.expect_download() as download:
                await page.click("#export-form button")
            assert (await (await download.value).path()).stat().st_size > 1_000
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
