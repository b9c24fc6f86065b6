"""The error tree: every failure a person or a program can meet has a code, a fault and a next step.

::

    OpenClawError
    ├── CallerError            the request is wrong; the caller changes it
    │   ├── InvalidRequest     INVALID_REQUEST
    │   ├── Unauthorized       UNAUTHORIZED
    │   ├── Forbidden          FORBIDDEN
    │   ├── NotFound           NOT_FOUND
    │   ├── Conflict           CONFLICT
    │   ├── TooLarge           TOO_LARGE
    │   ├── RateLimited        RATE_LIMITED
    │   └── LaneBusy           LANE_BUSY
    ├── ConfigError            CONFIG_INVALID; the operator changes the configuration
    ├── PolicyDenied           POLICY_DENIED; a door stayed shut
    ├── ModelError             the model provider failed
    │   ├── ModelAuth          MODEL_AUTH
    │   ├── ModelRateLimited   MODEL_RATE_LIMITED
    │   ├── ModelOverloaded    MODEL_OVERLOADED
    │   ├── ModelTimeout       MODEL_TIMEOUT
    │   ├── ModelUnreachable   MODEL_UNREACHABLE
    │   ├── ModelBadRequest    MODEL_BAD_REQUEST
    │   ├── ModelNotFound      MODEL_NOT_FOUND
    │   ├── ModelContextOverflow  MODEL_CONTEXT_OVERFLOW
    │   ├── ModelContentFiltered  MODEL_CONTENT_FILTERED
    │   ├── ModelProtocol      MODEL_PROTOCOL (half an event, wrong type, an error body in a 200)
    │   └── ModelUnavailable   MODEL_UNAVAILABLE (no provider, no key, no model file)
    ├── BudgetExceeded         BUDGET_EXCEEDED; a cap on money would be passed, or a price is unknown
    ├── ToolError              TOOL_FAILED; told to the model, not to the person
    ├── RunLimit               RUN_LIMIT; steps, tool calls, wall time or repeated outcomes
    ├── RunAborted             RUN_ABORTED; someone said stop
    ├── RunInterrupted         RUN_INTERRUPTED; the gateway stopped before the run ended
    ├── Unavailable            UNAVAILABLE; starting, draining or overloaded: try again
    ├── StateLocked            STATE_LOCKED; another gateway owns the state directory
    └── InternalError          INTERNAL; our fault

``code`` is stable and documented in docs/errors.md; ``message`` is prose and may change.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

Fault = Literal["caller", "peer", "operator", "us"]
NextActor = Literal["caller", "operator", "retry", "nobody"]


class OpenClawError(Exception):
    """Base of all errors that cross a room's border.

    Shape: ``details`` holds JSON values only; ``retry_after_s`` is seconds from now, or None.
    """

    code: ClassVar[str] = "INTERNAL"
    fault: ClassVar[Fault] = "us"
    next_actor: ClassVar[NextActor] = "operator"
    default_hint: ClassVar[str] = ""

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        retry_after_s: float | None = None,
        details: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint or self.default_hint
        self.retry_after_s = retry_after_s
        self.details = details or {}

    def as_dict(self) -> dict[str, Any]:
        """Return the one JSON shape that the CLI, RPC and HTTP surfaces print."""
        out: dict[str, Any] = {
            "code": self.code,
            "message": self.message,
            "fault": self.fault,
            "nextActor": self.next_actor,
        }
        if self.hint:
            out["hint"] = self.hint
        if self.retry_after_s is not None:
            out["retryAfterMs"] = int(self.retry_after_s * 1000)
        if self.details:
            out["details"] = self.details
        return out


class CallerError(OpenClawError):
    """The request itself is at fault."""

    fault: ClassVar[Fault] = "caller"
    next_actor: ClassVar[NextActor] = "caller"


class InvalidRequest(CallerError):
    """The request is malformed or has a value we cannot take."""

    code = "INVALID_REQUEST"
    default_hint = "Correct the request and send it again."


class Unauthorized(CallerError):
    """No credential, or one that is not ours."""

    code = "UNAUTHORIZED"
    default_hint = "Send the gateway token; `openclaw gateway token show` prints it on the gateway host."


class Forbidden(CallerError):
    """The principal is known but lacks the scope."""

    code = "FORBIDDEN"
    default_hint = "Use a credential that has the scope named in the message."


class NotFound(CallerError):
    """The thing named does not exist, or is not this principal's."""

    code = "NOT_FOUND"
    default_hint = "List what exists and use one of those names."


class Conflict(CallerError):
    """The thing changed meanwhile, or already exists."""

    code = "CONFLICT"
    default_hint = "Read the current state and try again."


class TooLarge(CallerError):
    """A body, frame or value is over its limit."""

    code = "TOO_LARGE"
    default_hint = "Send less; the limit is in the message."


class RateLimited(CallerError):
    """Too many requests or failed sign-ins."""

    code = "RATE_LIMITED"
    next_actor: ClassVar[NextActor] = "retry"
    default_hint = "Wait for the time in retryAfterMs."


class LaneBusy(CallerError):
    """The session's lane is full, or in `reject` mode with a run going."""

    code = "LANE_BUSY"
    next_actor: ClassVar[NextActor] = "retry"
    default_hint = "Wait for the current run to end, or abort it."


class ConfigError(OpenClawError):
    """The configuration cannot be used as it stands."""

    code = "CONFIG_INVALID"
    fault: ClassVar[Fault] = "operator"
    default_hint = "Run `openclaw config validate` to see every problem with its line."


class PolicyDenied(OpenClawError):
    """A door of the policy stayed shut."""

    code = "POLICY_DENIED"
    fault: ClassVar[Fault] = "operator"
    default_hint = "The message names the rule; change the policy if this should be allowed."


class ModelError(OpenClawError):
    """A model provider failed. ``retryable`` says whether the same call may succeed later."""

    code = "MODEL_FAILED"
    fault: ClassVar[Fault] = "peer"
    next_actor: ClassVar[NextActor] = "retry"
    retryable: ClassVar[bool] = False
    default_hint = "Run `openclaw models test` to try the model alone."


class ModelAuth(ModelError):
    """The provider refused our credential."""

    code = "MODEL_AUTH"
    fault: ClassVar[Fault] = "operator"
    next_actor: ClassVar[NextActor] = "operator"
    default_hint = "Check the provider's API key."


class ModelRateLimited(ModelError):
    """The provider answered 429."""

    code = "MODEL_RATE_LIMITED"
    retryable = True
    default_hint = "Wait, or add a second provider."


class ModelOverloaded(ModelError):
    """The provider answered 503, 529 or `overloaded_error`."""

    code = "MODEL_OVERLOADED"
    retryable = True
    default_hint = "Try again in a moment, or add a second provider."


class ModelTimeout(ModelError):
    """The provider did not connect, start or go on in time."""

    code = "MODEL_TIMEOUT"
    retryable = True
    default_hint = "Raise the provider's timeouts, or check the network."


class ModelUnreachable(ModelError):
    """The provider cannot be reached, or the connection broke."""

    code = "MODEL_UNREACHABLE"
    retryable = True
    default_hint = "Check baseUrl and the network."


class ModelBadRequest(ModelError):
    """The provider refused the request as malformed."""

    code = "MODEL_BAD_REQUEST"
    fault: ClassVar[Fault] = "us"
    next_actor: ClassVar[NextActor] = "operator"
    default_hint = "Check that the model supports what the agent uses (tools, images)."


class ModelNotFound(ModelError):
    """The provider does not know the model."""

    code = "MODEL_NOT_FOUND"
    fault: ClassVar[Fault] = "operator"
    next_actor: ClassVar[NextActor] = "operator"
    default_hint = "Run `openclaw models list` and set one of those."


class ModelContextOverflow(ModelError):
    """The conversation is longer than the model's context."""

    code = "MODEL_CONTEXT_OVERFLOW"
    next_actor: ClassVar[NextActor] = "caller"
    default_hint = "Reset the session (`/reset`) or use a model with a larger context."


class ModelContentFiltered(ModelError):
    """The provider stopped the answer for its content."""

    code = "MODEL_CONTENT_FILTERED"
    next_actor: ClassVar[NextActor] = "caller"
    default_hint = "Rephrase the request."


class ModelProtocol(ModelError):
    """The provider's answer breaks its own wire format."""

    code = "MODEL_PROTOCOL"
    retryable = True
    default_hint = "Check that baseUrl is an API of the configured kind."


class ModelUnavailable(ModelError):
    """No model can be called: no provider, no key, or no model file."""

    code = "MODEL_UNAVAILABLE"
    fault: ClassVar[Fault] = "operator"
    next_actor: ClassVar[NextActor] = "operator"
    default_hint = "Run `openclaw models status`; `openclaw models pull smollm2` fetches a local model."


class BudgetExceeded(OpenClawError):
    """A cap on money would be passed by this call, or the call's price is unknown while a cap applies."""

    code = "BUDGET_EXCEEDED"
    fault = "operator"
    default_hint = "Raise the cap under models.budgets, or wait for its window to end."


class ToolError(OpenClawError):
    """A tool failed; the text goes to the model as the call's result."""

    code = "TOOL_FAILED"
    fault: ClassVar[Fault] = "us"
    next_actor: ClassVar[NextActor] = "nobody"


class RunLimit(OpenClawError):
    """A run reached one of its limits."""

    code = "RUN_LIMIT"
    fault: ClassVar[Fault] = "operator"
    default_hint = "Raise agents.defaults.limits if the work is legitimate."


class RunAborted(OpenClawError):
    """A run was stopped on purpose."""

    code = "RUN_ABORTED"
    fault: ClassVar[Fault] = "caller"
    next_actor: ClassVar[NextActor] = "nobody"


class RunInterrupted(OpenClawError):
    """A run ended because the gateway stopped or crashed."""

    code = "RUN_INTERRUPTED"
    next_actor: ClassVar[NextActor] = "retry"
    default_hint = "Send the message again."


class Unavailable(OpenClawError):
    """The gateway cannot serve this now."""

    code = "UNAVAILABLE"
    next_actor: ClassVar[NextActor] = "retry"
    default_hint = "Try again after retryAfterMs."


class NotSupported(CallerError):
    """This gateway does not offer what was asked for, by design."""

    code = "NOT_SUPPORTED"
    next_actor: ClassVar[NextActor] = "nobody"
    default_hint = "Asking again will not help; the message says what this gateway offers instead."


class StateLocked(OpenClawError):
    """Another gateway owns the state directory."""

    code = "STATE_LOCKED"
    fault: ClassVar[Fault] = "operator"
    default_hint = "Stop the other gateway, or set OPENCLAW_STATE_DIR to another directory."


class InternalError(OpenClawError):
    """Something of ours broke; the log has the trace under the same id."""

    code = "INTERNAL"
    default_hint = "Look up the id in the gateway's log and report it."


def catalogue() -> dict[str, type[OpenClawError]]:
    """Return every concrete error class by its code, for docs/errors.md and its test."""
    found: dict[str, type[OpenClawError]] = {}
    stack: list[type[OpenClawError]] = [OpenClawError]
    while stack:
        cls = stack.pop()
        stack.extend(cls.__subclasses__())
        if "code" in cls.__dict__ and cls is not OpenClawError:
            found.setdefault(cls.code, cls)
    return dict(sorted(found.items()))
