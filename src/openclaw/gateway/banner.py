"""The one honest block that a start in the foreground prints."""

from __future__ import annotations

from collections.abc import Sequence

from openclaw import __version__
from openclaw.base.errors import OpenClawError
from openclaw.config.refusal import binds_loopback_only
from openclaw.gateway.rooms import Rooms


def banner(rooms: Rooms, scheme: str, addresses: Sequence[str]) -> str:
    """Return what an operator wants to see: where it listens, who can reach it, what answers, what is wrong."""
    config = rooms.config
    exposure = "only this machine" if binds_loopback_only(config.gateway) else "every machine that reaches this address"
    rows = [
        ("version", __version__),
        ("listening", ", ".join(f"{scheme}://{address}" for address in addresses)),
        ("reachable", f"by {exposure}"),
        *((("tls", f"certificate SHA-256 {rooms.tls.fingerprint}"),) if rooms.tls.fingerprint else ()),
        ("auth", _auth(rooms)),
        ("model", _model(rooms)),
        ("agents", ", ".join(agent.id for agent in rooms.study.agents())),
        ("state", str(rooms.paths.state_dir)),
    ]
    problems = [*_config_problems(rooms), *(f"{name}: {why}" for name, why in rooms.models.problems().items())]
    problems += [f"action {name}: {why}" for name, why in rooms.tools.problems().items()]
    problems += [
        f"policy is widened: {each.door} {each.value} for {rooms.widenings.remaining_s(each):.0f} s more ({each.id})"
        for each in rooms.widenings.openings()
    ]
    lines = ["openclaw gateway", *(f"  {name:10} {value}" for name, value in rows)]
    lines += [f"  {'problem':10} {problem}" for problem in problems]
    return "\n".join(lines)


def _auth(rooms: Rooms) -> str:
    mode = rooms.config.gateway.auth.mode
    return "none (loopback only)" if mode == "none" else f"{mode} (openclaw gateway token show)"


def _model(rooms: Rooms) -> str:
    ref = next((agent.model for agent in rooms.study.agents() if agent.default), "") or rooms.models.default_ref()
    try:
        rooms.models.resolve(ref)
    except OpenClawError as error:
        return f"{ref}: {error.message}"
    return ref


def _config_problems(rooms: Rooms) -> list[str]:
    return [
        f"{rooms.loaded.path.name}:{issue.line} {issue.path}: {issue.message}"
        for issue in rooms.loaded.issues
        if issue.severity == "error"
    ]
