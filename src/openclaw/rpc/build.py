"""Puts the counter together: the table of methods, and the bridge from runs to events."""

from __future__ import annotations

from openclaw.rpc.approval_rows import ApprovalBridge
from openclaw.rpc.counter import Counter
from openclaw.rpc.deps import RpcDeps
from openclaw.rpc.method import MethodSpec
from openclaw.rpc.methods.agents import agents, models, skills, speech, tools, usage
from openclaw.rpc.methods.conversation import (
    agent,
    chat,
    chat_start,
    questions,
    search,
    session_groups,
    session_make,
    session_patch,
    session_usage,
    sessions,
    transcript,
)
from openclaw.rpc.methods.doors import approvals, audit, exec_rules, policy
from openclaw.rpc.methods.house import config, cron, desk, diagnostics, health, logs, not_here, system, upkeep, wake
from openclaw.rpc.methods.people import channels, device_setup, devices, node_host, node_pairing, nodes, users

METHODS: tuple[MethodSpec, ...] = (
    *health.METHODS,
    *logs.METHODS,
    *config.METHODS,
    *models.METHODS,
    *sessions.METHODS,
    *session_patch.METHODS,
    *session_make.METHODS,
    *session_groups.METHODS,
    *search.METHODS,
    *transcript.METHODS,
    *system.METHODS,
    *tools.METHODS,
    *usage.METHODS,
    *agent.METHODS,
    *chat.METHODS,
    *chat_start.METHODS,
    *desk.METHODS,
    *devices.METHODS,
    *device_setup.METHODS,
    *nodes.METHODS,
    *node_pairing.METHODS,
    *node_host.METHODS,
    *cron.METHODS,
    *wake.METHODS,
    *agents.METHODS,
    *upkeep.METHODS,
    *approvals.METHODS,
    *audit.METHODS,
    *policy.METHODS,
    *questions.METHODS,
    *exec_rules.METHODS,
    *channels.METHODS,
    *speech.METHODS,
    *skills.METHODS,
    *session_usage.METHODS,
    *diagnostics.METHODS,
    *users.METHODS,
    *not_here.METHODS,
)
"""Every method, once. docs/rpc.md is generated from this table."""


def build_counter(deps: RpcDeps) -> Counter:
    """Return a counter over every method that tells the runs of `deps.agent` to the peers of `deps.hub`."""
    counter = Counter(deps, METHODS)
    deps.agent.observe(counter.room.bridge)
    if deps.approvals is not None:
        deps.approvals.observe(ApprovalBridge(deps.hub))
    if deps.widenings is not None:
        deps.widenings.observe(policy.WideningBridge(deps.hub))
    return counter
