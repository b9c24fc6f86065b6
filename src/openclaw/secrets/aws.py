"""Secrets in AWS: Secrets Manager and the Parameter Store of Systems Manager.

botocore is loaded at the first question, in a thread: importing this file costs nothing. What it raises is named by its
code alone: its messages quote addresses and ids, and are not ours to repeat. What it sends goes by the egress door.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec

from openclaw.base.errors import PolicyDenied, Unavailable
from openclaw.base.secret import Secret
from openclaw.config.schema import SecretProviderConfig
from openclaw.net.aws import Wait, lead, waiting_on
from openclaw.net.http import Timeouts
from openclaw.secrets.outcome import Found, Means, Unresolved, Written, secret_of
from openclaw.secrets.pointer import parse_json, pick, replace, split_id

PARAMETERS_AT_ONCE: Final = 10
"""What GetParameters takes (AWS' own limit)."""
_VARIABLES: Final = {
    "profile": ("AWS_PROFILE", "AWS_DEFAULT_PROFILE"),
    "config_file": ("AWS_CONFIG_FILE",),
    "credentials_file": ("AWS_SHARED_CREDENTIALS_FILE",),
    "region": ("AWS_REGION", "AWS_DEFAULT_REGION"),
}
_KEYS: Final = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
_SAID: Final = {
    "ResourceNotFoundException": "AWS has no secret of that name",
    "AccessDeniedException": "AWS does not allow it to this credential",
    "UnrecognizedClientException": "AWS does not know this credential",
    "InvalidSignatureException": "AWS does not take this credential",
    "ExpiredTokenException": "the AWS credential has expired",
    "NoCredentialsError": "there is no AWS credential",
    "NoRegionError": "no AWS region is set",
    "ProfileNotFound": "there is no such AWS profile",
}


async def read_secrets_manager(provider: SecretProviderConfig, ids: Sequence[str], means: Means) -> Found:
    """Return secrets by name or ARN; `name#member` takes one member of a JSON secret. Raises: Unresolved."""
    return await asyncio.to_thread(_secrets, provider, ids, means, _here())


async def read_parameters(provider: SecretProviderConfig, ids: Sequence[str], means: Means) -> Found:
    """Return parameters by name, decrypted; `name#member` takes one member of a JSON text. Raises: Unresolved."""
    return await asyncio.to_thread(_parameters, provider, ids, means, _here())


def _here() -> Wait:
    return waiting_on(asyncio.get_running_loop())


def _secrets(provider: SecretProviderConfig, ids: Sequence[str], means: Means, wait: Wait) -> Found:
    client = _client("secretsmanager", provider, means, wait)
    kept = {name: _secret(client, name) for name in _names(ids)}
    return {each: _member(each, kept) for each in ids}


def _secret(client: Any, name: str) -> str | Unresolved:
    try:
        answer = client.get_secret_value(SecretId=name)
    except _failures() as error:
        return _unresolved(error)
    text = answer.get("SecretString")
    return text if isinstance(text, str) else Unresolved("it is binary, not a text")


def _parameters(provider: SecretProviderConfig, ids: Sequence[str], means: Means, wait: Wait) -> Found:
    client = _client("ssm", provider, means, wait)
    names = list(_names(ids))
    kept: dict[str, str | Unresolved] = dict.fromkeys(names, Unresolved("AWS has no parameter of that name"))
    for at in range(0, len(names), PARAMETERS_AT_ONCE):
        batch = names[at : at + PARAMETERS_AT_ONCE]
        try:
            answer = client.get_parameters(Names=batch, WithDecryption=True)
        except _failures() as error:
            kept.update(dict.fromkeys(batch, _unresolved(error)))
            continue
        for parameter in answer.get("Parameters", ()):
            name = parameter["ARN"] if parameter.get("ARN") in batch else parameter["Name"]
            kept[name + parameter.get("Selector", "")] = parameter["Value"]
    return {each: _member(each, kept) for each in ids}


async def write_secret(provider: SecretProviderConfig, name: str, secret: Secret, means: Means) -> Written:
    """Put another value into Secrets Manager, or another member. Raises: Unresolved."""
    return await asyncio.to_thread(_put_secret, provider, name, secret, means, _here())


async def write_parameter(provider: SecretProviderConfig, name: str, secret: Secret, means: Means) -> Written:
    """Put another value into the Parameter Store, of the same type, key and tier. Raises: Unresolved."""
    return await asyncio.to_thread(_put_parameter, provider, name, secret, means, _here())


def _put_secret(provider: SecretProviderConfig, each: str, secret: Secret, means: Means, wait: Wait) -> Written:
    client, (name, pointer) = _client("secretsmanager", provider, means, wait), split_id(each)
    text = _with_member(_secret(client, name), pointer, secret) if pointer else secret.reveal()
    try:
        client.put_secret_value(SecretId=name, SecretString=text)
    except _failures() as error:
        raise _unresolved(error) from None
    return Written(f"{name} in AWS Secrets Manager", "AWS keeps the one before as AWSPREVIOUS")


def _put_parameter(provider: SecretProviderConfig, each: str, secret: Secret, means: Means, wait: Wait) -> Written:
    client, (name, pointer) = _client("ssm", provider, means, wait), split_id(each)
    try:
        filters = [{"Key": "Name", "Values": [name]}]
        known = client.describe_parameters(ParameterFilters=filters).get("Parameters", ())
        if not known:  # also for one that is named by its ARN, a version or a label
            raise Unresolved("AWS lists no parameter of that name: a version, a label or an ARN cannot be rotated")
        # Without its key a parameter would be encrypted with the account's default one from now on.
        kept = {key: known[0][key] for key in ("Type", "KeyId", "Tier", "DataType") if known[0].get(key)}
        text = secret.reveal()
        if pointer:
            text = _with_member(
                client.get_parameter(Name=name, WithDecryption=True)["Parameter"]["Value"], pointer, secret
            )
        version = client.put_parameter(Name=name, Value=text, Overwrite=True, **kept).get("Version", 0)
    except _failures() as error:
        raise _unresolved(error) from None
    return Written(f"{name} in the AWS Parameter Store", f"AWS keeps the one before as version {version - 1}")


def _with_member(text: str | Unresolved, pointer: str, secret: Secret) -> str:
    if isinstance(text, Unresolved):
        raise text
    value = parse_json(text)
    replace(value, pointer, secret)
    return msgspec.json.encode(value).decode()


def _names(ids: Sequence[str]) -> Iterator[str]:
    yield from dict.fromkeys(split_id(each)[0] for each in ids)


def _member(each: str, kept: dict[str, str | Unresolved]) -> Secret | Unresolved:
    name, pointer = split_id(each)
    text = kept[name]
    try:
        if isinstance(text, Unresolved):
            return text
        return pick(parse_json(text), pointer) if pointer else secret_of(text)
    except Unresolved as error:
        return error


def _client(service: str, provider: SecretProviderConfig, means: Means, wait: Wait) -> Any:
    """Make a client of botocore that gives up in time. Raises: Unresolved."""
    sessions, configs = _load("botocore.session"), _load("botocore.config")
    env = means.env.get
    try:
        session = sessions.Session(profile=provider.profile or None)
        settings = session.get_component("config_store")
        for name, variables in _VARIABLES.items():
            value = next((value for variable in variables if (value := env(variable))), None)
            if value and not (name == "profile" and provider.profile):
                settings.set_config_variable(name, value)
        # The chain reads the process's own environment: what only our .env files hold is handed to it.
        for link in session.get_component("credential_provider").providers:
            if link.METHOD == "env":
                link.environ = {name: value for name in _KEYS if (value := env(name))}
        limit_s = provider.timeout_ms / 1000
        lead(session, means.http, wait, "secrets", Timeouts(limit_s, limit_s, limit_s, limit_s))
        return session.create_client(
            service,
            region_name=provider.region or None,
            endpoint_url=provider.endpoint or env("AWS_ENDPOINT_URL") or None,
            config=configs.Config(retries={"total_max_attempts": 2, "mode": "standard"}),
        )
    except _failures() as error:
        raise _unresolved(error) from None


def _load(name: str) -> Any:
    logger = logging.getLogger("botocore")
    if logger.level == logging.NOTSET:
        # At debug level it logs whole answers, secrets included.
        logger.setLevel(logging.WARNING)
    try:
        return importlib.import_module(name)
    except ImportError:
        raise Unresolved("botocore is not installed: pip install 'openclaw-gateway[aws]'") from None


def _failures() -> tuple[type[Exception], ...]:
    errors = _load("botocore.exceptions")
    return errors.BotoCoreError, errors.ClientError, PolicyDenied, Unavailable, OSError, ValueError, KeyError


def _unresolved(error: Exception) -> Unresolved:
    if isinstance(error, PolicyDenied | Unavailable):
        return Unresolved(error.message)
    answer = getattr(error, "response", None)
    code = str(answer.get("Error", {}).get("Code", "")) if isinstance(answer, dict) else type(error).__name__
    return Unresolved(_SAID.get(code, f"AWS could not be asked ({code[:60]})"))
