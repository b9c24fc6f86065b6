"""What calls cost: exact, rounded up, never less than the provider will bill."""

from __future__ import annotations

from fractions import Fraction

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw.base.message import user
from openclaw.base.model import ModelInfo, ModelRequest, Usage
from openclaw.config.schema import ModelCost, ModelEntry, ProviderConfig
from openclaw.models.catalog import Catalog, builtin
from openclaw.models.spend.pricing import cost_usd_micros, worst_case_usd_micros
from openclaw.models.tokens import most_tokens

SONNET = Catalog().info("anthropic", "claude-sonnet-5-5")
HAIKU = Catalog().info("anthropic", "claude-haiku-5-5")


def test_cached_tokens_are_priced_apart() -> None:
    usage = Usage(1_000_000, 100_000, cache_read_tokens=600_000, cache_write_tokens=200_000)
    # 0.2 M at $2, 0.6 M at $0.10, 0.2 M at $2.50, 0.1 M out at $10.
    assert cost_usd_micros(SONNET, usage) == 400_000 + 60_000 + 500_000 + 1_000_000


def test_a_part_of_a_micro_counts_as_one() -> None:
    assert cost_usd_micros(HAIKU, Usage(1, 0)) == 1
    assert cost_usd_micros(HAIKU, Usage(0, 0)) == 0


def test_a_long_prompt_is_dearer_as_a_whole() -> None:
    assert cost_usd_micros(HAIKU, Usage(100_000, 1_000)) == 10_000 + 500
    assert cost_usd_micros(HAIKU, Usage(100_001, 1_000)) == 50_001 + 2_500


def test_an_unknown_price_is_none() -> None:
    assert cost_usd_micros(ModelInfo(id="x", provider="y"), Usage(1, 1)) is None
    assert worst_case_usd_micros(ModelInfo(id="x", provider="y"), ModelRequest(model="x"), 9) is None
    half = ModelInfo(id="x", provider="y", input_usd_micros=1)
    assert cost_usd_micros(half, Usage(1, 1)) is None


PRICE = st.integers(0, 10**9)
INFOS = st.builds(
    ModelInfo,
    id=st.just("m"),
    provider=st.just("p"),
    input_usd_micros=PRICE,
    output_usd_micros=PRICE,
    cache_read_usd_micros=st.none() | PRICE,
    cache_write_usd_micros=st.none() | PRICE,
    long_prompt_tokens=st.none() | st.integers(1, 1000),
    long_input_percent=st.integers(100, 1000),
    long_output_percent=st.integers(100, 1000),
)


@given(INFOS, st.text(max_size=500), st.integers(0, 10**6), st.data())
def test_no_usage_that_a_prompt_can_have_costs_more_than_the_worst_case(
    info: ModelInfo, text: str, max_output: int, data: st.DataObject
) -> None:
    request = ModelRequest(model="m", messages=(user(text),))
    worst = worst_case_usd_micros(info, request, max_output)
    total = data.draw(st.integers(0, most_tokens(request)))
    read = data.draw(st.integers(0, total))
    write = data.draw(st.integers(0, total - read))
    cost = cost_usd_micros(info, Usage(total, data.draw(st.integers(0, max_output)), read, write))
    assert worst is not None
    assert cost is not None
    assert 0 <= cost <= worst


@given(INFOS, st.integers(0, 10**7), st.integers(0, 10**7))
def test_the_cost_is_exact_and_rounded_up(info: ModelInfo, into: int, out: int) -> None:
    flat = msgspec.structs.replace(info, long_prompt_tokens=None)
    assert flat.input_usd_micros is not None
    assert flat.output_usd_micros is not None
    exact = Fraction(into * flat.input_usd_micros + out * flat.output_usd_micros, 1_000_000)
    cost = cost_usd_micros(flat, Usage(into, out))
    assert cost is not None
    assert 0 <= cost - exact < 1


def test_every_price_in_the_data_file_is_whole_and_cached_input_is_never_dearer_than_a_quarter_more() -> None:
    for row in builtin().models:
        if row.input_usd_micros is None:
            continue
        assert row.output_usd_micros is not None
        assert row.output_usd_micros >= row.input_usd_micros
        assert (row.cache_read_usd_micros or 0) <= row.input_usd_micros
        assert (row.cache_write_usd_micros or 0) <= row.input_usd_micros * 1.25
    assert all(row.input_usd_micros is not None for row in builtin().models if row.provider in ("anthropic", "openai"))


@pytest.mark.parametrize(("provider", "model"), [("embedded", "mine"), ("fake", "echo"), ("ollama", "llama3")])
def test_models_of_ones_own_machine_cost_nothing(provider: str, model: str) -> None:
    info = Catalog().info(provider, model)
    assert cost_usd_micros(info, Usage(10**9, 10**9)) == 0


def test_a_configured_price_wins_and_a_known_one_stays() -> None:
    cost = ModelCost(input=3, output=15.5, cache_read=0.3)
    entries = (ModelEntry(id="claude-opus-5", cost=cost), ModelEntry(id="claude-sonnet-5-5"), ModelEntry(id="own"))
    box = ProviderConfig(api="ollama", models=(ModelEntry(id="a", cost=cost),))
    catalog = Catalog({"anthropic": ProviderConfig(api="anthropic-messages", models=entries), "box": box})
    info = catalog.info("anthropic", "claude-opus-5")
    assert (info.input_usd_micros, info.output_usd_micros) == (3_000_000, 15_500_000)
    assert (info.cache_read_usd_micros, info.cache_write_usd_micros) == (300_000, None)
    assert catalog.info("anthropic", "claude-sonnet-5-5").output_usd_micros == 10_000_000
    assert catalog.info("anthropic", "own").input_usd_micros is None
    assert catalog.info("box", "a").input_usd_micros == 3_000_000


def test_another_providers_price_is_not_known() -> None:
    info = Catalog({"router": ProviderConfig(base_url="https://x.test")}).info("router", "anthropic/claude-haiku-5-5")
    assert info.images
    assert [value for name, value in msgspec.to_builtins(info).items() if name.endswith("_micros")] == [None] * 4
    assert info.long_prompt_tokens is None
