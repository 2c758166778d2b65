"""A plan in words."""

from __future__ import annotations

from installer.domain.plan import Change, Plan, StepPlan, file_diff
from installer.domain.plan_text import plan_text, step_summary

FILE = Change("file", "create", "/etc/rancher/k3s/config.yaml", diff="--- /dev/null\n+++ x\n+a: b")
PLAN = Plan(
    (
        StepPlan("preflight", "Check the host"),
        StepPlan("fetch", "Fetch", (Change("download", "fetch", "https://x/k3s", "k3s v1", size=75_000_000),)),
        StepPlan("k3s", "Start k3s", (FILE, Change("service", "restart", "k3s", "its files change"))),
        StepPlan("verify", "Prove", (Change("proof", "run", "network", "three pods"),)),
    ),
    ("swap is on",),
)

TEXT = """\
Fetch:
  + fetch download https://x/k3s (75.0 MB)  k3s v1

Start k3s:
  + create file /etc/rancher/k3s/config.yaml
      --- /dev/null
      +++ x
      +a: b
  ~ restart service k3s  its files change

Prove:
  ? run proof network  three pods

warning: swap is on
Plan: 3 changes, 75.0 MB to download, 1 restarts."""


def test_the_plan_is_told_step_by_step() -> None:
    assert plan_text(PLAN) == TEXT


def test_a_step_is_summed_up() -> None:
    assert [step_summary(step) for step in PLAN.steps] == [
        "nothing to do",
        "1 change, 75.0 MB",
        "2 changes",
        "changes nothing",
    ]


def test_an_empty_plan_says_so() -> None:
    assert plan_text(Plan((StepPlan("k3s", "Start k3s"),))) == "Nothing to change."


def test_hostile_text_is_made_visible() -> None:
    change = Change("file", "create", "/etc/\x1b[31mred")
    assert "\\x1b[31mred" in plan_text(Plan((StepPlan("x", "X", (change,)),)))


def test_a_diff_tells_no_secrets() -> None:
    after = (
        b"HTTPS_PROXY: http://me:s3cr3t@proxy:3128\nK3S_TOKEN=K10abcdef0123::server:hidden\n"
        b"password: hidden\nplain: kept\n"
    )
    diff = file_diff("/x/env", b"", after)
    assert "s3cr3t" not in diff
    assert "hidden" not in diff
    assert "+HTTPS_PROXY: http://me:***@proxy:3128" in diff
    assert "+plain: kept" in diff
