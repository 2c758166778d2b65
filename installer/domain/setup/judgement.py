"""What stands beside each question: wrong answers, contradictions, and what the host and the sources say."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from installer.domain import preflight
from installer.domain.errors import BeeyardError
from installer.domain.kernel.judgement import setting_path
from installer.domain.preflight import Finding, HostFacts, Level
from installer.domain.preflight.network import free_range
from installer.domain.preflight.wanted import gateway_release, wanted_by
from installer.domain.releases import Releases, Support, check_kubernetes
from installer.domain.setup.catalog import BY_ID, owner_of
from installer.domain.setup.form import Form
from installer.domain.setup.note import Note
from installer.domain.setup.question import Answers
from installer.domain.spec import ClusterSpec
from installer.domain.spec_checks import check as spec_check

_OF_CODE = {
    "E-PRE-004": "cilium.wireguard",
    "E-PRE-008": "k3s.release",
    "E-PRE-021": "k3s.name",
    "E-PRE-035": "k3s.merge",
}
"""Question by the code of a finding that belongs to it."""

_OF_KERNEL = ("E-PRE-050", "E-PRE-051", "E-PRE-052")
"""Findings about a feature of the kernel, which belong to the question that decides whether it is needed."""

_SAID_ELSEWHERE = ("E-PRE-044",)
"""Findings that the specification's own rules say as well."""


@dataclass(frozen=True, slots=True)
class Look:
    """What is known of the host.

    Attributes:
        facts: the host as it is.
        ours: the k3s there was installed by us.
        k3s_version: release of ours, empty when there is none.
    """

    facts: HostFacts
    ours: bool = False
    k3s_version: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """What the sources answered.

    Attributes:
        k3s_version: release that would be installed, empty when not known.
        cilium_version: chart that would be installed, empty when not known.
        notes: what is wrong with a source, by question id.
    """

    k3s_version: str = ""
    cilium_version: str = ""
    notes: Mapping[str, tuple[Note, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Judgement:
    """The whole verdict on a form.

    Attributes:
        spec: the specification; without answers that are wrong by themselves.
        notes: by question id, errors first; those of the host under ``host``.
        allow_unsupported: unsupported versions were allowed.
    """

    spec: ClusterSpec
    notes: Mapping[str, tuple[Note, ...]]
    allow_unsupported: bool = False

    @property
    def goal(self) -> tuple[ClusterSpec, bool]:
        """What a plan is made for."""
        return self.spec, self.allow_unsupported

    @property
    def errors(self) -> int:
        """How many things stand in the way."""
        return self._count(Level.ERROR)

    @property
    def warnings(self) -> int:
        """How many warnings there are."""
        return self._count(Level.WARNING)

    @property
    def valid(self) -> bool:
        """Whether the answers make a specification, whatever the host and the sources say."""
        return not any(
            note.level is Level.ERROR and note.code.startswith("E-CONFIG")
            for notes in self.notes.values()
            for note in notes
        )

    def of(self, *questions: str) -> tuple[Note, ...]:
        """Return the notes of questions."""
        return tuple(note for question in questions for note in self.notes.get(question, ()))

    def _count(self, level: Level) -> int:
        return sum(note.level is level for notes in self.notes.values() for note in notes)


def judge(form: Form, table: Releases, look: Look | None = None, found: Found | None = None) -> Judgement:
    """Return the verdict on a form, with as much of the host and the sources as is known by now."""
    reading = form.read()
    found = found or Found()
    said = [
        *reading.wrong.items(),
        *_contradictions(form.answers, reading.spec),
        *_versions(form, reading.spec, table, look, found),
        *((key, note) for key, notes in found.notes.items() for note in notes),
        *(_preflight(form, reading.spec, look, found, gateway_release(table, reading.spec)) if look else ()),
    ]
    return Judgement(reading.spec, _by_question(said, form.answers), form.allow_unsupported)


def _by_question(said: list[tuple[str, Note]], answers: Answers) -> dict[str, tuple[Note, ...]]:
    order = [Level.ERROR, Level.WARNING, Level.INFO]
    notes: dict[str, list[Note]] = {}
    for key, note in said:
        shown = key in BY_ID and BY_ID[key].shown(answers)
        notes.setdefault(key if shown else "host", []).append(note)
    return {
        key: tuple(sorted(dict.fromkeys(group), key=lambda n: order.index(n.level))) for key, group in notes.items()
    }


def _contradictions(answers: Answers, spec: ClusterSpec) -> Iterator[tuple[str, Note]]:
    for problem in spec_check(spec):
        owner = owner_of(problem.path, answers)
        note = Note.of_problem(problem)
        if problem.path == "spec.k3s.serviceCIDR":
            note = replace(note, value=_apart(spec))
        yield (owner.id if owner else "host"), note


def _apart(spec: ClusterSpec) -> str:
    """Return a service network that does not touch the pod network."""
    pods, services = (ipaddress.ip_network(text) for text in (spec.k3s.cluster_cidr, spec.k3s.service_cidr))
    like = services if services.version == pods.version else None
    usual = ipaddress.ip_network(ClusterSpec().k3s.service_cidr)
    if pods.version == 4 and not pods.overlaps(usual):
        return str(usual)
    free = free_range(like, [pods]) if like else None
    return str(free or "")


def _versions(
    form: Form, spec: ClusterSpec, table: Releases, look: Look | None, found: Found
) -> Iterator[tuple[str, Note]]:
    answers = form.answers
    if answers["source"] == "bundle":
        return
    key = "cilium.exact" if answers["cilium.version"] == "exact" else "cilium.version"
    try:
        release = table.find(spec.cilium.version, allow_unsupported=form.allow_unsupported)
    except BeeyardError as error:
        yield key, Note.of_error(error)
        return
    known = (look.k3s_version if look else "") or found.k3s_version or spec.k3s.version
    support = check_kubernetes(release, known) if known else None
    if support and support.support is not Support.TESTED:
        refused = support.support is Support.UNSUPPORTED and not form.allow_unsupported
        yield key, Note(Level.ERROR if refused else Level.WARNING, support.what, fix=support.fix)


def _preflight(form: Form, spec: ClusterSpec, look: Look, found: Found, gateway_api: str) -> Iterator[tuple[str, Note]]:
    version = look.k3s_version or found.k3s_version or spec.k3s.version or ""
    wanted = wanted_by(
        spec,
        ours=look.ours,
        k3s_version=version,
        allow_unsupported=form.allow_unsupported,
        gateway_api=gateway_api,
    )
    for finding in preflight.check(look.facts, wanted):
        if finding.code not in _SAID_ELSEWHERE and not (finding.code == "E-PRE-021" and spec.k3s.node_name):
            yield _question_of(finding, form.answers, spec), Note.of_finding(finding)


def _question_of(finding: Finding, answers: Answers, spec: ClusterSpec) -> str:
    if finding.code == "E-PRE-043":
        return "k3s.pods" if finding.subject.startswith("pod") else "k3s.services"
    if finding.code == "E-PRE-041":
        return _question_of_port(int(re.findall(r"\d+", finding.subject)[0]), spec)
    if finding.code == "E-PRE-008" and answers["k3s.release"] == "exact":
        return "k3s.exact"
    if finding.code in _OF_KERNEL:
        owner = owner_of(setting_path(finding.subject), answers)
        return owner.id if owner else "host"
    if finding.subject == spec.k3s.data_dir != ClusterSpec().k3s.data_dir:
        return "k3s.data"
    return _OF_CODE.get(finding.code, "host")


def _question_of_port(port: int, spec: ClusterSpec) -> str:
    api = spec.k3s.https_listen_port
    return {api: "k3s.port", api + 1: "k3s.port", 4244: "hubble.enabled", 9878: "cilium.l7"}.get(port, "host")
