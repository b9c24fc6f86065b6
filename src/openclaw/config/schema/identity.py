"""Who callers are when somebody else says so: a proxy, a load balancer, an identity provider; and what roles may do."""

from typing import Annotated, Literal

from openclaw.base.secret import Secret
from openclaw.config.schema.leaf import Section, leaf


class TrustedProxyConfig(Section, frozen=True):
    """Mode `trusted-proxy`: a proxy in `gateway.trustedProxies` signs people in and names them in a header."""

    user_header: Annotated[str, leaf("Header that names the user.", "live", min_length=1)] = "x-forwarded-user"
    groups_header: Annotated[str, leaf("Header with the user's groups, separated by commas; empty = none.", "live")] = (
        ""
    )
    required_headers: Annotated[
        tuple[str, ...], leaf("Headers that the proxy adds to every request; one without them is refused.", "live")
    ] = ()
    allow_users: Annotated[tuple[str, ...], leaf("Users to let in; empty = whoever the proxy names.", "live")] = ()
    proof_header: Annotated[str, leaf("Header in which the proxy proves itself by `secret`.", "live", min_length=1)] = (
        "x-openclaw-proxy-secret"
    )
    secret: Annotated[
        Secret | None,
        leaf(
            "Shared with the proxy alone. A proxy on this machine counts only with it: any program could pose.", "live"
        ),
    ] = None


class OidcConfig(Section, frozen=True):
    """Mode `oidc`: tokens of an OpenID Connect provider."""

    issuer: Annotated[str, leaf("The provider's issuer, as its tokens say it.", "live")] = ""
    audience: Annotated[str, leaf("What `aud` of a token must hold; empty = `clientId`.", "live")] = ""
    client_id: Annotated[str, leaf("The client that tokens must be for: `azp` or `client_id`, else `aud`.", "live")] = (
        ""
    )
    jwks_url: Annotated[str, leaf("Where the provider's keys are; empty = as its discovery document says.", "live")] = (
        ""
    )
    subject_claim: Annotated[str, leaf("Claim that names the user for good.", "live", min_length=1)] = "sub"
    groups_claim: Annotated[str, leaf("Claim with the user's groups.", "live", min_length=1)] = "groups"


class CognitoConfig(Section, frozen=True):
    """Mode `cognito`: tokens of an Amazon Cognito user pool."""

    region: Annotated[str, leaf("AWS region of the pool; empty = as the pool's id says.", "live")] = ""
    user_pool_id: Annotated[str, leaf("The pool's id, e.g. eu-west-1_AbCdEf123.", "live")] = ""
    client_id: Annotated[str, leaf("The app client that tokens must be for.", "live")] = ""
    audience: Annotated[str, leaf("What `aud` of an ID token must be; empty = `clientId`.", "live")] = ""
    token_use: Annotated[Literal["access", "id", "any"], leaf("Which kind of token opens.", "live")] = "any"  # noqa: S105
    issuer: Annotated[str, leaf("Issuer of the tokens; empty = the pool's.", "live")] = ""
    jwks_url: Annotated[str, leaf("Where the pool's keys are; empty = below the issuer.", "live")] = ""


class AlbConfig(Section, frozen=True):
    """Mode `alb`: an AWS Application Load Balancer signs people in and says so in `x-amzn-oidc-data`."""

    region: Annotated[str, leaf("AWS region of the load balancer; empty = as its ARN says.", "live")] = ""
    signer: Annotated[str, leaf("ARN of the load balancer; a header that another one signed is refused.", "live")] = ""
    issuer: Annotated[
        str, leaf("Issuer that the load balancer signs people in at; empty = any of its own.", "live")
    ] = ""
    client_id: Annotated[str, leaf("Its client there; empty = any of its own.", "live")] = ""
    key_url: Annotated[
        str, leaf("Where its keys are; the key's id is put behind. Empty = AWS's own of the region.", "live")
    ] = ""
    subject_claim: Annotated[str, leaf("Claim that names the user for good.", "live", min_length=1)] = "sub"
    groups_claim: Annotated[str, leaf("Claim with the user's groups.", "live", min_length=1)] = "groups"


class RoleConfig(Section, frozen=True):
    """One role: who has it, and what it may do. viewer, user, operator, approver and admin are there already."""

    groups: Annotated[
        tuple[str, ...], leaf("Groups whose members have this role; `*` = everybody who signs in.", "live")
    ] = ()
    users: Annotated[tuple[str, ...], leaf("Users who have this role, by subject.", "live")] = ()
    scopes: Annotated[
        tuple[str, ...] | None, leaf("Scopes that it opens, e.g. operator.write; unset = the built-in role's.", "live")
    ] = None
    agents: Annotated[tuple[str, ...] | None, leaf("Agents that it may talk to; unset = all.", "live")] = None
    models: Annotated[
        tuple[str, ...] | None, leaf("Models that it may use: `provider/model` or `provider/*`; unset = all.", "live")
    ] = None
    sessions: Annotated[
        Literal["", "own", "all"], leaf("Sessions that it sees; empty = the built-in role's, else own.", "live")
    ] = ""
    usd_per_day: Annotated[
        float, leaf("What each of its members may spend in a day (UTC); 0 = no cap.", "live", "USD", ge=0)
    ] = 0.0
