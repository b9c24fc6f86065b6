"""Where models come from, which one does what, and what it may cost."""

from typing import Annotated, Literal

from openclaw.base.secret import Secret
from openclaw.config.schema.leaf import Section, leaf


class ModelCost(Section, frozen=True):
    """Prices of a model."""

    input: Annotated[float, leaf("Price of input.", "live", "USD per million tokens", ge=0)] = 0.0
    output: Annotated[float, leaf("Price of output.", "live", "USD per million tokens", ge=0)] = 0.0
    cache_read: Annotated[
        float, leaf("Price of input read from the cache; 0 = as input.", "live", "USD per million tokens", ge=0)
    ] = 0.0
    cache_write: Annotated[
        float, leaf("Price of input written to the cache; 0 = as input.", "live", "USD per million tokens", ge=0)
    ] = 0.0


class ModelTimeouts(Section, frozen=True):
    """How long to wait for a provider; embedded models get 5 s, 5 min, 2 min and 20 min unless any is set."""

    connect_ms: Annotated[int, leaf("Time to connect.", "live", "ms", ge=1)] = 10_000
    first_token_ms: Annotated[int, leaf("Time to the first event of an answer.", "live", "ms", ge=1)] = 60_000
    idle_ms: Annotated[int, leaf("Longest silence within an answer.", "live", "ms", ge=1)] = 60_000
    total_ms: Annotated[int, leaf("Time for a whole answer.", "live", "ms", ge=1)] = 600_000


class ModelEntry(Section, frozen=True):
    """One model of a provider."""

    id: Annotated[str, leaf("Model id at the provider.", "live", min_length=1)]
    name: Annotated[str, leaf("Shown to people.", "live")] = ""
    context_window: Annotated[int, leaf("Context size.", "live", "tokens", ge=256)] = 128_000
    max_tokens: Annotated[int, leaf("Longest answer.", "live", "tokens", ge=1)] = 8_192
    tools: Annotated[bool, leaf("Whether the model can call tools.", "live")] = True
    input: Annotated[tuple[str, ...], leaf("Kinds of input: text, image.", "live")] = ("text",)
    reasoning: Annotated[bool, leaf("Whether the model thinks before it answers.", "live")] = False
    cost: ModelCost | None = None


class ProviderConfig(Section, frozen=True):
    """One model provider: its wire API, address and credential."""

    api: Annotated[
        Literal[
            "",
            "openai-completions",
            "openai-responses",
            "anthropic-messages",
            "bedrock-converse",
            "ollama",
            "embedded",
            "fake",
        ],
        leaf("The wire API; empty = the one of the built-in provider of this name, else openai-completions.", "live"),
    ] = ""
    base_url: Annotated[str, leaf("Root of the API, e.g. https://api.example.com/v1.", "live")] = ""
    api_key: Annotated[Secret | None, leaf("Credential for the provider.", "live")] = None
    models: Annotated[tuple[ModelEntry, ...], leaf("Models that the provider offers.", "live")] = ()
    timeouts: ModelTimeouts = ModelTimeouts()
    region: Annotated[str, leaf("AWS region, for bedrock; a model's ARN names its own.", "live")] = ""
    aws_profile: Annotated[str, leaf("Named AWS profile, for bedrock.", "live")] = ""
    num_ctx: Annotated[
        int, leaf("Context that Ollama is asked to load, at most the model's; 0 = 16384.", "live", "tokens", ge=0)
    ] = 0
    keep_alive: Annotated[str, leaf("How long Ollama keeps the model loaded, e.g. 5m.", "live")] = ""


class TiersConfig(Section, frozen=True):
    """Which model does which kind of work; an empty one means the agent's own."""

    probe: Annotated[str, leaf("`provider/model` that `openclaw models test` calls when it is told none.", "live")] = ""
    summary: Annotated[str, leaf("`provider/model` that summarises old conversation.", "live")] = ""
    interactive: Annotated[str, leaf("`provider/model` for turns without tools.", "live")] = ""
    tools: Annotated[str, leaf("`provider/model` for turns with tools.", "live")] = ""
    heartbeat: Annotated[str, leaf("`provider/model` for scheduled turns.", "live")] = ""


class RouteWhen(Section, frozen=True):
    """What a route goes by; everything that is set must hold."""

    purpose: Annotated[str, leaf("Kind of work: interactive, tools, summary or heartbeat.", "live")] = ""
    agent: Annotated[str, leaf("Agent id.", "live")] = ""
    channel: Annotated[str, leaf("Where the message came from: rpc, http, cli, or a channel's name.", "live")] = ""
    group: Annotated[bool | None, leaf("Whether the session is a group's.", "live")] = None
    contains: Annotated[str, leaf("Text in the message, letter case ignored.", "live")] = ""
    tokens: Annotated[int, leaf("Prompts of at least this size.", "live", "tokens", ge=0)] = 0


class RouteConfig(Section, frozen=True):
    """One rule that picks a model; the first that holds wins over the agent's model."""

    use: Annotated[str, leaf("`provider/model` to use.", "live", min_length=1)]
    when: RouteWhen = RouteWhen()


class BudgetConfig(Section, frozen=True):
    """A cap on money. A call whose price is unknown is denied while a budget applies to it."""

    usd: Annotated[float, leaf("The cap.", "live", "USD", ge=0)]
    window: Annotated[Literal["day", "month"], leaf("Time that the cap is for, in UTC.", "live")] = "day"
    scope: Annotated[
        Literal["total", "tenant", "principal", "agent", "channel"], leaf("Whose calls count together.", "live")
    ] = "total"
    subject: Annotated[str, leaf("Which one of the scope; empty = each one on its own.", "live")] = ""
    notice_percent: Annotated[int, leaf("Share of the cap at which a notice is given.", "live", "%", ge=1, le=100)] = 80


class ReviewConfig(Section, frozen=True):
    """A second model that looks at an answer before it is sent."""

    model: Annotated[str, leaf("`provider/model` that reviews; empty = no review.", "live")] = ""
    prompt: Annotated[str, leaf("What it is asked; it answers ALLOW, or REJECT and why.", "live")] = (
        "Review the draft answer. Reply with ALLOW if it may be sent, or REJECT: and the reason."
    )
    agents: Annotated[tuple[str, ...], leaf("Agents whose answers are reviewed; empty = all.", "live")] = ()


class CatalogRefreshConfig(Section, frozen=True):
    """Where `openclaw models refresh` takes a newer catalog from."""

    url: Annotated[str, leaf("https address or file of a catalog.", "live")] = ""


class ModelsConfig(Section, frozen=True):
    """Where models come from."""

    providers: Annotated[dict[str, ProviderConfig], leaf("Providers by id.", "live")] = {}
    tiers: TiersConfig = TiersConfig()
    routes: Annotated[tuple[RouteConfig, ...], leaf("Rules that pick a model, in order.", "live")] = ()
    budgets: Annotated[tuple[BudgetConfig, ...], leaf("Caps on money; every one that applies must hold.", "live")] = ()
    review: ReviewConfig = ReviewConfig()
    catalog_refresh: CatalogRefreshConfig = CatalogRefreshConfig()
