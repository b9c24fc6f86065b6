"""Who we are to AWS: an API key, or a credential that botocore's chain finds and signs with.

botocore is loaded at the first signed call, in a thread: importing this file costs nothing. It reads the process's own
environment; what only our `.env` files or the configuration set is handed to it.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import logging
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, NamedTuple, Protocol

from openclaw.base.clock import Clock
from openclaw.base.errors import ModelAuth, ModelError, ModelTimeout, ModelUnavailable
from openclaw.base.secret import Secret
from openclaw.net.aws import Wait, lead, waiting_on
from openclaw.net.http import HttpClient, Timeouts

Env = Callable[[str], str | None]

SERVICE = "bedrock"
LOOKUP_TIMEOUT_S = 60.0
MISSING_FOR_S = 10.0
"""An empty chain is not asked again at every call: on a machine outside AWS its last link waits a second or more."""
_ASKING = Timeouts(connect=10.0, first_byte=30.0, idle=30.0, total=LOOKUP_TIMEOUT_S)
INLINE_BODY_BYTES = 64 * 1024
"""Larger bodies are hashed in a thread."""
INSTALL_HINT = "Install the extra: pip install 'openclaw-gateway[aws]', or set AWS_BEARER_TOKEN_BEDROCK."
_LINKS = {
    "env": "environment (AWS_ACCESS_KEY_ID)",
    "assume-role": "profile's role",
    "assume-role-with-web-identity": "web identity (EKS)",
    "sso": "SSO",
    "shared-credentials-file": "~/.aws/credentials",
    "login": "aws login",
    "custom-process": "credential_process",
    "config-file": "~/.aws/config",
    "ec2-credentials-file": "AWS_CREDENTIAL_FILE",
    "boto-config": "boto.cfg",
    "container-role": "container role (ECS, EKS Pod Identity)",
    "iam-role": "instance role (EC2 IMDSv2)",
}
_SESSION_VARIABLES = {
    "profile": ("AWS_PROFILE", "AWS_DEFAULT_PROFILE"),
    "config_file": ("AWS_CONFIG_FILE",),
    "credentials_file": ("AWS_SHARED_CREDENTIALS_FILE",),
    "region": ("AWS_REGION", "AWS_DEFAULT_REGION"),
}
_KEY_VARIABLES = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_SECURITY_TOKEN",
    "AWS_CREDENTIAL_EXPIRATION",
    "AWS_ACCOUNT_ID",
)


class Outgoing(NamedTuple):
    """A request about to leave."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes | None
    region: str


class Auth(Protocol):
    """Proves to Bedrock who asks."""

    async def headers(self, model: str, request: Outgoing) -> Mapping[str, str]:
        """Return the request's headers with the proof among them. Raises: ModelUnavailable, ModelAuth, ModelTimeout."""
        ...

    async def region(self, model: str) -> str:
        """Return the region that the credential's profile names, "" when there is none."""
        ...

    def forget(self) -> None:
        """Look the credential up again at the next call: AWS refused this one."""
        ...


class BearerKey:
    """A Bedrock API key."""

    def __init__(self, key: Secret) -> None:
        self._key = key

    async def headers(self, model: str, request: Outgoing) -> Mapping[str, str]:
        """See Auth."""
        return {**request.headers, "Authorization": f"Bearer {self._key.reveal()}"}

    async def region(self, model: str) -> str:
        """See Auth."""
        return ""

    def forget(self) -> None:
        """Nothing is kept."""


class _Found(NamedTuple):
    credentials: Any
    region: str


class AwsSigner:
    """Signs with Signature V4. Credentials are kept until they expire; botocore renews those that can be renewed.

    What the chain asks of AWS' services (STS, SSO) goes by `http`.
    """

    def __init__(
        self, provider: str, env: Env, clock: Clock, profile: str = "", *, http: HttpClient | None = None
    ) -> None:
        self._http = http
        self._provider = provider
        self._env = env
        self._clock = clock
        self._profile = profile
        self._found: _Found | None = None
        self._frozen: Any = None
        self._missing: tuple[float, ModelError] | None = None
        self._looking = asyncio.Lock()

    async def headers(self, model: str, request: Outgoing) -> Mapping[str, str]:
        """See Auth."""
        frozen = self._frozen
        if frozen is None or _is_stale(self._found):
            frozen = await self._look_up(model)
        if request.body is not None and len(request.body) > INLINE_BODY_BYTES:
            return await asyncio.to_thread(sign, frozen, request)
        return sign(frozen, request)

    async def region(self, model: str) -> str:
        """See Auth."""
        if self._found is None:
            await self._look_up(model)
        return self._found.region if self._found else ""

    def forget(self) -> None:
        """See Auth."""
        self._found = self._frozen = None

    async def _look_up(self, model: str) -> Any:
        """Ask the chain, one caller at a time; the others take what it found."""
        try:
            async with asyncio.timeout(LOOKUP_TIMEOUT_S), self._looking:
                if self._frozen is not None and not _is_stale(self._found):
                    return self._frozen
                if self._missing is None or self._clock.monotonic_s() >= self._missing[0]:
                    await self._try()
        except TimeoutError:
            raise ModelTimeout(
                f"{self._provider}/{model}: AWS gave no credential within {LOOKUP_TIMEOUT_S:g} s",
                details={"provider": self._provider, "model": model},
            ) from None
        if self._missing is not None:
            raise self._told(model, self._missing[1])
        return self._frozen

    async def _try(self) -> None:
        found, self._found = self._found, None
        try:
            self._found, self._frozen = await (
                asyncio.to_thread(self._renew, found)
                if found
                else asyncio.to_thread(self._walk, waiting_on(asyncio.get_running_loop()))
            )
            self._missing = None
        except ModelError as error:
            self._missing = (self._clock.monotonic_s() + MISSING_FOR_S, error)

    def _told(self, model: str, error: ModelError) -> ModelError:
        details = {**error.details, "provider": self._provider, "model": model}
        return type(error)(error.message, hint=error.hint, details=details)

    def _renew(self, found: Any) -> tuple[_Found, Any]:
        """Let botocore renew what it found before. Runs in a thread, as `_walk` does."""
        try:
            return found, found.credentials.get_frozen_credentials()
        except _failures() as error:
            raise self._failed(error, []) from None

    def _walk(self, wait: Wait) -> tuple[_Found, Any]:
        """Load botocore and walk its chain: this reads files and may ask servers."""
        session_module = _load("botocore.session")
        tried: list[str] = []
        try:
            session = session_module.Session(profile=self._profile or None)
            settings = session.get_component("config_store")
            for name, variables in _SESSION_VARIABLES.items():
                value = next((value for variable in variables if (value := self._env(variable))), None)
                if value and not (name == "profile" and self._profile):
                    settings.set_config_variable(name, value)
            if self._http is not None:
                lead(session, self._http, wait, "inference", _ASKING)
            chain = self._chain(session)
            tried = [_LINKS.get(link.METHOD, link.METHOD) for link in chain.providers]
            credentials = chain.load_credentials()
            if credentials is None:
                raise self._no_credential(tried)
            frozen = credentials.get_frozen_credentials()
            return _Found(credentials, session.get_config_variable("region") or ""), frozen
        except _failures() as error:
            raise self._failed(error, tried) from None

    def _chain(self, session: Any) -> Any:
        chain = session.get_component("credential_provider")
        for link in chain.providers:
            if link.METHOD == "env":
                link.environ = {name: value for name in _KEY_VARIABLES if (value := self._env(name))}
        if (self._env("AWS_EC2_METADATA_DISABLED") or "").lower() == "true":
            chain.remove("iam-role")
        return chain

    def _no_credential(self, tried: list[str]) -> ModelError:
        profile = f" (profile {self._profile!r})" if self._profile else ""
        return ModelUnavailable(
            f"{self._provider}: no AWS credential{profile}; tried {', '.join(tried)}",
            hint="Set AWS_BEARER_TOKEN_BEDROCK or AWS_ACCESS_KEY_ID, run `aws sso login`, or give the machine a role.",
            details={"tried": tried},
        )

    def _failed(self, error: Exception, tried: list[str]) -> ModelError:
        """A link of the chain was there and broke: say which, not only that there is nothing."""
        text = " ".join(str(error).split())[:300]
        kind = type(error).__name__
        if kind in ("ProfileNotFound", "PartialCredentialsError", "ConfigNotFound", "ConfigParseError"):
            return ModelUnavailable(
                f"{self._provider}: AWS credentials: {text}",
                hint=f"Check AWS_PROFILE, models.providers.{self._provider}.awsProfile, and the files in ~/.aws.",
                details={"tried": tried},
            )
        return ModelAuth(
            f"{self._provider}: AWS credentials ({kind}): {text}",
            hint="If this is SSO, run `aws sso login`; else check the profile or role.",
            details={"tried": tried},
        )


def sign(credentials: Any, request: Outgoing) -> Mapping[str, str]:
    """Return the request's headers, signed. Shape: `credentials` are botocore's frozen ones."""
    auth, awsrequest = _load("botocore.auth"), _load("botocore.awsrequest")
    outgoing = awsrequest.AWSRequest(request.method, request.url, headers=dict(request.headers), data=request.body)
    auth.SigV4Auth(credentials, SERVICE, request.region).add_auth(outgoing)
    return dict(outgoing.headers.items())


@cache
def can_sign() -> bool:
    """Say whether botocore is installed, without loading it."""
    return importlib.util.find_spec("botocore") is not None


@cache
def _load(name: str) -> Any:
    logger = logging.getLogger("botocore")
    if logger.level == logging.NOTSET:
        # At debug level it logs what it signs, session token included.
        logger.setLevel(logging.WARNING)
    try:
        return importlib.import_module(name)
    except ImportError:
        raise ModelUnavailable("AWS credentials need botocore, which is not installed", hint=INSTALL_HINT) from None


def _failures() -> tuple[type[Exception], ...]:
    """What botocore raises: its own two trees, and plain errors for files and answers that it cannot read."""
    errors = _load("botocore.exceptions")
    return errors.BotoCoreError, errors.ClientError, RuntimeError, ValueError, OSError


def _is_stale(found: _Found | None) -> bool:
    """Only credentials that expire can say so; botocore renews them when they are asked for."""
    needed = getattr(found.credentials, "refresh_needed", None) if found else None
    return bool(needed()) if needed is not None else found is None
