"""All pages and questions of the setup, in order."""

from __future__ import annotations

from installer.domain.setup import ask_cluster, ask_downloads, ask_network
from installer.domain.setup.question import Answers, Page, Question

PAGES = (
    Page("host", "Host", "What is on this host. Nothing is changed before you agree to the plan."),
    Page("cluster", "Cluster", "One k3s server on this host. The defaults are good for a single machine."),
    Page("network", "Network", "Cilium carries, secures and shows the traffic of the pods."),
    Page("downloads", "Downloads", "Where k3s, its images, helm and the Cilium chart come from."),
)
"""The pages, in order. Findings about no question in particular stand on the first."""

METRICS = ("dns", "drop", "tcp", "flow", "port-distribution", "icmp", "httpV2")
"""Hubble metrics that are offered."""

USUAL_METRICS = ("dns", "drop", "tcp", "flow")
"""Those that are ticked when metrics are switched on."""

QUESTIONS = (*ask_cluster.QUESTIONS, *ask_network.QUESTIONS, *ask_downloads.QUESTIONS)
"""All questions, in order."""

BY_ID = {question.id: question for question in QUESTIONS}
"""Question by id."""


def questions_of(page: str) -> tuple[Question, ...]:
    """Return the questions of a page, in order."""
    return tuple(question for question in QUESTIONS if question.page == page)


def owner_of(path: str, answers: Answers) -> Question | None:
    """Return the question, as far as it is shown, that decides a setting (``spec.`` may lead)."""
    wanted = path.removeprefix("spec.")
    owners = [item for item in QUESTIONS if item.shown(answers) and any(_covers(own, wanted) for own in item.paths)]
    return owners[-1] if owners else None


def _covers(own: str, wanted: str) -> bool:
    return wanted == own or wanted.startswith(f"{own}.")
