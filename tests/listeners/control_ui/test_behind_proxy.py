"""Through a real nginx with TLS, at a root, below a path that is cut off, and one that is passed on: set-up, then page.

nginx is started with the text of docs/proxy.md.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from openclaw.ops.doctor.proxy import snippet
from tests.cli.nginx import serving_nginx
from tests.gateway.process import TOKEN, GatewayProcess, free_port, write_config
from tests.listeners.control_ui.test_browser import CHROMIUM, answered, browser, say
from tests.listeners.setup.steps import PASSWORD, connect_and_export, enter
from tests.net.certificates import pair_in

MANUAL = Path(__file__).parents[3] / "docs" / "proxy.md"
pytestmark = [
    pytest.mark.anyio,
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine"),
]


def manual(name: str) -> str:
    """Return the manual's text for nginx."""
    found = re.search(rf"```nginx {name}\n(.*?)```", MANUAL.read_text(), re.DOTALL)
    assert found
    return found[1]


def test_the_manual_has_what_the_doctor_prints() -> None:
    assert manual("cut") == snippet("nginx", "127.0.0.1:18789", "chat.example.com", "/claw")


def at_root(text: str) -> str:
    """Leave the path out, as the manual says."""
    return re.sub(r"    location = /claw \{.*?\n    \}\n", "", text, flags=re.DOTALL).replace(
        "location /claw/", "location /"
    )


@pytest.mark.parametrize(
    ("text", "base", "setting"),
    [(at_root(manual("cut")), "", ""), (manual("cut"), "/claw", ""), (manual("passed"), "/claw", "/claw")],
    ids=["root", "cut", "passed"],
)
async def test_the_set_up_leads_to_the_page_and_the_page_talks(
    tmp_path: Path, text: str, base: str, setting: str
) -> None:
    folder, port, front = tmp_path / "state", free_port(), free_port()
    url = f"https://localhost:{front}{base}"
    pair = pair_in(tmp_path / "tls")
    listen = f"listen 127.0.0.1:{front} ssl; ssl_certificate {pair.certificate}; ssl_certificate_key {pair.key};"
    server = text.replace("listen 443 ssl;", listen).replace("127.0.0.1:18789", f"127.0.0.1:{port}")
    settings: dict[str, Any] = {
        "port": port,
        "auth": {"token": TOKEN},
        "trustedProxies": ["127.0.0.1"],
        "publicBaseUrl": url,
        "controlUi": {"basePath": setting},
        "http": {"securityHeaders": {"strictTransportSecurity": "max-age=60"}},
    }
    write_config(folder, port, gateway=settings)
    running = await GatewayProcess.start(folder, port, env={"SETUP_PASSWORD": PASSWORD})
    try:
        await running.ready()
        with serving_nginx(tmp_path / "nginx", front, server):
            async with browser(refusals=True, any_certificate=True) as context:
                page = await context.new_page()
                shown = await page.goto(f"{url}/setup")
                assert shown is not None
                assert shown.headers["strict-transport-security"] == "max-age=60"
                await enter(page)
                (cookie,) = await context.cookies()
                assert (cookie["path"], cookie["secure"], cookie["httpOnly"]) == (f"{base}/setup", True, True)
                await connect_and_export(page, f"http://127.0.0.1:{port}{setting}/v1", TOKEN)
                await page.click("#pair")
                await page.locator("#door-why", has_text="pairing required").wait_for()
                assert page.url == f"{url}/"
                await page.goto(f"{url}/setup")
                await page.locator("#waiting button").click()
                await page.locator("#waiting button").wait_for(state="detached")
                await page.click("#pair")
                await page.locator("#house").wait_for()
                assert TOKEN not in page.url
                again = await context.new_page()
                await again.goto(url)  # without the slash, and without the token: the browser is a device now
                await say(again, "/help")
                await answered(again, "/help")
                assert again.url.startswith(f"{url}/")
    finally:
        await running.stop()
    assert TOKEN not in running.output()
