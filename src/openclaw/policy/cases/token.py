"""Lines of kind `token`: whom does this token let in?

A line holds `config`, which is what stands under `gateway.auth` in the configuration (or `gateway` whole, with its
`roles`), and `token`; it may hold `now` (seconds since 1970, or a time in ISO 8601) and `jwks`, the provider's keys.
Without `roles` the token alone is judged; with them, who has none is refused, as the gateway does. Nothing is fetched.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, Literal, NoReturn

import msgspec

from openclaw.base.clock import SYSTEM_CLOCK
from openclaw.base.errors import InvalidRequest
from openclaw.base.principal import Principal
from openclaw.base.secret import Secret
from openclaw.config.schema import AuthConfig, RoleConfig
from openclaw.identity.federated.federation import Carried, NoRole, build_federation
from openclaw.identity.federated.jws import BadToken
from openclaw.identity.federated.keys import FixedKeys, keys_of
from openclaw.identity.scopes import OPERATOR_ALLOWED

_EVERYBODY: Final = {"": RoleConfig(groups=("*",), scopes=())}
_MAX_SECONDS: Final = 1e11


class _Line(msgspec.Struct, frozen=True):
    token: str
    config: dict[str, Any]
    id: Any = None
    kind: Literal["token"] = "token"
    now: float | str | None = None
    jwks: dict[str, Any] | None = None

    def __repr__(self) -> str:
        return "_Line(***)"


def token_case(line: Mapping[str, Any]) -> dict[str, Any]:
    """Return the answer to one line: `{id, verdict, rule, reason, principal?}`.

    Raises: InvalidRequest for a line that is none.
    """
    try:
        found = msgspec.convert(line, _Line)
        auth, roles = _settings(found.config)
        keys = keys_of(msgspec.json.encode(found.jwks)) if found.jwks is not None else {}
    except (msgspec.MsgspecError, BadToken) as error:
        raise InvalidRequest(f"the line cannot be read: {error}") from error
    federation = build_federation(auth, _EVERYBODY if roles is None else roles, _never, SYSTEM_CLOCK, FixedKeys(keys))
    if federation is None:
        return _shared(found, auth)
    carried = Carried(bearer=found.token, alb=found.token)
    credential = federation.credential(carried, found.token)
    if not credential:
        return _answer(found, "deny", "token.malformed", "this is no token of an identity provider")
    try:
        principal = federation.judge(carried, credential, _now_ms(found.now))
    except BadToken as bad:
        return _answer(found, "deny", f"token.{bad.reason.replace('_', '-')}", str(bad))
    except NoRole:
        return _answer(found, "deny", "token.no-role", "none of the groups has a role")
    return _answer(found, "allow", f"token.{auth.mode}", "the token is good", principal)


def _settings(config: dict[str, Any]) -> tuple[AuthConfig, dict[str, RoleConfig] | None]:
    """Return gateway.auth and the roles, None where the line has none. Raises: msgspec.ValidationError."""
    config = config["gateway"] if isinstance(config.get("gateway"), dict) else config
    roles = config.get("roles")
    auth = config["auth"] if isinstance(config.get("auth"), dict) else config
    made = None if roles is None else msgspec.convert(roles, dict[str, RoleConfig])
    return msgspec.convert(auth, AuthConfig, dec_hook=_secret), made


def _secret(type_: type, value: Any) -> Any:
    if type_ is Secret and isinstance(value, str):
        return Secret(value)
    raise NotImplementedError


def _shared(line: _Line, auth: AuthConfig) -> dict[str, Any]:
    if auth.mode == "none":
        return _answer(line, "deny", "token.mode-none", "mode none takes no token: programs on this machine need none")
    secret = auth.password if auth.mode == "password" else auth.token
    if not secret or not secret.matches(line.token):
        return _answer(line, "deny", "token.mismatch", f"this is not the shared {auth.mode}")
    principal = Principal(method=auth.mode if auth.mode == "password" else "token", scopes=OPERATOR_ALLOWED)
    return _answer(line, "allow", f"token.{auth.mode}", f"this is the shared {auth.mode}", principal)


def _now_ms(now: float | str | None) -> int:
    """Return a time in Unix ms. Raises: InvalidRequest."""
    if now is None:
        return SYSTEM_CLOCK.now_ms()
    if isinstance(now, str):
        try:
            at = datetime.fromisoformat(now)
        except ValueError:
            raise InvalidRequest("now is neither seconds since 1970 nor a time in ISO 8601") from None
        return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)
    return int(now * 1000 if abs(now) < _MAX_SECONDS else now)


async def _never(url: str) -> NoReturn:
    raise OSError("nothing is fetched for a case")


def _answer(
    line: _Line, verdict: Literal["allow", "deny"], rule: str, reason: str, principal: Principal | None = None
) -> dict[str, Any]:
    answer: dict[str, Any] = {"id": line.id, "verdict": verdict, "rule": rule, "reason": reason}
    if principal is None:
        return answer
    who = {
        "owner": principal.owner,
        "method": principal.method,
        "tenant": principal.tenant,
        "subject": principal.subject,
        "groups": list(principal.groups),
        "roles": [role for role in principal.roles if role],
        "scopes": sorted(principal.scopes),
    }
    return {**answer, "principal": who}
