"""The set-up's page as somebody goes through it in a browser."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.async_api import Page

PASSWORD = "setup-password-7"


async def enter(page: Page) -> None:
    """Give the password at the door."""
    await page.fill("#password", PASSWORD)
    await page.click("#door button")
    await page.locator("#steps").wait_for()


async def sign_in(page: Page, url: str) -> None:
    """Open the set-up of a gateway and enter."""
    await page.goto(f"{url}/setup")
    await enter(page)


async def connect_and_export(page: Page, models_url: str, key: str) -> None:
    """Connect an endpoint that speaks as OpenAI does, and take the first backup."""
    await page.select_option("#provider", "custom")
    await page.fill("#key", key)
    await page.fill("#base-url", models_url)
    await page.fill("#model", "openclaw")
    await page.click("#provider-form button")
    await page.locator("#provider-line", has_text="custom/openclaw answers").wait_for()
    async with page.expect_download() as download:
        await page.click("#export-form button")
    assert (await (await download.value).path()).stat().st_size > 1_000
