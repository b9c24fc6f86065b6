"""What starts runs without a person: jobs at their times, and webhooks."""

from typing import Annotated, Literal

from openclaw.base.secret import Secret
from openclaw.base.thinking import AnyThinking
from openclaw.config.schema.leaf import Section, leaf


class CronConfig(Section, frozen=True):
    """Jobs that run at their times."""

    enabled: Annotated[bool, leaf("Run jobs at their times.", "live")] = True
    max_concurrent_runs: Annotated[int, leaf("Jobs that run at once.", "live", ge=1, le=100)] = 4
    skip_missed_jobs: Annotated[
        bool, leaf("Whether times that passed while the gateway was down are left out instead of run once.", "live")
    ] = False
    max_missed_age_ms: Annotated[
        int, leaf("Age beyond which a missed time is not made up for.", "live", "ms", ge=0)
    ] = 86_400_000


HookScheme = Literal["github", "stripe", "slack", "standard"]


class HookSignature(Section, frozen=True):
    """How the sender of a webhook proves itself when it cannot send the token."""

    scheme: Annotated[HookScheme, leaf("Whose way of signing; `standard` is Standard Webhooks.", "live")]
    secret: Annotated[Secret, leaf("The secret shared with the sender.", "live")]
    tolerance_seconds: Annotated[
        int, leaf("How old, or ahead, a signature's time may be.", "live", "s", ge=1, le=3600)
    ] = 300


class HookMatch(Section, frozen=True):
    """Which deliveries a mapping is for; what is set must hold."""

    path: Annotated[str, leaf("Path below hooks.path, e.g. `github`.", "live")] = ""
    source: Annotated[str, leaf("Value of `source` in the payload.", "live")] = ""


class HookMapping(Section, frozen=True):
    """What becomes of one kind of webhook. The first mapping that matches wins."""

    id: Annotated[str, leaf("Name in logs.", "live")] = ""
    match: HookMatch = HookMatch()
    action: Annotated[Literal["agent", "wake"], leaf("Run the agent, or leave it a note.", "live")] = "agent"
    wake_mode: Annotated[Literal["now", "next-heartbeat"], leaf("When a note is looked at.", "live")] = "now"
    name: Annotated[str, leaf("What the sender is called in the message.", "live")] = ""
    agent_id: Annotated[str, leaf("Agent that runs; empty = the default one.", "live")] = ""
    session_key: Annotated[str, leaf("Session, may have {{fields}}; empty = hooks.defaultSessionKey.", "live")] = ""
    message_template: Annotated[str, leaf("Message, with {{fields}}; empty = the payload itself.", "live")] = ""
    text_template: Annotated[str, leaf("Note for action `wake`, with {{fields}}.", "live")] = ""
    model: Annotated[str, leaf("`provider/model` for the run.", "live")] = ""
    thinking: Annotated[AnyThinking, leaf("How much to think.", "live")] = ""
    timeout_seconds: Annotated[int, leaf("Wall time of the run; 0 = the agent's.", "live", "s", ge=0)] = 0
    allow_unsafe_external_content: Annotated[
        bool, leaf("Put the payload's values into the message without marking them as data.", "live")
    ] = False
    signature: HookSignature | None = None


class HooksConfig(Section, frozen=True):
    """Webhooks: other programs that wake the agent or give it a task."""

    enabled: Annotated[bool, leaf("Take webhooks in.", "live")] = False
    path: Annotated[str, leaf("Path of the hooks.", "process", pattern="^/[A-Za-z0-9_-]+$")] = "/hooks"
    token: Annotated[Secret | None, leaf("Their token; must not be the gateway's own.", "live")] = None
    default_session_key: Annotated[str, leaf("Session of runs; empty = a fresh one each.", "live")] = ""
    allow_request_session_key: Annotated[bool, leaf("Let senders name the session.", "live")] = False
    allowed_session_key_prefixes: Annotated[
        tuple[str, ...], leaf("How session keys from senders and templates must begin; empty = any.", "live")
    ] = ()
    allowed_agent_ids: Annotated[
        tuple[str, ...], leaf("Agents that senders may name; empty or `*` = all.", "live")
    ] = ()
    mappings: Annotated[tuple[HookMapping, ...], leaf("What becomes of other webhooks, in order.", "live")] = ()
