"""A pair is good, or it is said which file is wrong and how."""

from __future__ import annotations

import os
import ssl
from pathlib import Path

import pytest

from openclaw.base.errors import ConfigError
from openclaw.client.resolve import fingerprint_of
from openclaw.net.certificate import MAX_BYTES, SELF_SIGNED_DAYS, Pair, make_pair, read_pair
from tests.net.certificates import LONG_MS, pair_in

NOW_MS = 1_800_000_000_000
DAY_MS = 86_400_000


def refusal(pair: Pair, now_ms: int = NOW_MS) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        read_pair(pair, now_ms)
    assert caught.value.hint
    return caught.value


def test_a_good_pair_is_read_with_its_fingerprint_and_end(tmp_path: Path) -> None:
    pair = pair_in(tmp_path)
    found = read_pair(pair, NOW_MS)
    assert (found.fingerprint, found.ends_ms) == (fingerprint_of(pair.certificate), LONG_MS)
    assert found.context.minimum_version is ssl.TLSVersion.TLSv1_2


def test_each_fault_is_named_with_its_file_and_setting(tmp_path: Path) -> None:
    good, other = pair_in(tmp_path / "good"), pair_in(tmp_path / "other")
    nowhere = tmp_path / "nowhere.pem"
    no_certificate = refusal(Pair(nowhere, good.key))
    assert (no_certificate.message, no_certificate.details["path"]) == (
        f"{nowhere} does not exist",
        "gateway.tls.certPath",
    )
    no_key = refusal(Pair(good.certificate, nowhere))
    assert (no_key.message, no_key.details["path"]) == (f"{nowhere} does not exist", "gateway.tls.keyPath")
    assert "does not belong to the certificate" in refusal(Pair(good.certificate, other.key)).message
    assert "no certificate and key" in refusal(Pair(good.key, good.certificate)).message
    assert "no file of at most" in refusal(Pair(tmp_path, good.key)).message
    assert "is encrypted" in refusal(pair_in(tmp_path / "sealed", passphrase=b"secret")).message
    over = refusal(pair_in(tmp_path / "over", ends_ms=NOW_MS - DAY_MS))
    assert "expired on 2027-01-14" in over.message
    garbage = tmp_path / "garbage.pem"
    garbage.write_bytes(b"\0" * 100)
    assert "no certificate and key" in refusal(Pair(garbage, good.key)).message
    garbage.write_bytes(b"-" * (MAX_BYTES + 1))
    assert "no file of at most" in refusal(Pair(garbage, good.key)).message
    assert "cannot be read" in refusal(Pair(Path("a\0b"), good.key)).message
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    assert "no file of at most" in refusal(Pair(fifo, good.key)).message


def test_a_pair_that_is_made_is_private_good_for_its_names_and_never_replaces_anything(tmp_path: Path) -> None:
    pair = Pair(tmp_path / "new" / "tls" / "cert.pem", tmp_path / "new" / "tls" / "key.pem")
    assert make_pair(pair, ("localhost", "127.0.0.1", "::1", "gw.example"), NOW_MS)
    assert pair.key.stat().st_mode & 0o777 == 0o600
    assert pair.key.parent.stat().st_mode & 0o777 == 0o700
    assert read_pair(pair, NOW_MS).ends_ms == NOW_MS + (SELF_SIGNED_DAYS - 1) * DAY_MS
    before = pair.key.read_bytes()
    assert not make_pair(pair, ("localhost",), NOW_MS)
    pair.certificate.unlink()
    assert not make_pair(pair, ("localhost",), NOW_MS)
    assert pair.key.read_bytes() == before
    pair.certificate.symlink_to(tmp_path / "elsewhere")
    pair.key.unlink()
    assert not make_pair(pair, ("localhost",), NOW_MS)
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="cannot be written"):
        make_pair(Pair(tmp_path / "file" / "cert.pem", tmp_path / "file" / "key.pem"), ("localhost",), NOW_MS)


def test_the_fingerprint_of_what_is_no_certificate_is_none(tmp_path: Path) -> None:
    assert fingerprint_of(tmp_path) == ""
    assert fingerprint_of(tmp_path / "nothing") == ""
    begin, end = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
    for number, text in enumerate(("", "ä", begin, f"{end}{begin}", f"{begin}\n?\n{end}", f"{begin}\nabc\n{end}")):
        place = tmp_path / f"{number}.pem"
        place.write_text(text)
        assert fingerprint_of(place) == "", text
