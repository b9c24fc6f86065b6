"""Lines of kind `token`: whom does this token let in?

A line holds `config`, which is what stands under `gateway.auth` in the configuration (or `gateway` whole, with its
`roles`), and `token`; it may hold `now` (seconds or milliseconds since 1970, or a time in ISO 8601) and `jwks`, the
provider's keys: a JWKS, a list of keys, one key, or, of load balancers, PEM texts by key id, or one PEM text.
Without `roles` the token alone is judged; with them, who has none is refused, as the gateway does. Nothing is fetched,
and no reference to a secret is followed. Settings that there are not are named in `unknown`: they have no effect.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, Literal, NoReturn

import msgspec

from openclaw.base.clock import SYSTEM_CLOCK
from openclaw.base.errors import InvalidRequest
from openclaw.base.principal import Principal
from openclaw.base.secret import Secret
from openclaw.config.schema import AuthConfig, RoleConfig
from openclaw.config.vouching import PROVIDERS, other_names, wire_names
from openclaw.identity.federated.federation import FEDERATED, Carried, NoRole, build_federation
from openclaw.identity.federated.jws import BadToken, key_of_pem
from openclaw.identity.federated.keys import FixedKeys, Keys, OneKey, keys_of, usable
from openclaw.identity.scopes import OPERATOR_ALLOWED

_EVERYBODY: Final = {"": RoleConfig(groups=("*",), scopes=())}
_MAX_SECONDS: Final = 1e11
"""A greater number is milliseconds."""
_NUMBER: Final = re.compile(r"\d+(\.\d+)?\Z")
_PEM: Final = "-----BEGIN"
_OTHERS: Final = ("token", "password", "trustedProxy")
_MAX_UNKNOWN: Final = 20


class _Line(msgspec.Struct, frozen=True):
    token: str
    config: dict[str, Any]
    id: Any = None
    kind: Literal["token"] = "token"
    now: float | str | None = None
    jwks: dict[str, Any] | list[dict[str, Any]] | str | None = None

    def __repr__(self) -> str:
        return "_Line(***)"


def token_case(line: Mapping[str, Any]) -> dict[str, Any]:
    """Return the answer to one line: `{id, verdict, rule, reason, principal?}`.

    Raises: InvalidRequest for a line that is none.
    """
    try:
        found = msgspec.convert(line, _Line)
        auth, roles, unknown = _settings(found.config)
        keys = _keys(found.jwks)
    except (msgspec.MsgspecError, BadToken) as error:
        raise InvalidRequest(f"the line cannot be read: {error}") from error
    answer = _judged(found, auth, _EVERYBODY if roles is None else roles, keys)
    return {**answer, "unknown": unknown} if unknown else answer


def _judged(found: _Line, auth: AuthConfig, roles: dict[str, RoleConfig], keys: Keys) -> dict[str, Any]:
    federation = build_federation(auth, roles, _never, SYSTEM_CLOCK, keys)
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


def _settings(config: dict[str, Any]) -> tuple[AuthConfig, dict[str, RoleConfig] | None, list[str]]:
    """Return gateway.auth, the roles (None where the line has none) and names that nobody knows.

    Raises: msgspec.ValidationError.
    """
    config = config["gateway"] if isinstance(config.get("gateway"), dict) else config
    roles = config.get("roles")
    given = next((config[name] for name in ("auth", "gateway.auth") if isinstance(config.get(name), dict)), config)
    auth: dict[str, Any] = {key: dict(value) if isinstance(value, dict) else value for key, value in given.items()}
    if "mode" not in auth and auth.get("provider") in FEDERATED:  # the short YAML form
        auth["mode"] = auth.pop("provider")
        if auth.get("enabled") is True:
            auth.pop("enabled")
    for (*way, old), (*place, new) in list(other_names(auth)):
        value = _inner(auth, way).pop(old)
        _inner(auth, place).setdefault(new, value)
    mode = auth.get("mode")
    if isinstance(mode, str) and mode in FEDERATED:  # what the other modes go by is not looked at, nor looked up
        auth = {key: value for key, value in auth.items() if key not in _OTHERS}
    made = None if roles is None else msgspec.convert(roles, dict[str, RoleConfig])
    return msgspec.convert(auth, AuthConfig, dec_hook=_secret), made, _unknown(auth)


def _inner(auth: dict[str, Any], path: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = auth.setdefault(path[0], {}) if path else auth
    return found


def _unknown(auth: Mapping[str, Any]) -> list[str]:
    found = sorted(set(auth) - wire_names(AuthConfig) - {"roles"})
    for mode, section in PROVIDERS.items():
        inner = auth.get(mode)
        found += sorted(f"{mode}.{key}" for key in set(inner or ()) - wire_names(section))
    return found[:_MAX_UNKNOWN]


def _secret(type_: type, value: Any) -> Any:
    if type_ is Secret and isinstance(value, str):
        return Secret(value)
    raise ValueError("Expected `str`: references are not looked up")


def _keys(jwks: dict[str, Any] | list[dict[str, Any]] | str | None) -> Keys:
    """Return the keys of a line. Raises: BadToken, msgspec.MsgspecError."""
    if isinstance(jwks, str):
        if _PEM in jwks:
            return OneKey(key_of_pem(jwks.encode()))
        jwks = msgspec.json.decode(jwks, type=dict[str, Any] | list[dict[str, Any]])
    if isinstance(jwks, list):
        return FixedKeys(usable(jwks))
    if not jwks:
        return FixedKeys({})
    if "kty" in jwks:
        return FixedKeys(usable([jwks]))
    if all(isinstance(value, str) and _PEM in value for value in jwks.values()):
        return FixedKeys({kid: key_of_pem(value.encode()) for kid, value in jwks.items()})
    return FixedKeys(keys_of(msgspec.json.encode(jwks)))


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
    try:
        if isinstance(now, str):
            text = now.strip().upper()
            now = float(text) if _NUMBER.match(text) else _seconds(text)
        at = int(now * 1000 if abs(now) < _MAX_SECONDS else now)
    except (ValueError, OverflowError):
        at = -1
    if not 0 <= at < _MAX_SECONDS * 1000:
        raise InvalidRequest("now is neither a number of seconds since 1970 nor a time in ISO 8601")
    return at


def _seconds(text: str) -> float:
    at = datetime.fromisoformat(text)
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()


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
