"""What a Bedrock model id says: which region serves it, which API it takes, and which profile it has.

Rules
1. An id is a base model's (`amazon.nova-lite-v1:0`), an inference profile's (`us.amazon.nova-lite-v1:0`) or an ARN.
2. An ARN's region wins over the provider's; the ids of base models and profiles name none.
3. ARNs of imported and custom models take InvokeModel with a chat completion's body; everything else takes Converse.
"""

from __future__ import annotations

import re
from typing import Literal, NamedTuple
from urllib.parse import quote

Api = Literal["converse", "invoke"]

_ARN = re.compile(r"arn:(?P<partition>aws[a-z-]*):[a-z0-9-]+:(?P<region>[a-z0-9-]*):\d*:(?P<kind>[a-z-]+)/(?P<name>.+)")
_GEOGRAPHY = re.compile(r"^(?:us|us-gov|eu|apac|au|jp|ca|sa|il|mx|global)\.(?=[a-z0-9]+\.)")
_CLAUDE = re.compile(r"^anthropic\.(?P<name>claude[a-z0-9-]*?)(?:-\d{8})?(?:-v\d+)?(?::\d+[a-z0-9:]*)?$")
_INVOKE_KINDS = frozenset({"imported-model", "custom-model"})
_NAMING_KINDS = frozenset({"foundation-model", "inference-profile"})


class ModelId(NamedTuple):
    """An id taken apart. `region` is "" unless the id is an ARN; `base` is the base model's id where it can be seen."""

    id: str
    region: str
    api: Api
    base: str

    @property
    def path(self) -> str:
        """The id as one segment of an address, escaped as AWS' own clients do."""
        return quote(self.id, safe="-._~")


def model_id(text: str) -> ModelId:
    """Take an id apart. Any text is one: Bedrock has the last word."""
    arn = _ARN.fullmatch(text)
    if arn is None:
        return ModelId(text, "", "converse", _GEOGRAPHY.sub("", text))
    name = arn["name"].rpartition("/")[2] if arn["kind"] in _NAMING_KINDS else ""
    api: Api = "invoke" if arn["kind"] in _INVOKE_KINDS else "converse"
    return ModelId(text, arn["region"], api, _GEOGRAPHY.sub("", name))


def profile_ids(text: str) -> tuple[str, ...]:
    """Return the ids under which the catalog may know the model: as its base, then as its maker names it."""
    base = model_id(text).base
    claude = _CLAUDE.match(base)
    return (base, claude["name"]) if claude else (base,)


def is_claude(base: str) -> bool:
    """Say whether a base model is one of Anthropic's."""
    return base.startswith("anthropic.claude-")


def takes_choice(base: str) -> bool:
    """Say whether a model takes a forced tool choice. 2026-11, "ToolChoice" in the API reference."""
    return base.startswith(("anthropic.claude-", "amazon.nova-", "mistral."))


_CACHING: tuple[tuple[re.Pattern[str], frozenset[str]], ...] = (
    (re.compile(r"anthropic\.claude-(?:v|instant|3-(?:haiku|sonnet|opus|5-sonnet))"), frozenset()),
    (re.compile(r"anthropic\.claude-"), frozenset({"system", "tools", "messages"})),
    (re.compile(r"amazon\.nova-(?:2-)?(?:micro|lite|pro|premier)"), frozenset({"system"})),
)
"""Where models take cache marks; one that takes none refuses the call. 2026-11, "Prompt caching" in the user guide."""


def cache_marks(base: str) -> frozenset[str]:
    """Return the parts of a request that may carry a cache mark, among `system`, `tools` and `messages`."""
    return next((marks for pattern, marks in _CACHING if pattern.match(base)), frozenset())
