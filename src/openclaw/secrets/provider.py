"""Which provider a reference means, and how each kind is asked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Literal

from openclaw.base.errors import InvalidRequest
from openclaw.base.secret import Secret
from openclaw.config.redaction.redact import REFERENCE
from openclaw.config.reference import Reference
from openclaw.config.schema import SecretProviderConfig, SecretsConfig
from openclaw.secrets.aws import read_parameters, read_secrets_manager, write_parameter, write_secret
from openclaw.secrets.file import file_target, read_files, write_file
from openclaw.secrets.hashicorp import read_vault, write_vault
from openclaw.secrets.outcome import Found, Means, Unresolved, Written
from openclaw.secrets.program import ask_program
from openclaw.secrets.variable import read_variables, variable_target, write_variable

BUILT_IN: Final = "default"
"""The provider of a reference for which none is named; there without any configuration."""
STORE: Final = "secrets.json"
"""The file, below the state directory, that `{{ secrets['id'] }}` means unless the configuration says otherwise."""


def provider_of(reference: Reference, config: SecretsConfig) -> tuple[str, SecretProviderConfig]:
    """Return the name and the settings of the provider. Raises: Unresolved when there is none."""
    source = reference.source
    chosen = reference.provider or (getattr(config.defaults, source) if source else config.default)
    name = chosen or BUILT_IN
    found = config.providers.get(name)
    if found is not None and source in ("", found.source):
        return name, found
    if chosen and found is not None:
        raise Unresolved(f"secrets.providers.{name} has source {found.source}, not {source}")
    if chosen and chosen != BUILT_IN:
        raise Unresolved(f"there is no usable secrets.providers.{name}")
    if source == "exec":
        raise Unresolved("source exec needs a provider with a command in secrets.providers")
    settings: Any = source or "file"
    return BUILT_IN, SecretProviderConfig(source=settings, path="" if source else STORE)


def reference_to(kind: Literal["file", "env"], name: str, config: SecretsConfig) -> dict[str, str] | str:
    """Return what a setting is to say to mean `name` of the state directory's own files.

    Shape: `${NAME}` where that can be written: every program that reads such a file knows it, of any age.

    Raises: InvalidRequest when the configuration's default provider is another; Unresolved when it is unusable.
    """
    if kind == "env" and REFERENCE.fullmatch(f"${{{name}}}"):
        return f"${{{name}}}"
    found = {"source": "env", "id": name}
    if kind == "file":
        found = {"source": "file", "id": f"{STORE}#/{name.replace('~', '~0').replace('/', '~1')}"}
    other, provider = provider_of(Reference(found["source"], found["id"]), config)
    if provider.path:
        raise InvalidRequest(
            f"secrets.defaults.{kind} names {other}, which reads one file of its own",
            hint="Write the secret there, and a reference to it with: openclaw config set",
        )
    return found


async def ask(name: str, provider: SecretProviderConfig, ids: Sequence[str], means: Means) -> Found:
    """Return value or problem of every id. Raises: Unresolved when the provider as a whole cannot be used."""
    match provider.source:
        case "env":
            return await read_variables(provider, ids, means)
        case "file":
            return await read_files(provider, ids, means)
        case "exec":
            return await ask_program(provider, ids, means, name)
        case "aws":
            return await read_secrets_manager(provider, ids, means)
        case "ssm":
            return await read_parameters(provider, ids, means)
        case "vault":
            return await read_vault(provider, ids, means)


def target(provider: SecretProviderConfig, id_: str, means: Means) -> str:
    """Say where a secret would be replaced. Raises: Unresolved saying why it cannot be, as far as that can be seen."""
    match provider.source:
        case "env":
            return f"{id_} in {variable_target(id_, means)}"
        case "file":
            return str(file_target(provider, id_, means))
        case "exec":
            raise Unresolved("a program only hands secrets out: rotate it where the program keeps it")
        case "aws":
            return f"{id_} in AWS Secrets Manager"
        case "ssm":
            return f"{id_} in the AWS Parameter Store"
        case "vault":
            return f"{id_} in Vault"


async def put(provider: SecretProviderConfig, id_: str, secret: Secret, means: Means) -> Written:
    """Replace a secret where it lies. Raises: Unresolved saying why it is not replaced."""
    where = target(provider, id_, means)
    try:
        match provider.source:
            case "env":
                return await write_variable(id_, secret, means)
            case "file":
                return await write_file(provider, id_, secret, means)
            case "aws":
                return await write_secret(provider, id_, secret, means)
            case "ssm":
                return await write_parameter(provider, id_, secret, means)
            case _:
                return await write_vault(provider, id_, secret, means)
    except OSError as error:
        raise Unresolved(f"{where} cannot be written: {error.strerror}") from None
