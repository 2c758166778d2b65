"""All rules. Order does not matter: what explains what is told by the parts."""

from __future__ import annotations

from installer.domain.diagnosis import rules_agent, rules_host, rules_network, rules_node
from installer.domain.diagnosis.rule import Rule

RULES: tuple[Rule, ...] = (*rules_host.RULES, *rules_node.RULES, *rules_agent.RULES, *rules_network.RULES)
