"""Money is counted in millionths of a US dollar, as whole numbers, so that sums are exact."""

from __future__ import annotations

USD_MICROS = 1_000_000
"""One dollar."""


def dollars(usd_micros: int) -> str:
    """Return an amount as a person reads it: whole cents, and as many digits more as it takes to be exact."""
    whole, rest = divmod(abs(usd_micros), USD_MICROS)
    digits = f"{rest:06d}"
    return f"{'-' if usd_micros < 0 else ''}${whole:,}.{digits[:2]}{digits[2:].rstrip('0')}"
