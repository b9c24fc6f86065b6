"""Every notation of every address that is not public, by every way: nobody inside sees a connection."""

from __future__ import annotations

import ipaddress
from pathlib import Path

import pytest

from tests.net.test_egress import HOSTS, REFUSED
from tests.stand_ins.inner_net import INNER, has_namespaces, in_a_network_of_its_own

pytestmark = pytest.mark.anyio

SPELLINGS = sorted({*HOSTS.split(), *(one for each in REFUSED.values() for one in each.split()), *INNER})
ODD = """
    ①②⑦.⓪.⓪.① 127。0。0。1 127.0.0.1. 0x7f.0x0.0x0.0x1 127.0.0.1%00 127.0.0.1%2f@site.example user@127.0.0.1
    127.0.0.1:080
    site.example@127.0.0.1 127.0.0.1\\@site.example [::ffff:7f00:1%25lo] [0:0:0:0:0:0:0:1] [::FFFF:127.0.0.1] ⑩.20.30.40
    10.20.7720 10.1318440 169090600 0xA141E28 012.024.036.050 localhost.localdomain ip6-localhost LOCALHOST loc%61lhost
"""


def bracketed(spelling: str) -> str:
    return f"[{spelling}]" if ":" in spelling and not spelling.startswith("[") else spelling


@pytest.mark.skipif(not has_namespaces(), reason="needs namespaces of its own")
async def test_no_canary_is_reached_by_any_notation_name_redirect_or_proxy(tmp_path: Path) -> None:
    addresses = [one for one in SPELLINGS if is_plain(one)]
    names = {f"n{number}.example": [[address]] for number, address in enumerate(addresses)}
    hosts = [*map(bracketed, SPELLINGS), *(one for one in ODD.split()), *names]
    urls = [f"http://{host}/" for host in hosts]
    urls += [f"http://hop.example/to/{url}" for url in urls] + [f"http://hop.example/to///{host}/" for host in hosts]
    assert len(urls) > 900
    seen = await in_a_network_of_its_own(tmp_path, [*urls, "http://site.example/"], names)
    assert seen["canary"] == 0
    assert seen["canary_of_proxy"] == 0
    assert seen["canary_met_directly"] == len(INNER), "they were there all the time"
    reached = [url for url, came_to in seen["came_to"].items() if came_to == "hello"]
    assert reached == [f"{len(urls)} http://site.example/"], "and the way was open all the time"
    through = {line for line, answer in seen["proxy"].items() if " 200 " in f"{answer} "}
    assert through == {"GET http://site.example/", "CONNECT site.example:80", "CONNECT hop.example:80"}


def is_plain(spelling: str) -> bool:
    """Say whether a DNS answer can hold it."""
    try:
        return "%" not in spelling and str(ipaddress.ip_address(spelling)) == spelling
    except ValueError:
        return False
