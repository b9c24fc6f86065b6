"""What calls cost, in whole micros of a US dollar and always rounded up: a budget is never overdrawn by rounding."""

from __future__ import annotations

from openclaw.base.model import ModelInfo, ModelRequest, Usage
from openclaw.models.tokens import most_tokens

_PER = 1_000_000 * 100
"""Prices are for a million tokens, and the surcharge of a long prompt is in percent."""


def cost_usd_micros(info: ModelInfo, usage: Usage) -> int | None:
    """Return what a call cost, None when the model's price is unknown. Cached tokens are priced apart."""
    if info.input_usd_micros is None or info.output_usd_micros is None:
        return None
    read, write = usage.cache_read_tokens, usage.cache_write_tokens
    plain = max(0, usage.input_tokens - read - write)
    into = (
        plain * info.input_usd_micros
        + read * _or(info.cache_read_usd_micros, info.input_usd_micros)
        + write * _or(info.cache_write_usd_micros, info.input_usd_micros)
    )
    return _priced(info, max(usage.input_tokens, read + write), into, usage.output_tokens * info.output_usd_micros)


def worst_case_usd_micros(info: ModelInfo, request: ModelRequest, max_output: int) -> int | None:
    """Return the most that a call can cost, None when the price is unknown.

    Shape: a token for each byte of the prompt, at the dearest of the input prices; an answer of `max_output`.
    """
    if info.input_usd_micros is None or info.output_usd_micros is None:
        return None
    tokens = most_tokens(request)
    dearest = max(info.input_usd_micros, info.cache_read_usd_micros or 0, info.cache_write_usd_micros or 0)
    return _priced(info, tokens, tokens * dearest, max_output * info.output_usd_micros)


def _priced(info: ModelInfo, prompt_tokens: int, into: int, out: int) -> int:
    is_long = info.long_prompt_tokens is not None and prompt_tokens > info.long_prompt_tokens
    into_percent, out_percent = (info.long_input_percent, info.long_output_percent) if is_long else (100, 100)
    return -(-(into * into_percent + out * out_percent) // _PER)


def _or(price: int | None, default: int) -> int:
    return default if price is None else price
