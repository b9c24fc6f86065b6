"""SSRF and egress: each published way around a guard, tried on ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from openclaw.base.errors import InvalidRequest, NotSupported
from openclaw.base.message import ImagePart
from openclaw.listeners.openai_api.conversation import conversation
from openclaw.listeners.openai_api.request import ChatMessage
from openclaw.policy.cases.egress import egress_case
from openclaw.rpc.cron_wish import delivery_of
from tests.stand_ins.inner_net import OTHER, PUBLIC, has_namespaces, in_a_network_of_its_own

_DISGUISES = """
    0:0:0:0:0:ffff:7f00:1 ::ffff:127.0.0.1 ::FFFF:7F00:0001 0000:0000:0000:0000:0000:ffff:7f00:0001 ::7f00:1
    ::ffff:0:127.0.0.1 64:ff9b::7f00:1 64:ff9b:1::7f00:1 2002:7f00:1:: ::ffff:a9fe:a9fe ::ffff:10.0.0.1 ::1 ::
"""


needs_namespaces = pytest.mark.skipif(not has_namespaces(), reason="needs namespaces of its own")


@pytest.mark.parametrize("address", _DISGUISES.split())
def test_cve_2026_26324_an_inner_address_in_ipv6_clothes_is_inner(address: str) -> None:
    for policy in ({"allowEgress": True}, {"allowEgress": True, "egressAllowlist": ["127.0.0.1", "::/0", "0.0.0.0/0"]}):
        answer = egress_case({"url": f"http://[{address}]/", "policy": policy})
        assert (answer["verdict"], answer["lookups"]) == ("deny", [])
        answer = egress_case(
            {"url": "http://a.example/", "policy": policy, "dns": {"a.example": [["8.8.8.8", address]]}}
        )
        assert answer["verdict"] == "deny"
        assert "connect_ip" not in answer


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/i.png",
        "http://localhost:8080/i.png",
        "http://169.254.169.254/latest/meta-data/",
        "http://[::ffff:127.0.0.1]/i.png",
        "http://0x7f.1/i.png",
        "http://10.0.0.1/i.png",
        "http://metadata.google.internal/",
        "http://vault/i.png",
        "https://u:p@images.example/i.png",
    ],
)
def test_cve_2026_28467_an_attachments_address_is_judged_and_never_fetched_by_us(url: str) -> None:
    def parts(address: str) -> Any:
        content = [{"type": "image_url", "image_url": {"url": address}}]
        message = msgspec.convert({"role": "user", "content": content}, ChatMessage)
        return conversation([message], keeps_session=True).message.parts

    assert parts("https://images.example/i.png") == (ImagePart(url="https://images.example/i.png"),)
    with pytest.raises(InvalidRequest):
        parts(url)


def test_ghsa_w45g_5746_x9fp_a_webhook_is_no_way_out() -> None:
    for url in ("http://127.0.0.1:9/", "https://hooks.example/x"):
        with pytest.raises(NotSupported):
            delivery_of({"mode": "webhook", "to": url}, "cron.add")


@needs_namespaces
@pytest.mark.anyio
async def test_cve_2026_43582_a_name_that_is_rebound_never_leads_inside(tmp_path: Path) -> None:
    seen = await in_a_network_of_its_own(
        tmp_path,
        [
            "http://site.example/",
            "http://rebind.example/",
            "http://rebind.example/",
            "http://mixed.example/",
            "http://inner.example/",
            "http://six.example/",
            "http://mapped.example/",
            "http://hop.example/to/http://inner.example/",
            "http://hop.example/to/http://127.0.0.1/",
            "http://hop.example/to/http://[fd00::99]/",
            "http://hop.example/to/http://other.example/",
            "http://127.0.0.1/",
            "http://10.20.30.40/",
            "http://[::1]/",
            "http://[fd00::99]/",
            f"http://{OTHER}/",
        ],
    )
    reached = [key.partition(" ")[2] for key, came_to in seen["came_to"].items() if came_to == "hello"]
    assert reached == [
        "http://site.example/",
        "http://rebind.example/",
        "http://hop.example/to/http://other.example/",
        f"http://{OTHER}/",
    ]
    assert seen["canary"] == 0
    assert seen["asked"].count("rebind.example") == 2, "once for each request"
    other = [head for head in seen["heads"] if "Host: other.example" in head]
    assert len(other) == 1
    assert "s3cret" not in other[0]
    denied = [row for row in seen["rows"] if row.get("answer") == "deny"]
    assert len(denied) == 12
    assert {row["rule"] for row in denied} == {"egress.address"}
    assert all(row.get("facts", {}).get("address") != PUBLIC for row in denied)
