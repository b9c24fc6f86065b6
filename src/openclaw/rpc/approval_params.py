"""What the approval methods take, in both protocols, as what the desk of approvals is asked."""

from __future__ import annotations

import shlex
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from openclaw.base.errors import InvalidRequest
from openclaw.policy.approval import DECISIONS, Decision, is_decision
from openclaw.policy.approvals import NewApproval
from openclaw.protocol.validate import Params

DEFAULT_WAIT_MS: Final = 120_000
ALWAYS: Final[Decision] = "allow-always"

ApprovalId = Annotated[str, Meta(min_length=1, max_length=128, pattern=r"^(?!\.{1,2}$)[^\x00-\x1f\x7f/]+$")]
NotEmpty = Annotated[str, Meta(min_length=1, max_length=512)]
Command = Annotated[str, Meta(min_length=1, max_length=16_384)]
Text = Annotated[str, Meta(max_length=4096)]
WaitMs = Annotated[int, Meta(ge=1)]
Days = Annotated[int, Meta(ge=1, le=3650)]
Devices = Annotated[tuple[NotEmpty, ...], Meta(max_length=64)]


class _Scope(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", forbid_unknown_fields=True, rename="camel"):
    pass


class MessageScope(_Scope, frozen=True, tag="message-send"):
    """What is asked for is a message to that many people."""

    target: Annotated[str, Meta(min_length=1, max_length=128)]
    recipient_count: Annotated[int, Meta(ge=1, le=1_000_000)]
    recipients: Annotated[tuple[Annotated[str, Meta(min_length=1, max_length=128)], ...], Meta(max_length=5)] = ()
    audience: Literal["internal", "external"] | UnsetType = UNSET


class PaymentScope(_Scope, frozen=True, tag="payment"):
    """What is asked for is money."""

    amount: Annotated[str, Meta(min_length=1, max_length=40)]
    currency: Annotated[str, Meta(min_length=1, max_length=12)]
    target: Annotated[str, Meta(min_length=1, max_length=128)]


class PostScope(_Scope, frozen=True, tag="external-post"):
    """What is asked for is a publication."""

    target: Annotated[str, Meta(min_length=1, max_length=128)]
    visibility: Literal["public", "restricted"]


class GrantScope(_Scope, frozen=True, tag="standing-grant"):
    """What is asked for is a standing grant to an automation; `allow-always` makes it."""

    automation: Annotated[str, Meta(min_length=1, max_length=128)]
    command: Annotated[str, Meta(min_length=1, max_length=256)]
    expires_in_days: Days | UnsetType = UNSET


AnyScope = MessageScope | PaymentScope | PostScope | GrantScope


class OldExecApprovalRequestParams(Params, frozen=True):
    """What protocol 3 knows of a command that wants to run."""

    command: Command
    id: ApprovalId | None = None
    cwd: Text | None = None
    host: Text | None = None
    security: Text | None = None
    ask: Text | None = None
    agent_id: Text | None = None
    resolved_path: Text | None = None
    session_key: Text | None = None
    timeout_ms: WaitMs = DEFAULT_WAIT_MS

    def in_stages(self) -> bool:
        """Say whether the asker wants to know at once that people are being asked."""
        return False

    def asked(self) -> NewApproval:
        """Return the request as the desk takes it. Raises: InvalidRequest when nothing would run."""
        return self._asked({}, (), ())

    def _asked(self, more: dict[str, Any], without: tuple[Decision, ...], reviewers: tuple[str, ...]) -> NewApproval:
        command = self.command or more.pop("command", "")
        if not command.strip():
            raise InvalidRequest("invalid exec.approval.request params: command is required")
        unavailable = {*without, *((ALWAYS,) if self.ask == "always" else ())}
        offered = tuple(decision for decision in DECISIONS if decision not in unavailable)
        request = {
            "command": command,
            "cwd": self.cwd,
            "host": self.host,
            "security": self.security,
            "ask": self.ask,
            "agentId": self.agent_id,
            "resolvedPath": self.resolved_path,
            "sessionKey": self.session_key,
            "allowedDecisions": offered,
            **more,
        }
        return NewApproval(
            kind="exec",
            request=request,
            timeout_ms=self.timeout_ms,
            id=self.id or "",
            agent_id=self.agent_id or "",
            session_key=self.session_key or "",
            offered=offered,
            reviewers=reviewers,
        )


class PolicySnapshot(Params, frozen=True):
    """The rules as the asker saw them."""

    security: Literal["deny", "allowlist", "full"]
    ask: Literal["off", "on-miss", "always"]
    ask_fallback: Literal["deny", "allowlist", "full"]
    auto_allow_skills: bool
    allowlist_rules: Annotated[tuple[dict[str, str], ...], Meta(max_length=2000)]


class FileOperand(Params, frozen=True):
    """A file that the command reads as code, with the hash it had when it was judged."""

    argv_index: Annotated[int, Meta(ge=0)]
    path: Text
    sha256: Text


class RunPlan(Params, frozen=True):
    """The plan that is judged: what runs must be this and nothing else."""

    argv: Annotated[tuple[Text, ...], Meta(max_length=1024)]
    cwd: Text | None
    command_text: Annotated[str, Meta(max_length=16_384)]
    agent_id: Text | None
    session_key: Text | None
    command_preview: Text | None = None
    policy_snapshot: PolicySnapshot | UnsetType = UNSET
    mutable_file_operand: FileOperand | None = None


class Span(Params, frozen=True):
    """Where one command stands in the text."""

    start_index: Annotated[int, Meta(ge=0)]
    end_index: Annotated[int, Meta(ge=1)]


class ExecApprovalRequestParams(OldExecApprovalRequestParams, frozen=True):
    """`command`, or `commandArgv`, or `systemRunPlan`; of `env` only the names are kept.

    `requireDeliveryRoute`, `suppressDelivery`, `deliverToApprovalClientsOnly` and the `turnSource…` change nothing:
    approvals reach operator clients only, and without one of those the answer is no at once.
    """

    command: Command | UnsetType = UNSET  # type: ignore[assignment]  # protocol 4 has other ways to say it
    command_argv: Annotated[tuple[Text, ...], Meta(max_length=1024)] = ()
    system_run_plan: RunPlan | UnsetType = UNSET
    env: dict[str, str] | UnsetType = UNSET
    node_id: NotEmpty | None = None
    warning_text: Text | None = None
    scope: AnyScope | UnsetType = UNSET
    unavailable_decisions: Annotated[tuple[Literal["allow-always"], ...], Meta(max_length=1)] = ()
    command_spans: Annotated[tuple[Span, ...], Meta(max_length=256)] = ()
    session_id: Text | None = None
    run_id: Text | None = None
    tool_call_id: Text | None = None
    turn_source_channel: Text | None = None
    turn_source_to: Text | None = None
    turn_source_account_id: Text | None = None
    turn_source_thread_id: Text | float | None = None
    approval_reviewer_device_ids: Devices = ()
    require_delivery_route: bool = False
    suppress_delivery: bool = False
    deliver_to_approval_clients_only: bool = False
    two_phase: bool = False

    def in_stages(self) -> bool:
        """See OldExecApprovalRequestParams."""
        return self.two_phase

    def asked(self) -> NewApproval:
        """See OldExecApprovalRequestParams."""
        plan = self.system_run_plan or None
        more: dict[str, Any] = {
            "command": plan.command_text if plan else shlex.join(self.command_argv),
            "commandPreview": plan.command_preview if plan else None,
            "nodeId": self.node_id,
            "warningText": self.warning_text,
            "sessionId": self.session_id,
            "runId": self.run_id,
            "toolCallId": self.tool_call_id,
        }
        if self.command:
            del more["command"]
        optional = {
            "commandArgv": self.command_argv or None,
            "systemRunPlan": plan,
            "envKeys": sorted(self.env or ()) or None,
            "scope": self.scope or None,
            "commandSpans": self.command_spans or None,
        }
        more |= {name: msgspec.to_builtins(value) for name, value in optional.items() if value is not None}
        return self._asked(more, self.unavailable_decisions, self.approval_reviewer_device_ids)


class McpTool(Params, frozen=True):
    """A tool of an MCP server."""

    server: NotEmpty
    tool: NotEmpty


class PluginApprovalRequestParams(Params, frozen=True):
    """`toolName`, `agentId` and so on are shown to whoever decides."""

    title: Annotated[str, Meta(min_length=1, max_length=80)]
    description: Annotated[str, Meta(min_length=1, max_length=512)]
    plugin_id: NotEmpty | None = None
    detail: Annotated[str, Meta(min_length=1, max_length=16_384)] | None = None
    severity: Literal["info", "warning", "critical"] | None = None
    scope: AnyScope | None = None
    tool_name: Text | None = None
    tool_call_id: Text | None = None
    mcp_tool: McpTool | UnsetType = UNSET
    allowed_decisions: Annotated[tuple[Decision, ...], Meta(min_length=1, max_length=3)] | None = None
    agent_id: Text | None = None
    session_key: Text | None = None
    approval_reviewer_device_ids: Devices | None = None
    turn_source_channel: Text | None = None
    turn_source_to: Text | None = None
    turn_source_account_id: Text | None = None
    turn_source_thread_id: Text | float | None = None
    timeout_ms: Annotated[int, Meta(ge=1, le=600_000)] = DEFAULT_WAIT_MS
    two_phase: bool = False

    def in_stages(self) -> bool:
        """Say whether the asker wants to know at once that people are being asked."""
        return self.two_phase

    def asked(self) -> NewApproval:
        """Return the request as the desk takes it."""
        offered = tuple(decision for decision in DECISIONS if decision in (self.allowed_decisions or DECISIONS))
        request = {
            "pluginId": self.plugin_id,
            "title": self.title,
            "description": self.description,
            "detail": self.detail,
            "severity": self.severity or "warning",
            "toolName": self.tool_name,
            "toolCallId": self.tool_call_id,
            "agentId": self.agent_id,
            "sessionKey": self.session_key,
            "allowedDecisions": offered,
        }
        optional = {"scope": self.scope, "mcpTool": self.mcp_tool or None}
        request |= {name: msgspec.to_builtins(value) for name, value in optional.items() if value is not None}
        return NewApproval(
            kind="plugin",
            request=request,
            timeout_ms=self.timeout_ms,
            agent_id=self.agent_id or "",
            session_key=self.session_key or "",
            offered=offered,
            reviewers=self.approval_reviewer_device_ids or (),
        )


class Reviewer(Params, frozen=True):
    """Who decided on a channel; told by the channel's client, shown only."""

    channel: NotEmpty
    account_id: NotEmpty
    sender_id: NotEmpty


class ApprovalDecideParams(Params, frozen=True):
    """`grantExpiresInDays` bounds the standing grant that `allow-always` makes of a request for one."""

    id: ApprovalId
    decision: NotEmpty
    reviewer: Reviewer | UnsetType = UNSET
    grant_expires_in_days: Days | None = None

    def chosen(self) -> Decision:
        """Return the decision. Raises: InvalidRequest when it is none."""
        if not is_decision(self.decision):
            raise InvalidRequest("invalid decision")
        return self.decision


class ApprovalResolveParams(ApprovalDecideParams, frozen=True, kw_only=True):
    """As the resolve methods of one kind, with the kind named."""

    kind: Literal["exec", "plugin", "system-agent"]


class ApprovalIdParams(Params, frozen=True):
    """Names a request."""

    id: ApprovalId


class ApprovalHistoryParams(Params, frozen=True):
    """`cursor` is the `nextCursor` of the last answer."""

    cursor: Annotated[str, Meta(min_length=1, max_length=512)] = ""
    limit: Annotated[int, Meta(ge=1, le=100)] = 50
    kind: Literal["exec", "plugin", "system-agent"] | UnsetType = UNSET


class GrantsListParams(Params, frozen=True):
    """How many grants at most."""

    limit: Annotated[int, Meta(ge=1, le=500)] = 100


class GrantsRevokeParams(Params, frozen=True):
    """Names a grant."""

    grant_id: NotEmpty
