from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from openclaw.protocol.limits import close_reason
from openclaw.protocol.versions import SUPPORTED, negotiate, shape_for


@given(st.text())
def test_a_close_reason_fits_and_is_a_prefix(text: str) -> None:
    reason = close_reason(text)
    assert len(reason.encode()) <= 123
    if text.isprintable() and not any(0xD800 <= ord(char) <= 0xDFFF for char in text):
        assert text.startswith(reason)


def test_a_reason_is_never_cut_inside_a_character() -> None:
    assert close_reason("ä" * 62) == "ä" * 61


@given(st.integers(), st.integers())
def test_the_highest_common_version_is_chosen(low: int, high: int) -> None:
    chosen = negotiate(low, high)
    common = [version for version in SUPPORTED if low <= version <= high]
    assert chosen == (max(common) if common else None)


def test_only_a_client_of_protocol_3_gets_its_shapes() -> None:
    assert shape_for(3, 3) == shape_for(1, 3) == 3
    assert {shape_for(3, 4), shape_for(4, 4), shape_for(99, 99), shape_for("3", 3), shape_for(None, None)} == {4}
