"""Findings about the kernel stand beside the questions that they concern."""

from __future__ import annotations

import dataclasses

from installer.domain.preflight import Level
from installer.domain.setup.form import Form
from installer.domain.setup.judgement import Judgement, Look, judge
from installer.domain.setup.question import Answer
from installer.domain.spec import ClusterSpec
from tests.support.kernel import kernel, missing, recorded
from tests.support.setup import TABLE, VPS


def verdict(proof: object, **answers: Answer) -> Judgement:
    form = Form.over(ClusterSpec(), (("1.20", "1.20.0"),))
    for key, answer in answers.items():
        form = form.with_answer(key.replace("__", "."), answer)
    return judge(form, TABLE, Look(dataclasses.replace(VPS, kernel_proof=proof)))  # type: ignore[arg-type]


def errors(judgement: Judgement) -> dict[str, list[str]]:
    return {
        question: [note.code for note in notes if note.level is Level.ERROR]
        for question, notes in judgement.notes.items()
        if any(note.level is Level.ERROR for note in notes)
    }


def test_wireguard_is_refused_beside_its_question_once_it_is_chosen() -> None:
    assert errors(verdict(recorded())) == {}
    assert errors(verdict(recorded(), cilium__wireguard=True)) == {"cilium.wireguard": ["E-PRE-050"]}


def test_the_proxy_is_refused_beside_http_rules() -> None:
    proof = kernel(outcomes={"iptables.tproxy": missing()})
    assert errors(verdict(proof)) == {"cilium.l7": ["E-PRE-050"]}
    assert errors(verdict(proof, cilium__l7=False)) == {}


def test_what_cilium_itself_needs_stands_with_the_host() -> None:
    assert errors(verdict(kernel(outcomes={"bpf.loops": missing()}))) == {"host": ["E-PRE-050"]}
