"""Where the gateway listens, who may connect, and what it does with changes of the file."""

from typing import Annotated, Final, Literal

from openclaw.base.secret import Secret
from openclaw.config.schema.identity import AlbConfig, CognitoConfig, OidcConfig, RoleConfig, TrustedProxyConfig
from openclaw.config.schema.leaf import Section, leaf

BASE_PATH: Final = (
    "^(?!/(?:v1|api|tools|hooks|metrics|health|healthz|live|ready|readyz|startupz|setup|avatar|docs)(?:/|$))"
    "(?:/[A-Za-z0-9_~-][A-Za-z0-9._~-]{0,62}){0,8}$"
)
"""Addresses of the gateway's own stay free, and no segment is `.` or `..` or needs an encoding."""


class RateLimitConfig(Section, frozen=True):
    """How many failed sign-ins an address may have before it has to wait."""

    max_attempts: Annotated[int, leaf("Failed sign-ins from one address before a lockout.", "live", ge=1)] = 10
    window_ms: Annotated[int, leaf("Window in which failures are counted.", "live", "ms", ge=1000)] = 60_000
    lockout_ms: Annotated[int, leaf("How long an address is locked out.", "live", "ms", ge=1000)] = 300_000


class AuthConfig(Section, frozen=True):
    """Who may connect: the shared secret, and how guessing it is slowed down."""

    mode: Annotated[
        Literal["token", "password", "none", "trusted-proxy", "oidc", "cognito", "alb"],
        leaf("How callers prove who they are. `none` works on loopback only.", "live"),
    ] = "token"
    token: Annotated[
        Secret | None, leaf("The shared gateway token. Another one closes the clients that came by the old.", "live")
    ] = None
    password: Annotated[Secret | None, leaf("The shared password, for mode `password`.", "live")] = None
    allow_url_token: Annotated[
        bool,
        leaf(
            "Take the token of old clients from `?token=` of the WebSocket's address, and of no other. Addresses are "
            "written down in histories and by proxies.",
            "live",
        ),
    ] = False
    rate_limit: RateLimitConfig = RateLimitConfig()
    trusted_proxy: TrustedProxyConfig = TrustedProxyConfig()
    oidc: OidcConfig = OidcConfig()
    cognito: CognitoConfig = CognitoConfig()
    alb: AlbConfig = AlbConfig()


class RemoteConfig(Section, frozen=True):
    """The gateway elsewhere that commands talk to in mode `remote`."""

    url: Annotated[str, leaf("WebSocket URL of a gateway elsewhere, for mode `remote`.", "live")] = ""
    token: Annotated[Secret | None, leaf("Token of that gateway.", "live")] = None
    tls_fingerprint: Annotated[str, leaf("SHA-256 of its certificate, hex; then nothing else is believed.", "live")] = (
        ""
    )


class ControlUiConfig(Section, frozen=True):
    """Browser access to the gateway."""

    enabled: Annotated[bool, leaf("Serve a page for browsers at /.", "process")] = True
    base_path: Annotated[
        str,
        leaf(
            "Path at which a reverse proxy serves the gateway, e.g. /claw; the proxy may cut it off or pass it on.",
            "process",
            pattern=BASE_PATH,
        ),
    ] = ""
    root: Annotated[str, leaf("Folder of a built UI to serve instead of our own page.", "process")] = ""
    allowed_origins: Annotated[
        tuple[str, ...], leaf("Origins besides the gateway's own that browsers may connect from.", "live")
    ] = ()


class EndpointConfig(Section, frozen=True):
    """One group of HTTP routes."""

    enabled: Annotated[bool, leaf("Serve this group of HTTP routes.", "process")] = True


class EndpointsConfig(Section, frozen=True):
    """The groups of HTTP routes, each of which can be switched off."""

    chat_completions: EndpointConfig = EndpointConfig()
    responses: EndpointConfig = EndpointConfig()
    embeddings: EndpointConfig = EndpointConfig()
    agents: EndpointConfig = EndpointConfig()
    tools: EndpointConfig = EndpointConfig()
    docs: EndpointConfig = EndpointConfig()


class SecurityHeadersConfig(Section, frozen=True):
    """Headers that tell browsers to be careful."""

    strict_transport_security: Annotated[
        str,
        leaf(
            "Value of Strict-Transport-Security on answers over https, e.g. max-age=31536000; false = none.",
            "live",
            pattern="^[ -~]{0,256}$",
        ),
    ] = ""


class HttpConfig(Section, frozen=True):
    """The HTTP side of the gateway."""

    security_headers: SecurityHeadersConfig = SecurityHeadersConfig()

    endpoints: EndpointsConfig = EndpointsConfig()


_RELOAD_MODE = (
    "What a change of the file does: hybrid and hot take it up at once, except what needs a restart, which waits for "
    "one; restart starts the gateway again in place; off leaves it to SIGHUP and the next start."
)


class ReloadConfig(Section, frozen=True):
    """What happens when the configuration file changes."""

    mode: Annotated[Literal["hybrid", "hot", "restart", "off"], leaf(_RELOAD_MODE, "live")] = "hybrid"
    debounce_ms: Annotated[int, leaf("Quiet time before a change is read.", "live", "ms", ge=50, le=60_000)] = 300


class ShedConfig(Section, frozen=True):
    """Beyond which load new messages are refused with 503, until there is less of it."""

    loop_lag_ms: Annotated[int, leaf("Lateness of the event loop within the last second.", "live", "ms", ge=50)] = 1000
    memory_bytes: Annotated[
        int,
        leaf(
            "Memory of the gateway's process; 0 = nine tenths of what its service or container may use.",
            "live",
            "bytes",
            ge=0,
        ),
    ] = 0
    queued: Annotated[int, leaf("Messages that wait for a run to end.", "live", ge=1, le=20_000)] = 10_000


class NodeCommandsConfig(Section, frozen=True):
    """Which of the commands that nodes offer may be invoked."""

    allow: Annotated[
        tuple[str, ...], leaf("Commands to let through besides the harmless ones, e.g. camera.snap.", "live")
    ] = ()
    deny: Annotated[tuple[str, ...], leaf("Commands never to let through, `*` = all; wins over allow.", "live")] = ()


class NodesConfig(Section, frozen=True):
    """What the machines and phones that attach as nodes may do."""

    commands: NodeCommandsConfig = NodeCommandsConfig()
    sessions: Annotated[
        Literal["own", "any"],
        leaf("Sessions that an approved node may follow and write to: its own (`node-<id>`), or any.", "live"),
    ] = "own"


class TlsConfig(Section, frozen=True):
    """HTTPS and WSS without a proxy. A renewed certificate is taken up without a restart."""

    enabled: Annotated[bool, leaf("Speak TLS, and nothing else, on the port.", "process")] = False
    auto_generate: Annotated[
        bool, leaf("Make a self-signed certificate when neither of the two files is there.", "process")
    ] = True
    cert_path: Annotated[
        str, leaf("Certificate chain, PEM; empty = gateway/tls/gateway-cert.pem in the state directory.", "live")
    ] = ""
    key_path: Annotated[str, leaf("Its private key, PEM; empty = gateway-key.pem beside it there.", "live")] = ""


class GatewayConfig(Section, frozen=True):
    """Where the gateway listens and who may connect."""

    mode: Annotated[
        Literal["local", "remote"],
        leaf("What commands talk to: the gateway here, or the one at gateway.remote.", "live"),
    ] = "local"
    port: Annotated[int, leaf("TCP port of the gateway.", "process", ge=1, le=65_535)] = 18_789
    bind: Annotated[
        Literal["loopback", "lan", "custom"],
        leaf("Which addresses to listen on. 127.0.0.1, 0.0.0.0 and * are accepted and normalised.", "process"),
    ] = "loopback"
    custom_bind_host: Annotated[str, leaf("Address for bind `custom`.", "process")] = ""
    auth: AuthConfig = AuthConfig()
    remote: RemoteConfig = RemoteConfig()
    trusted_proxies: Annotated[tuple[str, ...], leaf("Addresses whose forwarding headers are believed.", "live")] = ()
    tls: TlsConfig = TlsConfig()
    public_base_url: Annotated[str, leaf("How the gateway is reached from outside.", "live")] = ""
    control_ui: ControlUiConfig = ControlUiConfig()
    http: HttpConfig = HttpConfig()
    reload: ReloadConfig = ReloadConfig()
    shed: ShedConfig = ShedConfig()
    nodes: NodesConfig = NodesConfig()
    roles: Annotated[dict[str, RoleConfig], leaf("Roles by name.", "live")] = {}
