"""The card of a failed run tells the cause that was found, its evidence and its fix; so does the command."""

from __future__ import annotations

import pytest

from installer.cli import output
from installer.domain.diagnosis import Evidence, Source, diagnose
from installer.domain.errors import BeeyardError
from tests.support.scripted_run import until_ready
from tests.tui.run.conftest import Stages

LINE = "modprobe: FATAL: Module ip_set not found in directory /lib/modules/6.1.21"
SUBJECT = "kube-system/cilium-x7k2p"


def explained() -> BeeyardError:
    evidence = [
        Evidence(Source.AGENT, f"log of {SUBJECT} (cilium-agent)", LINE, SUBJECT),
        Evidence(Source.AGENT, "log", "unable to determine direct routing device", SUBJECT),
    ]
    details = {"subject": SUBJECT, "diagnosis": diagnose(evidence).to_dict()}
    return BeeyardError(
        "the cluster is not ready after 600 s", why="E-POD-004 ...", code="E-READY-001", details=details
    )


async def test_the_card_tells_cause_evidence_and_fix(stage: Stages) -> None:
    async with stage(size=(120, 36)) as on:
        await on.start()
        await on.play([*until_ready()])
        on.script.fail(explained())
        await on.settled("Save report")
        text = " ".join(on.text().split())
        for words in ("E-DIA-010", "Module ip_set not found", f"log of {SUBJECT}", "linux-modules-extra"):
            assert words in text
        view = on.app.run_host.view
        told = [view.log[number].text for number in range(view.log.first, view.log.added)]
        assert any(line.startswith("cause E-DIA-010") for line in told)


def test_the_command_tells_one_cause_and_one_fix(capsys: pytest.CaptureFixture[str]) -> None:
    output.error(explained())
    told = capsys.readouterr().err
    assert "Cause E-DIA-010" in told
    assert LINE in " ".join(told.split())
    assert told.count("fix: ") == 1
    assert "Fix: " not in told
    assert "Also:  E-DIA-024" in told


def test_without_a_diagnosis_the_error_speaks_for_itself(capsys: pytest.CaptureFixture[str]) -> None:
    output.error(BeeyardError("no", why="because", fix="do this", code="E-X-1"))
    assert capsys.readouterr().err == "Error E-X-1: no\n  because\nFix: do this\n"
