"""Everything the lint can say, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from installer.domain.policy.findings import Level

_E, _W, _I = Level.ERROR, Level.WARNING, Level.INFO


@dataclass(frozen=True, slots=True)
class Code:
    """One kind of finding.

    Attributes:
        level: how bad.
        sentence: what it says, in general.
    """

    level: Level
    sentence: str


CODES: Mapping[str, Code] = {
    "P-LINT-001": Code(_W, "The same object stands in the files twice."),
    # Selectors
    "P-LINT-010": Code(_W, "The policy selects no pod."),
    "P-LINT-011": Code(_W, "A peer selector selects no pod."),
    "P-LINT-012": Code(_W, "The policy selects only pods that have finished."),
    "P-LINT-013": Code(_E, "A selector names a label that Cilium keeps out of identities."),
    # Namespaces and label keys
    "P-LINT-020": Code(_W, "endpointSelector names a namespace, though a policy only ever selects its own."),
    "P-LINT-021": Code(_W, "A negated namespace also matches everything that has no namespace."),
    "P-LINT-022": Code(_W, "reserved:world matches nothing where externals are told apart by family."),
    "P-LINT-023": Code(_W, "A label source is joined with a dot instead of a colon."),
    "P-LINT-024": Code(_W, "The key of the namespace label is misspelt."),
    "P-LINT-025": Code(_W, "A label of namespaces is looked for on pods."),
    # Default deny
    "P-LINT-030": Code(_E, "A policy of denies alone switches default deny on."),
    "P-LINT-031": Code(_W, "Pods become isolated that were not."),
    "P-LINT-032": Code(_I, "enableDefaultDeny does nothing without rules of its direction."),
    "P-LINT-033": Code(_W, "Before Cilium 1.18 L7 rules drop the rest even with default deny off."),
    # DNS and names
    "P-LINT-040": Code(_E, "Isolated pods cannot resolve names."),
    "P-LINT-041": Code(_W, "DNS is let out over UDP only."),
    "P-LINT-042": Code(_E, "toFQDNs learns no address, since no dns rule shows it the answers."),
    "P-LINT-043": Code(_W, "A dns rule is narrower than the pattern in toFQDNs."),
    "P-LINT-044": Code(_W, "toFQDNs names something inside the cluster."),
    "P-LINT-039": Code(_I, "A dns rule refuses the names that a resolver's search list makes first."),
    # Addresses
    "P-LINT-045": Code(_W, "A CIDR covers addresses of pods, nodes or Services, which it never matches."),
    "P-LINT-046": Code(_W, "A range of all addresses means no pods, and one family only."),
    "P-LINT-047": Code(_W, "A wide range lets pods reach the cloud's metadata service."),
    "P-LINT-048": Code(_W, "world is let in where nothing leads from outside to the pods."),
    "P-LINT-049": Code(_W, "Pods behind a Service for the outside let nobody from outside in."),
    # Probes and health
    "P-LINT-050": Code(_E, "The kubelet's probes are denied."),
    "P-LINT-052": Code(_W, "Cilium's own health checks are cut."),
    "P-LINT-053": Code(_W, "A policy for nodes does nothing while the host firewall is off."),
    # Ports
    "P-LINT-060": Code(_W, "A rule names a Service's port where pods listen on another."),
    "P-LINT-061": Code(_W, "A named port is defined on none of the pods."),
    "P-LINT-062": Code(_W, "endPort is ignored."),
    "P-LINT-064": Code(_W, "A port's name looks like a number."),
    "P-LINT-065": Code(_W, "Port 53 without protocol is TCP only."),
    "P-LINT-066": Code(_E, "A port rule without ports matches nothing."),
    # Empty lists
    "P-LINT-067": Code(_E, "An empty list of destinations opens the ports to everyone."),
    "P-LINT-068": Code(_W, "An empty list of peers means nobody."),
    # L7
    "P-LINT-070": Code(_W, "An empty list of L7 rules demands nothing."),
    "P-LINT-071": Code(_W, "A path does not begin with a slash."),
    "P-LINT-072": Code(_W, "A dot in a host matches any character."),
    "P-LINT-073": Code(_W, "A wildcard stands where a regular expression is read."),
    "P-LINT-074": Code(_I, "A path leaves no room for a query string."),
    "P-LINT-075": Code(_W, "A method is not in upper case."),
    "P-LINT-076": Code(_E, "A host is no regular expression that Envoy reads."),
    "P-LINT-077": Code(_W, "L7 rules stand on a port that speaks TLS."),
    "P-LINT-078": Code(_W, "An empty dns rule admits no name."),
    "P-LINT-079": Code(_W, "A dns rule stands on a port that is not DNS."),
    # Rules that meet
    "P-LINT-080": Code(_W, "A plain rule lets everything past an L7 rule."),
    "P-LINT-081": Code(_W, "A rule is denied as a whole elsewhere."),
    "P-LINT-082": Code(_I, "A rule is covered by another."),
    "P-LINT-083": Code(_E, "Two L7 parsers meet on one port; agents refuse that."),
    "P-LINT-084": Code(_W, "A rule for everyone makes the narrow ones beside it pointless."),
    # Versions
    "P-LINT-090": Code(_W, "A field that this version of Cilium does not know is dropped silently."),
    "P-LINT-091": Code(_W, "`**.` means one label before Cilium 1.19."),
    "P-LINT-092": Code(_W, "fromRequires and toRequires are gone since Cilium 1.19."),
    "P-LINT-093": Code(_W, "Kafka rules and l7proto are gone since Cilium 1.20."),
    "P-LINT-094": Code(_W, "A selector that names clusters behaves differently from Cilium 1.19 on."),
}
"""Kinds of findings by their stable code."""
