"""What a verified token must say: for whom, by whom, of which kind, and when. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from openclaw.identity.federated.jws import BadToken

LEEWAY_MS: Final = 60_000
"""How far the clocks of two honest machines may be apart."""
MAX_SUBJECT_CHARS: Final = 256
MAX_GROUPS: Final = 256
MAX_GROUP_CHARS: Final = 256
_YEAR_10000_S: Final = 253_402_300_800
"""No time is later; whoever writes milliseconds is."""


class Person(NamedTuple):
    """Who somebody vouches for. `expires_at_ms` is Unix ms, 0 = with the request."""

    subject: str
    groups: tuple[str, ...] = ()
    expires_at_ms: int = 0


def check_times(claims: Mapping[str, Any], now_ms: int) -> int:
    """Return when the token ends, in Unix ms, leeway included. Raises: BadToken."""
    ends = _time(claims, "exp")
    if ends is None:
        raise BadToken("expiry", "the token has no end")
    if now_ms >= ends + LEEWAY_MS:
        raise BadToken("expired", "the token has expired")
    for name in ("nbf", "iat"):
        begins = _time(claims, name)
        if begins is not None and now_ms < begins - LEEWAY_MS:
            raise BadToken("not_yet", "the token is not valid yet")
    return ends + LEEWAY_MS


def _time(claims: Mapping[str, Any], name: str) -> int | None:
    """Return a claim of seconds in ms."""
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < _YEAR_10000_S:
        raise BadToken("malformed", f"the token's {name} is no time")
    return int(value * 1000)


def check_issuer(claims: Mapping[str, Any], issuer: str) -> None:
    """Raises: BadToken unless the issuer is this one, to the letter."""
    if not issuer or claims.get("iss") != issuer:
        raise BadToken("issuer", "the token is of another issuer")


def check_audience(claims: Mapping[str, Any], audience: str) -> None:
    """Raises: BadToken unless the token is for this audience."""
    given = claims.get("aud")
    listed = [given] if isinstance(given, str) else given
    if not audience or not isinstance(listed, list) or audience not in listed:
        raise BadToken("audience", "the token is for another audience")


def check_recipient(claims: Mapping[str, Any], audience: str, client_id: str) -> None:
    """Raises: BadToken unless a token is for this audience, and by or for this client, where one is asked for.

    Where no audience is asked for it is the client; a token without any, as Cognito's access tokens are, names the
    client in `client_id`.
    """
    if audience or "aud" in claims or not client_id:
        check_audience(claims, audience or client_id)
    else:
        check_client(claims, client_id, ("client_id",))
    if client_id and ("azp" in claims or "client_id" in claims):
        check_client(claims, client_id, ("azp", "client_id"))
    elif client_id:
        check_audience(claims, client_id)


def check_client(claims: Mapping[str, Any], client_id: str, names: Sequence[str]) -> None:
    """Raises: BadToken unless each of these claims that is there names this client, and one is there."""
    given = [claims[name] for name in names if name in claims]
    if not client_id or not given or any(each != client_id for each in given):
        raise BadToken("client", "the token is for another client")


def person(claims: Mapping[str, Any], subject_claim: str, groups_claim: str, ends_ms: int) -> Person:
    """Return whom a token is about. Raises: BadToken."""
    return Person(subject_of(claims.get(subject_claim)), groups_of(_at(claims, groups_claim)), ends_ms)


def subject_of(value: Any) -> str:
    """Return a user's name. Raises: BadToken for what cannot be one."""
    if not isinstance(value, str) or not value.strip() or len(value) > MAX_SUBJECT_CHARS or not value.isprintable():
        raise BadToken("subject", "nobody is named, or by a malformed name")
    return value


def groups_of(value: Any) -> tuple[str, ...]:
    """Return a list of groups; a text is one group. Raises: BadToken for what is neither, or far too much."""
    found = [] if value is None else [value] if isinstance(value, str) else value
    if not isinstance(found, list) or len(found) > MAX_GROUPS:
        raise BadToken("groups", "the groups are malformed, or too many")
    for each in found:
        if not isinstance(each, str) or not 0 < len(each) <= MAX_GROUP_CHARS or not each.isprintable():
            raise BadToken("groups", "a group is malformed")
    return tuple(dict.fromkeys(found))


def _at(claims: Mapping[str, Any], name: str) -> Any:
    """Return a claim; a name with dots that is none leads into objects, as in `realm_access.roles`."""
    if name in claims:
        return claims[name]
    found: Any = claims
    for part in name.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return found
