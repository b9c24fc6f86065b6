"""`/v1/embeddings`: texts into vectors."""

from __future__ import annotations

import base64
import struct
from collections.abc import Sequence
from typing import Final, Literal, Protocol

import msgspec

from openclaw.base.errors import InvalidRequest, ModelNotFound, ModelUnavailable, NotFound
from openclaw.base.principal import Principal
from openclaw.listeners.http import Request
from openclaw.listeners.operation import Operation
from openclaw.listeners.router import Route

MAX_BODY_BYTES: Final = 20_000_000
MAX_INPUTS: Final = 2048
_OURS: Final = ("openclaw", "openclaw/default", "openclaw:default")


class Vectors(Protocol):
    """What an embedder gives: vectors in the order of the texts; `model` is `provider/model`."""

    @property
    def vectors(self) -> list[list[float]]: ...

    @property
    def tokens(self) -> int: ...

    @property
    def model(self) -> str: ...


class Embedder(Protocol):
    """What the route needs of the models (models.embeddings.Embeddings)."""

    async def embed(
        self, model: str, texts: Sequence[str], caller: Principal, *, dimensions: int | None = None
    ) -> Vectors:
        """Raises: ModelNotFound, ModelUnavailable, BudgetExceeded, and the other ModelErrors of a call."""
        ...


class EmbeddingsRequest(msgspec.Struct, frozen=True):
    """The body. `model` is `provider/model`, or `openclaw` for the first that is offered; tokens are not taken."""

    input: str | list[str]
    model: str | None = None
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: int | None = None
    user: str | None = None


class Embedding(msgspec.Struct, frozen=True):
    """One vector: numbers, or base64 of little-endian 32-bit floats."""

    index: int
    embedding: list[float] | str
    object: Literal["embedding"] = "embedding"


class EmbeddingUsage(msgspec.Struct, frozen=True):
    """What it used."""

    prompt_tokens: int
    total_tokens: int


class EmbeddingList(msgspec.Struct, frozen=True):
    """A vector per text, in order."""

    data: list[Embedding]
    model: str
    usage: EmbeddingUsage
    object: Literal["list"] = "list"


_decoder = msgspec.json.Decoder(EmbeddingsRequest)
_EMBED = Operation(
    "Turns texts into vectors, by a provider that is configured for it.",
    EmbeddingList,
    request=EmbeddingsRequest,
    errors=(404, 429, 502, 503, 504),
)


class EmbeddingsApi:
    """The handler of embeddings."""

    def __init__(self, embedder: Embedder | None) -> None:
        self._embedder = embedder

    def routes(self) -> tuple[Route, ...]:
        """Return the route."""
        most = MAX_BODY_BYTES
        return (
            Route(("POST",), "/v1/embeddings", "api", self.embed, scope="operator.write", max_body=most, doc=_EMBED),
        )

    async def embed(self, request: Request) -> None:
        """Embed a text or several."""
        body = await request.json_body(_decoder)
        texts = _texts(body)
        model = "" if not body.model or body.model in _OURS else body.model
        if self._embedder is None:
            raise NotFound("No provider offers embeddings.")
        try:
            found = await self._embedder.embed(model, texts, request.caller, dimensions=body.dimensions)
        except (ModelNotFound, ModelUnavailable) as error:
            raise NotFound(f"Unknown embedding model: {error.message}. {error.hint}") from None
        rows = [
            Embedding(index, _packed(vector) if body.encoding_format == "base64" else vector)
            for index, vector in enumerate(found.vectors)
        ]
        await request.json(200, EmbeddingList(rows, found.model, EmbeddingUsage(found.tokens, found.tokens)))


def _texts(body: EmbeddingsRequest) -> list[str]:
    texts = [body.input] if isinstance(body.input, str) else body.input
    if not texts or len(texts) > MAX_INPUTS:
        raise InvalidRequest(f"input: 1 to {MAX_INPUTS} texts are taken")
    if not all(texts):
        raise InvalidRequest("input: a text must not be empty")
    if body.dimensions is not None and not 1 <= body.dimensions <= 65_536:
        raise InvalidRequest("dimensions: must be between 1 and 65536")
    return texts


def _packed(vector: Sequence[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
