"""The page in a real browser against a real gateway: signing in, talking, coming back, letting a device in."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from websockets.asyncio.client import connect

from openclaw.base.secret import Secret
from openclaw.client import Credentials, Role
from openclaw.client.handshake import connect_params
from openclaw.protocol.device_auth import DeviceKey
from tests.gateway.process import START_S, TOKEN, GatewayProcess, free_port, gateway, write_config
from tests.processes.waiting import until

if TYPE_CHECKING:
    from playwright.async_api import BrowserContext, ConsoleMessage, Page

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
ARGUMENTS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
REFUSALS = ("status of 400", "status of 401", "status of 429", "status of 502", "ERR_CONNECTION", "ERR_EMPTY_RESPONSE")
pytestmark = [
    pytest.mark.anyio,
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine"),
]


@asynccontextmanager
async def browser(*, refusals: bool = False, any_certificate: bool = False) -> AsyncIterator[BrowserContext]:
    """A browser with an empty profile. With `refusals`, a gateway that says no, or is away, is no fault."""
    from playwright.async_api import async_playwright

    async with async_playwright() as playwright:
        started = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        try:
            context = await started.new_context(ignore_https_errors=any_certificate)
            context.set_default_timeout(START_S * 1000)
            complaints: list[str] = []
            context.on("weberror", lambda failed: complaints.append(str(failed.error)))

            def listen(said: ConsoleMessage) -> None:
                if said.type == "error":
                    complaints.append(said.text)

            context.on("console", listen)
            async with asyncio.timeout(60):
                yield context
            expected = ("WebSocket connection", *(REFUSALS if refusals else ()))
            assert [text for text in complaints if not any(one in text for one in expected)] == []
        finally:
            await started.close()


async def opened(context: BrowserContext, running: GatewayProcess, fragment: str = f"#token={TOKEN}") -> Page:
    """Open the page."""
    page = await context.new_page()
    await page.goto(f"{running.http_url}/{fragment}")
    return page


async def say(page: Page, text: str) -> None:
    await page.fill("#draft", text)
    await page.press("#draft", "Enter")


async def answered(page: Page, text: str) -> None:
    await page.locator("#messages li", has_text=text).last.wait_for()


async def test_a_token_in_the_address_is_used_once_and_the_device_comes_back_without_it(tmp_path: Path) -> None:
    async with gateway(tmp_path / "state") as running, browser() as context:
        page = await opened(context, running)
        await say(page, "Hello <b>there</b>")
        await answered(page, "fake: Hello <b>there</b>")
        assert TOKEN not in page.url
        assert await page.locator("#messages b").count() == 0
        again = await opened(context, running, "")
        await answered(again, "fake: Hello <b>there</b>")
        assert await again.locator("#messages li").count() == 2
        kept = await again.evaluate("JSON.stringify([Object.entries(localStorage), Object.entries(sessionStorage)])")
        assert kept == "[[],[]]"


async def test_without_a_token_the_door_asks_and_a_wrong_one_says_why(tmp_path: Path) -> None:
    async with gateway(tmp_path / "state") as running, browser() as context:
        page = await opened(context, running, "")
        await page.locator("#door-token").wait_for()
        assert await page.inner_text("#door-why") == ""
        await page.fill("#door-token", "wrong")
        await page.click("#door-form button")
        await page.locator("#door-why", has_text="gateway token mismatch").wait_for()
        await page.fill("#door-token", TOKEN)
        await page.click("#door-form button")
        await page.locator("#house").wait_for()


async def test_a_run_can_be_stopped_and_the_page_survives_a_restart(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    async with gateway(folder, model="fake/fake-n2000-d10") as running, browser() as context:
        page = await opened(context, running)
        await say(page, "count")
        await answered(page, "xxxx")
        await page.click("#stop")
        await answered(page, "Stopped.")
        await running.stop()
        await page.locator("#line", has_text="Connection lost").wait_for()
        back = await GatewayProcess.start(folder, running.port)
        try:
            await back.ready()
            await page.locator("#line", has_text="openclaw").wait_for()
            await answered(page, "xxxx")
        finally:
            await back.stop()


async def test_what_an_agent_asks_for_is_decided_in_the_chat_or_on_the_page_of_all(tmp_path: Path) -> None:
    async with gateway(tmp_path / "state") as running, browser() as context:
        page = await opened(context, running)
        workspace = tmp_path / "state" / "workspace"
        for name, decision in (("denied", "Deny"), ("made", "Allow once")):
            await say(page, f'/tool exec {{"command": "touch {name}"}}')
            asked = page.locator("#chat-approvals li", has_text=f"touch {name}")
            await asked.get_by_role("button", name=decision).click()
            await asked.wait_for(state="detached")
            await page.locator("#messages li", has_text="fake:").nth(0 if name == "denied" else 1).wait_for()
        assert [path.name for path in workspace.iterdir()] == ["made"]
        await say(page, '/tool propose_config {"patch": {"identity": {"name": "Molly"}}, "why": "a name"}')
        await page.locator("#approvals-waiting", has_text="1").wait_for()
        await page.click("a[data-page=approvals]")
        proposed = page.locator("#approvals li", has_text="identity.name")
        await proposed.get_by_role("button", name="Allow once").click()
        await proposed.wait_for(state="detached")
        file = tmp_path / "state" / "openclaw.json"
        await until(lambda: "Molly" in file.read_text())  # it is written after the decision is told


async def test_a_device_from_afar_is_let_in_from_the_page(tmp_path: Path) -> None:
    async with behind_a_proxy(tmp_path / "state") as running, browser() as context:
        page = await opened(context, running)
        await page.locator("#house").wait_for()
        key = DeviceKey.new()
        refused = await knock(running, key)
        assert refused["error"]["details"]["code"] == "PAIRING_REQUIRED"
        await page.locator("#devices-waiting", has_text="1").wait_for()
        await page.click("a[data-page=devices]")
        await page.locator("#devices-pending li", has_text=key.device_id).locator("text=Approve").click()
        await page.locator("#devices-paired li", has_text=key.device_id).wait_for()
        assert (await knock(running, key))["ok"] is True
        page.on("dialog", lambda dialog: dialog.accept())
        await page.locator("#devices-paired li", has_text=key.device_id).locator("text=Remove").click()
        await page.locator("#devices-paired li", has_text=key.device_id).wait_for(state="detached")
        assert (await knock(running, key))["ok"] is False


@asynccontextmanager
async def behind_a_proxy(folder: Path) -> AsyncIterator[GatewayProcess]:
    """A gateway that believes forwarding headers from this machine."""
    port = free_port()
    settings = {"port": port, "trustedProxies": ["127.0.0.1"], "auth": {"token": TOKEN}}
    write_config(folder, port, gateway=settings)
    running = await GatewayProcess.start(folder, port)
    try:
        yield await running.ready()
    finally:
        await running.stop()


async def knock(running: GatewayProcess, key: DeviceKey) -> dict[str, Any]:
    """Connect as a device behind the proxy; return the answer."""
    from_afar = {"X-Forwarded-For": "203.0.113.9"}
    async with connect(running.ws_url, additional_headers=from_afar, proxy=None) as socket:
        challenge = msgspec.json.decode(await socket.recv())
        params = connect_params(Role(), Credentials(token=Secret(TOKEN)), key, challenge["payload"]["nonce"])
        await socket.send(
            msgspec.json.encode({"type": "req", "id": "1", "method": "connect", "params": params}).decode()
        )
        while True:
            frame: dict[str, Any] = msgspec.json.decode(await socket.recv())
            if frame.get("id") == "1":
                return frame
