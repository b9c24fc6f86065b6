"""Puts a keeper before every door: one rule for each kind of act, and the gates that ask them."""

from __future__ import annotations

from typing import NamedTuple

from openclaw.gateway.archive import Archive
from openclaw.gateway.present import Site
from openclaw.policy.content_door import KIND as CONTENT
from openclaw.policy.content_door import content_verdict
from openclaw.policy.dm_door import KIND as DM
from openclaw.policy.dm_door import dm_rule
from openclaw.policy.egress.door import KIND as EGRESS
from openclaw.policy.egress.door import RulesOfNow, egress_rule
from openclaw.policy.egress.way import EgressGate
from openclaw.policy.exec.door import KIND as EXEC
from openclaw.policy.exec.door import exec_rule
from openclaw.policy.files.door import KIND as FILE
from openclaw.policy.files.door import file_verdict
from openclaw.policy.gatekeeper import Gatekeeper, Rule
from openclaw.policy.node_door import KIND as NODE
from openclaw.policy.node_door import node_rule
from openclaw.policy.skill.door import KIND as SKILL
from openclaw.policy.skill.door import skill_verdict
from openclaw.policy.tool_door import KIND as TOOL
from openclaw.policy.tool_door import tool_verdict
from openclaw.policy.widening import widening_rule


class Doors(NamedTuple):
    """The gatekeeper, and the one way out of the house."""

    gate: Gatekeeper
    egress: EgressGate


def open_doors(site: Site, archive: Archive) -> Doors:
    """Return the doors; a kind that is not in this table stays shut."""
    present = site.present
    openings, is_paired = archive.widenings.openings, archive.senders.is_paired
    strict, wide = RulesOfNow(lambda: present.config), RulesOfNow(lambda: present.effective)
    egress = widening_rule(egress_rule(strict), egress_rule(wide), openings, EGRESS)
    dm = widening_rule(
        dm_rule(lambda: present.config, is_paired), dm_rule(lambda: present.effective, is_paired), openings, DM
    )
    rules: dict[str, Rule] = {
        TOOL: tool_verdict,
        FILE: file_verdict,
        CONTENT: content_verdict,
        EGRESS: egress,
        DM: dm,
        NODE: node_rule(lambda: present.config.gateway.nodes),
        EXEC: exec_rule,
        SKILL: skill_verdict,
    }
    gate = Gatekeeper(rules, archive.ledger, site.clock)
    return Doors(gate, EgressGate(gate, wide))
