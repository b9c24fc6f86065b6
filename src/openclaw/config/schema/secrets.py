"""Where secrets come from that the configuration only names."""

from typing import Annotated, Literal

from openclaw.base.secret import Secret
from openclaw.config.schema.leaf import Section, leaf


class SecretProviderConfig(Section, frozen=True):
    """One place that secrets are kept in. Which of the settings count depends on `source`."""

    source: Annotated[
        Literal["env", "file", "exec", "aws", "ssm", "vault"],
        leaf("Variables, a file, a program, AWS Secrets Manager, AWS SSM parameters, or HashiCorp Vault.", "live"),
    ]
    timeout_ms: Annotated[int, leaf("Longest that it may take.", "live", "ms", ge=100, le=120_000)] = 10_000
    ttl_seconds: Annotated[
        int, leaf("Age at which a value is read again by itself; 0 = only when asked to.", "live", "s", ge=0)
    ] = 0
    allow_insecure: Annotated[
        bool,
        leaf("Take files and programs that others may read or change, and Vault over http.", "live"),
    ] = False
    path: Annotated[str, leaf("file: its path, absolute or below the state directory.", "live")] = ""
    mode: Annotated[
        Literal["auto", "json", "singleValue"],
        leaf("file: JSON whose members the ids name, or one value; auto = JSON for *.json.", "live"),
    ] = "auto"
    max_bytes: Annotated[int, leaf("file, exec: most that is read.", "live", "bytes", ge=1, le=16_777_216)] = 1_048_576
    command: Annotated[str, leaf("exec: absolute path of the program; no shell is involved.", "live")] = ""
    args: Annotated[tuple[str, ...], leaf("exec: its arguments; `{id}` stands for the one id asked for.", "live")] = ()
    pass_env: Annotated[tuple[str, ...], leaf("exec: variables it gets besides PATH, HOME and LANG.", "live")] = ()
    env: Annotated[dict[str, str], leaf("exec: more variables, with their values.", "live")] = {}
    json_only: Annotated[
        bool, leaf("exec: it answers the protocol's JSON; false = its plain output is the one value.", "live")
    ] = True
    region: Annotated[str, leaf("aws, ssm: region; empty = the environment's or the profile's.", "live")] = ""
    profile: Annotated[str, leaf("aws, ssm: named profile of ~/.aws.", "live")] = ""
    endpoint: Annotated[str, leaf("aws, ssm: address to call instead of the region's own.", "live")] = ""
    address: Annotated[
        str, leaf("vault: address, e.g. https://vault.example.com:8200; empty = VAULT_ADDR.", "live")
    ] = ""
    namespace: Annotated[str, leaf("vault: namespace; empty = VAULT_NAMESPACE.", "live")] = ""
    mount: Annotated[str, leaf("vault: mount of the key-value engine.", "live", min_length=1)] = "secret"
    kv_version: Annotated[Literal[1, 2], leaf("vault: version of that engine.", "live")] = 2
    token: Annotated[Secret | None, leaf("vault: token; without it VAULT_TOKEN.", "live")] = None
    role_id: Annotated[str, leaf("vault: role to sign in with by AppRole.", "live")] = ""
    secret_id: Annotated[Secret | None, leaf("vault: that role's secret id.", "live")] = None
    app_role_mount: Annotated[str, leaf("vault: mount of AppRole.", "live", min_length=1)] = "approle"


class SecretDefaultsConfig(Section, frozen=True):
    """The provider of references that name a source alone."""

    env: Annotated[str, leaf("Provider of references with source env.", "live")] = ""
    file: Annotated[str, leaf("Provider of references with source file.", "live")] = ""
    exec: Annotated[str, leaf("Provider of references with source exec.", "live")] = ""
    aws: Annotated[str, leaf("Provider of references with source aws.", "live")] = ""
    ssm: Annotated[str, leaf("Provider of references with source ssm.", "live")] = ""
    vault: Annotated[str, leaf("Provider of references with source vault.", "live")] = ""


class SecretsConfig(Section, frozen=True):
    """Places that secrets are kept in. Without any, `{{ secrets['id'] }}` is read from <state>/secrets.json."""

    providers: Annotated[dict[str, SecretProviderConfig], leaf("Places by name.", "live")] = {}
    default: Annotated[str, leaf("Provider of `{{ secrets['id'] }}`; empty = `default`.", "live")] = ""
    defaults: SecretDefaultsConfig = SecretDefaultsConfig()
    timeout_ms: Annotated[
        int, leaf("Longest that resolving all of them may take.", "live", "ms", ge=100, le=300_000)
    ] = 30_000
