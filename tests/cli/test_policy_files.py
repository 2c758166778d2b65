"""``policy new``, and policy tests that name files of policies."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from installer.cli.main import run

POLICY = """\
apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: {name: backend, namespace: demo}
spec:
  endpointSelector: {matchLabels: {app: backend}}
  ingress:
  - fromEndpoints: [{matchLabels: {app: frontend}}]
"""
CASE = """\
- id: frontend
  policyFiles: [../backend.yaml]
  source: {namespace: demo, labels: {app: frontend}}
  dest: {namespace: demo, labels: {app: backend}}
  port: 80
  expect: allow
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A policy with its test below it."""
    (tmp_path / "tests").mkdir()
    (tmp_path / "backend.yaml").write_text(POLICY)
    (tmp_path / "tests" / "backend.yaml").write_text(CASE)
    return tmp_path


def beeyard(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    code = run(["policy", *map(str, arguments)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_paths_start_at_the_test(
    capsys: pytest.CaptureFixture[str], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir("/")
    assert beeyard(capsys, "test", folder / "tests" / "backend.yaml") == (0, "", "1 of 1 cases passed\n")
    monkeypatch.chdir(folder / "tests")
    assert beeyard(capsys, "test", "backend.yaml") == (0, "", "1 of 1 cases passed\n")


def test_policies_of_files_and_of_the_case_work_together(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    deny = POLICY.replace("ingress:", "ingressDeny:").replace("name: backend", "name: deny")
    (folder / "deny.yaml").write_text(deny)
    path = folder / "tests" / "backend.yaml"
    path.write_text(CASE.replace("backend.yaml]", "backend.yaml, ../deny.yaml]"))
    assert "expected allow, got deny" in beeyard(capsys, "test", path)[1]
    indented = "\n".join(f"    {line}" for line in deny.splitlines()).replace("    api", "  - api", 1)
    path.write_text(CASE.replace("  source", f"  policies:\n{indented}\n  source"))
    assert "expected allow, got deny" in beeyard(capsys, "test", path)[1]


def test_a_folder_may_hold_both(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    assert beeyard(capsys, "test", folder)[2] == "1 of 1 cases passed\n"
    assert beeyard(capsys, "validate", folder)[2] == "1 document in 1 file: all good\n"
    assert beeyard(capsys, "list", "-f", folder)[1].count("cnp") == 1


@pytest.mark.parametrize(
    ("before", "after", "code"),
    [
        ("[../backend.yaml]", "../backend.yaml", "E-POL-010"),
        ("[../backend.yaml]", "[1]", "E-POL-010"),
        ("../backend.yaml", "../absent.yaml", "E-POL-001"),
        ("  source", "  policies: none\n  source", "E-POL-010"),
    ],
)
def test_what_is_wrong_with_a_case(
    capsys: pytest.CaptureFixture[str], folder: Path, before: str, after: str, code: str
) -> None:
    path = folder / "tests" / "backend.yaml"
    path.write_text(CASE.replace(before, after))
    status, _, err = beeyard(capsys, "test", path)
    assert status == 2
    assert code in err


def test_a_policy_that_the_api_would_refuse_tests_nothing(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    (folder / "backend.yaml").write_text(POLICY.replace("fromEndpoints", "fromEndpoint"))
    status, _, err = beeyard(capsys, "test", folder / "tests" / "backend.yaml")
    assert status == 2
    assert "E-POL-003" in err
    assert "backend.yaml:7: " in err


def test_a_policy_that_agents_would_refuse_fails_its_cases(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    (folder / "backend.yaml").write_text(POLICY.split("  ingress:")[0] + "  ingress: []\n")
    assert beeyard(capsys, "test", folder / "tests" / "backend.yaml")[0] == 1


def test_recipes_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = beeyard(capsys, "new")
    assert code == 0
    assert "http-get-only\n    Lets anyone ask http-service for pages" in out
    recipes = json.loads(beeyard(capsys, "new", "-o", "json")[1])
    settings = {one["name"]: one["settings"] for one in recipes}
    assert settings["allow-dns"] == {"name": "allow-dns", "namespace": "demo"}


def test_a_recipe_with_own_values_is_a_valid_policy(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    arguments = ("new", "restrict-sensitive-service", "--name", "db", "-n", "shop", "--set", "server=db")
    code, out, _ = beeyard(capsys, *arguments, "--set", "port=5432", "--set", "role=writer")
    assert code == 0
    (tmp_path / "db.yaml").write_text(out)
    assert beeyard(capsys, "validate", tmp_path / "db.yaml")[0] == 0
    said = beeyard(capsys, "explain", "-f", tmp_path / "db.yaml")[1]
    assert "CiliumNetworkPolicy shop/db" in said
    assert "pods with role=writer in shop may connect on port 5432/TCP" in said


@pytest.mark.parametrize(
    ("arguments", "code", "hint"),
    [
        (["http-get"], "E-POL-017", "Did you mean http-get-only"),
        (["allow-dns", "--set", "port"], "E-POL-018", "client=web"),
        (["allow-dns", "--set", "port=1"], "E-POL-018", "It has name, namespace."),
        (["http-get-only", "--set", "port=99999"], "E-POL-003", "Set other values."),
        (["deny-metadata", "-n", "shop"], "E-POL-018", "It has name."),
    ],
)
def test_what_no_recipe_can_be(capsys: pytest.CaptureFixture[str], arguments: list[str], code: str, hint: str) -> None:
    status, out, err = beeyard(capsys, "new", *arguments)
    assert (status, out) == (2, "")
    assert code in err
    assert hint in err
