"""The running gateway: it answers, it is ours, of our version, and it listens where it should and nowhere else."""

from __future__ import annotations

from collections.abc import Iterator

from openclaw.base.errors import OpenClawError, Unauthorized, Unavailable
from openclaw.config.refusal import binds_loopback_only
from openclaw.ops.doctor.checks.state import holder
from openclaw.ops.doctor.listening import listeners
from openclaw.ops.doctor.scene import Finding, Scene
from openclaw.store.lock import LOCK_NAME


def gateway_findings(scene: Scene) -> Iterator[Finding]:
    """Report whether the gateway answers on its port, whether it is ours, and of which version."""
    port = scene.loaded.config.gateway.port
    try:
        answer = scene.probe()
    except Unauthorized as error:
        yield Finding(id="gateway.token-parity", severity="error", evidence=error.message, fix=error.hint)
        return
    except Unavailable as error:
        yield Finding(
            id="gateway.reachable",
            severity="info",
            evidence=error.message,
            fix="`openclaw gateway` starts it; `openclaw logs` shows why it ended.",
        )
        return
    except OpenClawError as error:
        answer = {"error": error.message}
    if answer.get("ok") is not True:
        yield Finding(
            id="gateway.port",
            severity="error",
            evidence=f"something else answers on port {port}",
            fix="Stop it, or set gateway.port to a free port.",
        )
    elif "version" not in answer:
        yield Finding(
            id="gateway.token-parity",
            severity="error",
            evidence=f"the gateway on port {port} does not accept the token of this state directory",
            fix="It may serve another state directory: compare `openclaw gateway token check` with its owner's.",
        )
    else:
        version = str(answer["version"])
        yield Finding(id="gateway.reachable", severity="ok", evidence=f"it answers, version {version}")
        if scene.version and version != scene.version:
            yield Finding(
                id="gateway.version",
                severity="warning",
                evidence=f"the running gateway is {version}, this command is {scene.version}",
                fix="Restart the gateway, or update this command: both should be of one version.",
            )
        if waiting := answer.get("restartRequired"):
            yield Finding(
                id="gateway.restart",
                severity="warning",
                evidence=f"changed settings wait for a restart: {', '.join(map(str, waiting))}",
                fix="Restart the gateway: `openclaw gateway restart`, or send it SIGUSR1.",
            )
        if problem := answer.get("reloadProblem"):
            yield Finding(
                id="gateway.reload",
                severity="warning",
                evidence=f"the latest change of the configuration was not taken up: {problem}",
                fix="Correct the file; the running gateway takes it up by itself.",
            )


def listening_findings(scene: Scene) -> Iterator[Finding]:
    """Report the sockets that really listen on the gateway's port against what gateway.bind says."""
    gateway = scene.loaded.config.gateway
    found = listeners(gateway.port, scene.proc)
    if found is None:
        yield Finding(id="listen.bind", severity="info", evidence="this system does not tell who listens where")
        return
    if not found:
        yield Finding(id="listen.bind", severity="ok", evidence=f"nothing listens on port {gateway.port}")
        return
    ours = holder(scene.paths.state_dir / LOCK_NAME)
    for one in found:
        who = f"process {one.pid} ({one.program})" if one.pid else "a process of another user"
        place = f"{one.address} port {gateway.port}"
        if ours and one.pid and one.pid != ours:
            yield Finding(
                id="listen.owner",
                severity="error",
                evidence=f"{who} listens on {place}, and is not this gateway (process {ours})",
                fix=f"Stop process {one.pid}, or set gateway.port to a free port.",
            )
        elif not ours:
            yield Finding(
                id="listen.owner",
                severity="warning",
                evidence=f"{who} listens on {place}, and no gateway holds this state directory",
                fix=f"Stop process {one.pid or 'there'}, or set gateway.port to a free port.",
            )
        if binds_loopback_only(gateway) and not one.loopback:
            yield Finding(
                id="listen.bind",
                severity="error",
                evidence=f"gateway.bind is {gateway.bind}, but {who} listens on {place}",
                fix="Restart the gateway: it runs with another bind than its configuration says.",
            )
    if binds_loopback_only(gateway) and all(one.loopback for one in found):
        places = ", ".join(one.address for one in found)
        yield Finding(id="listen.bind", severity="ok", evidence=f"port {gateway.port} is open on {places} only")
    elif not binds_loopback_only(gateway):
        yield Finding(
            id="listen.bind",
            severity="info",
            evidence=f"port {gateway.port} is open beyond this machine, as gateway.bind={gateway.bind} says",
            fix=""
            if gateway.tls.enabled
            else "Put a reverse proxy with TLS in front (`openclaw doctor proxy URL` tests it), or set gateway.tls.",
        )
