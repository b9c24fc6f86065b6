"""The tokeniser against the library it stands in for, and the model against common sense."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw.models.minilm import wordpiece
from openclaw.models.minilm.embedder import MAX_TOKENS, MODEL, MiniLm, minilm
from openclaw.models.minilm.wordpiece import WordPiece, split

pytestmark = pytest.mark.anyio

# What `tokenizers` 0.23 gives for BERT base uncased.
RECORDED = [
    ("Hello, World!", [101, 7592, 1010, 2088, 999, 102]),
    ("na\xefve caf\xe9 Stra\xdfe \u01c5 \u0130stanbul", [101, 15743, 7668, 2358, 27807, 100, 9960, 102]),
    ("\u65e5\u672c\u8a9e\u30c6\u30b9\u30c8 mixed", [101, 1864, 1876, 1950, 1713, 30233, 30240, 3816, 102]),
    (
        "don't-stop e-mail a@b.co",
        [101, 2123, 1005, 1056, 1011, 2644, 1041, 1011, 5653, 1037, 1030, 1038, 1012, 2522, 102],
    ),
    ("\u200bzero\u200dwidth\ufeff", [101, 5717, 9148, 11927, 2232, 102]),
    (
        "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        [101, 100, 102],
    ),
    (
        "12345 67.89 $5 \u20ac7 \xa9\xae",
        [101, 13138, 19961, 6163, 1012, 6486, 1002, 1019, 1574, 2581, 1075, 29656, 102],
    ),
    ("\xc0\xc9\xce\xf5\xfc \xc5ngstr\xf6m", [101, 29347, 3695, 2226, 17076, 15687, 102]),
    (
        "\u041f\u0440\u0438\u0432\u0435\u0442 \u043c\u0438\u0440",
        [101, 1194, 16856, 10325, 25529, 15290, 22919, 1191, 10325, 16856, 102],
    ),
    (
        "\u0645\u0631\u062d\u0628\u0627 \u0628\u0627\u0644\u0639\u0627\u0644\u0645",
        [101, 1295, 17149, 29820, 29816, 25573, 1271, 25573, 23673, 29830, 25573, 23673, 22192, 102],
    ),
    (
        "\u0928\u092e\u0938\u094d\u0924\u0947 \u0926\u0941\u0928\u093f\u092f\u093e",
        [101, 1327, 29867, 29874, 29859, 1325, 29863, 29877, 29868, 29876, 102],
    ),
    ("\U0001f99e lobster \U0001f389", [101, 100, 27940, 100, 102]),
    ("a\x00b\tc\nd", [101, 11113, 1039, 1040, 102]),
    (
        "\ud55c\uad6d\uc5b4 \ud615\ud0dc\uc18c",
        [
            101,
            1469,
            30006,
            30021,
            29991,
            30014,
            30020,
            29999,
            30008,
            1469,
            30010,
            30025,
            30003,
            30007,
            29997,
            30011,
            102,
        ],
    ),
    ("\ufb01 ligature \u2163", [101, 1984, 8018, 11244, 100, 102]),
    ("\u2026\u2014\u2013\u201c\u201d", [101, 1529, 1517, 1516, 1523, 1524, 102]),
    ("`^~|<>=+", [101, 1036, 1034, 1066, 1064, 1026, 1028, 1027, 1009, 102]),
    ("\u2028line\u3000sep\x85nel\xa0nbsp", [101, 2240, 19802, 11877, 1050, 5910, 2361, 102]),
]


@cache
def words() -> WordPiece:
    lines = Path(wordpiece.__file__).with_name("vocab.txt").read_text(encoding="utf-8").split("\n")
    return WordPiece({word: number for number, word in enumerate(lines) if word})


@pytest.mark.parametrize(("text", "numbers"), RECORDED)
def test_a_text_is_cut_as_the_model_was_trained(text: str, numbers: list[int]) -> None:
    assert words().numbers(text, MAX_TOKENS) == numbers


@given(st.text(max_size=300), st.integers(2, 300))
def test_any_text_is_cut_within_the_limit(text: str, limit: int) -> None:
    found = words().numbers(text, limit)
    assert (found[0], found[-1]) == (101, 102)
    assert len(found) <= limit
    assert all(word and not word.isspace() for word in split(text))


def test_a_long_text_is_read_no_further_than_the_limit() -> None:
    assert len(words().numbers("word " * 1_000_000, 256)) == 256


async def test_texts_of_one_meaning_are_near_each_other() -> None:
    model = minilm()
    assert isinstance(model, MiniLm)
    assert model.model == MODEL
    query, near, far = await model.embed(
        ["Which pet does she own?", "Anna has a cat called Mia.", "The build server runs out of disk space."]
    )
    assert len(query) == 384 * 4
    scores = await model.similar(query, [near, far, query])
    assert scores[2] == pytest.approx(1, abs=1e-4)
    assert scores[0] > 0.3 > scores[1]
    assert await model.similar(query, []) == []
    assert [len(vector) for vector in await model.embed(["", "x" * 5000])] == [1536, 1536]
