"""The walls around the commands of agents."""

from __future__ import annotations

from typing import Annotated, Literal

from openclaw.config.schema.leaf import Section, leaf


class DockerSandboxConfig(Section, frozen=True):
    """The containers, with `backend: docker`. They have no network, whatever is written here."""

    image: Annotated[str, leaf("Image of the containers; it is never pulled.", "live", max_length=512)] = ""
    network: Annotated[Literal["none"], leaf("Containers have no network.", "live")] = "none"
    user: Annotated[
        str,
        leaf("uid:gid of the commands; empty = the gateway's own.", "live", pattern="^([0-9]{1,9}(:[0-9]{1,9})?)?$"),
    ] = ""
    cap_drop: Annotated[tuple[str, ...], leaf("Capabilities taken away; always ALL besides.", "live")] = ("ALL",)
    memory: Annotated[str, leaf("Most memory, as Docker writes it.", "live", pattern="^[0-9]{1,9}[kmgKMG]?b?$")] = "1g"
    cpus: Annotated[float, leaf("Most processors.", "live", ge=0.05, le=1024)] = 1.0
    pids_limit: Annotated[int, leaf("Most processes.", "live", ge=8, le=100_000)] = 256
    read_only_root: Annotated[bool, leaf("Nothing of the image can be changed.", "live")] = True
    binds: Annotated[
        tuple[str, ...], leaf("More folders, SOURCE:TARGET:ro; only below the agent's workspace.", "live")
    ] = ()


class SandboxPruneConfig(Section, frozen=True):
    """When containers are removed that nobody uses."""

    idle_hours: Annotated[int, leaf("After this long without a command.", "live", "h", ge=1)] = 24
    max_age_days: Annotated[int, leaf("After this long in any case.", "live", "d", ge=1)] = 7


class SandboxConfig(Section, frozen=True):
    """Where the commands of agents run."""

    mode: Annotated[
        Literal["off", "non-main", "all"],
        leaf("all = every command; non-main = not those of the main session; off = none has walls.", "live"),
    ] = "all"
    backend: Annotated[
        Literal["auto", "bubblewrap", "docker"],
        leaf("auto = docker when docker.image is set, else bubblewrap.", "live"),
    ] = "auto"
    scope: Annotated[
        Literal["session", "agent", "shared"], leaf("Who shares a container: one session, one agent, or all.", "live")
    ] = "session"
    workspace_access: Annotated[Literal["ro", "rw"], leaf("Whether commands may change the workspace.", "live")] = "rw"
    network: Annotated[
        Literal["none", "proxy"],
        leaf("proxy = commands reach what networkPolicy opens to their agent, by HTTP; bubblewrap only.", "live"),
    ] = "none"
    docker: DockerSandboxConfig = DockerSandboxConfig()
    prune: SandboxPruneConfig = SandboxPruneConfig()
