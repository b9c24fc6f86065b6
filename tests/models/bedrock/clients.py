"""Short ways to make Bedrock clients for the tests."""

from __future__ import annotations

from openclaw.base.clock import SYSTEM_CLOCK
from openclaw.base.secret import Secret
from openclaw.config.schema import ModelTimeouts
from openclaw.models.bedrock.client import BedrockClient
from openclaw.models.bedrock.signing import AwsSigner, BearerKey
from openclaw.models.bedrock.transport import Endpoints
from openclaw.models.catalog import Catalog
from openclaw.net.http import HttpClient
from tests.stand_ins.bedrock import ACCESS_KEY, API_KEY, SECRET_KEY

KEYS = {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY}
ARN = "arn:aws:bedrock:eu-central-1:123456789012"
IMPORTED = f"{ARN}:imported-model/abc123"


def bearer(
    http: HttpClient, base_url: str, *, key: str = API_KEY, timeouts: ModelTimeouts | None = None
) -> BedrockClient:
    """Return a client with an API key."""
    secret = Secret(key)
    return BedrockClient(
        http=http,
        clock=SYSTEM_CLOCK,
        catalog=Catalog(),
        auth=BearerKey(secret),
        key=secret,
        endpoints=Endpoints(base_url, base_url),
        region="us-east-1",
        timeouts=timeouts,
    )


def signer(env: dict[str, str], profile: str = "") -> AwsSigner:
    """Return a signer over a plain environment."""
    return AwsSigner("bedrock", env.get, SYSTEM_CLOCK, profile)


def signed(http: HttpClient, base_url: str, env: dict[str, str], *, region: str = "us-east-1") -> BedrockClient:
    """Return a client that signs."""
    return BedrockClient(
        http=http,
        clock=SYSTEM_CLOCK,
        catalog=Catalog(),
        auth=signer(env),
        endpoints=Endpoints(base_url, base_url),
        region=region,
    )
