"""The policy commands on files and recordings."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest

from installer.cli.main import run

TESTS = Path(__file__).parents[1]
RECORDED = str(TESTS / "fixtures" / "hubble" / "flows-cilium-1.16.jsonl")
MADE = str(TESTS / "fixtures" / "hubble" / "made.jsonl")
BACKEND = """\
apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: {name: backend, namespace: demo}
spec:
  endpointSelector: {matchLabels: {app: backend}}
  ingress:
  - fromEndpoints: [{matchLabels: {app: frontend}}]
    toPorts:
    - ports: [{port: "80", protocol: TCP}]
      rules: {http: [{method: GET, path: /}]}
"""
WHOLE = BACKEND.replace("      rules: {http: [{method: GET, path: /}]}\n", "").replace(
    '    toPorts:\n    - ports: [{port: "80", protocol: TCP}]\n', ""
)

Write = Callable[[str, str], str]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def made(name: str, text: str) -> str:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return str(path)

    return made


def beeyard(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = run(["policy", *arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_a_good_policy_is_valid(capsys: pytest.CaptureFixture[str], write: Write) -> None:
    code, out, err = beeyard(capsys, "validate", write("a.yaml", BACKEND))
    assert (code, out) == (0, "")
    assert err == "1 document in 1 file: all good\n"


def test_errors_are_told_with_their_place_and_do_not_hide_each_other(
    capsys: pytest.CaptureFixture[str], write: Write
) -> None:
    wrong = BACKEND.replace("fromEndpoints", "fromEndpoint") + "---\nfoo: [\n---\n" + BACKEND.replace('"80"', "80")
    code, out, _ = beeyard(capsys, "validate", write("a.yaml", wrong))
    assert code == 1
    assert "a.yaml:7:5: error:" in out
    assert "Did you mean 'fromEndpoints'?" in out
    assert "P-YAML-001" in out
    assert 'Put it in quotes: "80"' in out


def test_json_findings(capsys: pytest.CaptureFixture[str], write: Write) -> None:
    wrong = BACKEND.replace("GET", "'*'")
    code, out, _ = beeyard(capsys, "validate", write("a.yaml", wrong), "-o", "json")
    assert code == 1
    (finding,) = json.loads(out)["findings"]
    assert finding["code"] == "P-RULE-070"
    assert finding["line"] == 10
    assert finding["path"] == "spec.ingress[0].toPorts[0].rules.http[0].method"


def test_folders_are_read_whole(capsys: pytest.CaptureFixture[str], write: Write, tmp_path: Path) -> None:
    write("p/one.yaml", BACKEND)
    write("p/sub/two.yml", BACKEND.replace("name: backend", "name: other"))
    write("p/README.md", "no policy")
    assert beeyard(capsys, "validate", str(tmp_path / "p"))[2] == "2 documents in 2 files: all good\n"


@pytest.mark.parametrize(("make", "code"), [("missing.yaml", "E-POL-001"), ("empty", "E-POL-002"), ("b", "E-POL-001")])
def test_what_cannot_be_read(capsys: pytest.CaptureFixture[str], tmp_path: Path, make: str, code: str) -> None:
    path = tmp_path / make
    if make == "empty":
        path.mkdir()
    if make == "b":
        path.write_bytes(b"\xff\xfe\x00")
    status, _, err = beeyard(capsys, "validate", str(path))
    assert status == 2
    assert code in err


def test_simulate_names_the_rule(capsys: pytest.CaptureFixture[str], write: Write) -> None:
    path = write("a.yaml", BACKEND)
    ask = ("simulate", "-f", path, "--offline", "--from", "demo/frontend", "--to", "demo/backend", "--port", "80")
    code, out, _ = beeyard(capsys, *ask, "--method", "GET", "--path", "/")
    assert code == 0
    assert out.startswith("allow: demo/app=frontend to demo/app=backend")
    code, out, _ = beeyard(capsys, *ask, "--method", "POST", "-o", "json")
    answer = json.loads(out)
    assert answer["decision"] == "l7-deny"
    assert answer["ingress"]["rules"] == [
        {"object": "CiliumNetworkPolicy demo/backend", "path": "spec.ingress[0].toPorts[0]"}
    ]


def test_simulate_can_expect(capsys: pytest.CaptureFixture[str], write: Write) -> None:
    path = write("a.yaml", BACKEND)
    ask = ("simulate", "-f", path, "--offline", "--from", "other/web", "--to", "demo/backend", "--port", "80")
    assert beeyard(capsys, *ask, "--expect", "deny")[0] == 0
    assert beeyard(capsys, *ask, "--expect", "allow")[0] == 1


def test_simulate_says_the_smallest_change(capsys: pytest.CaptureFixture[str], write: Write) -> None:
    path = write("a.yaml", BACKEND)
    ask = ("simulate", "-f", path, "--offline", "--from", "demo/frontend", "--to", "demo/backend", "--port", "80")
    _, out, _ = beeyard(capsys, *ask, "--method", "POST", "--path", "/", "--fix")
    assert "+        - method: POST" in out


@pytest.mark.parametrize("who", ["nobody", "demo/", "10.0.0.1.2.3/"])
def test_nobody_is_meant(capsys: pytest.CaptureFixture[str], who: str) -> None:
    code, _, err = beeyard(capsys, "simulate", "--offline", "--from", who, "--to", "world", "--port", "80")
    assert code == 2
    assert "E-POL-011" in err


def test_explain_speaks_in_sentences(capsys: pytest.CaptureFixture[str], write: Write) -> None:
    code, out, _ = beeyard(capsys, "explain", "-f", write("a.yaml", BACKEND))
    assert code == 0
    assert "It applies to pods with app=backend in demo." in out
    assert "only requests GET /." in out


def test_impact_of_a_narrower_policy(capsys: pytest.CaptureFixture[str], write: Write) -> None:
    base, new = write("base.yaml", WHOLE), write("new.yaml", BACKEND)
    code, out, _ = beeyard(capsys, "impact", "-f", new, "--base", base, "--flows", RECORDED, "--fail-on-deny")
    assert code == 1
    assert "CUT      demo/frontend -> demo/backend 81/TCP: allow -> deny" in out
    assert "what did not happen then is not judged" in out
    code, out, _ = beeyard(capsys, "impact", "-f", base, "--base", base, "--flows", RECORDED, "--fail-on-deny")
    assert code == 0
    assert "CUT" not in out


def test_impact_of_a_deletion(capsys: pytest.CaptureFixture[str], write: Write) -> None:
    base = write("base.yaml", WHOLE)
    code, out, _ = beeyard(
        capsys, "impact", "--delete", "demo/backend", "--base", base, "--flows", RECORDED, "-o", "json"
    )
    assert code == 0
    opened = [edge for edge in json.loads(out)["edges"] if edge["change"] == "opened"]
    assert {(edge["source"], edge["dest"]) for edge in opened} == {("demo/intruder", "demo/backend")}


def test_impact_of_a_deletion_that_is_not_there(capsys: pytest.CaptureFixture[str], write: Write) -> None:
    arguments = ("impact", "--delete", "demo/none", "--base", write("b.yaml", WHOLE), "--flows", RECORDED)
    code, _, err = beeyard(capsys, *arguments)
    assert code == 2
    assert "E-POL-013" in err


def test_suggestions_are_valid_and_allow_what_was_seen(capsys: pytest.CaptureFixture[str], write: Write) -> None:
    code, out, err = beeyard(capsys, "suggest", "--flows", MADE, "--offline", "--l7")
    assert code == 0
    assert "all of them are allowed" in err
    assert "# 7 flows, 2026-11-20T10:00:01" in out
    path = write("suggested.yaml", out)
    assert beeyard(capsys, "validate", path)[0] == 0


def test_files_with_errors_are_not_used(capsys: pytest.CaptureFixture[str], write: Write) -> None:
    path = write("a.yaml", BACKEND.replace("ingress:", "ingres:"))
    code, _, err = beeyard(capsys, "simulate", "-f", path, "--offline", "--from", "world", "--to", "demo/backend")
    assert code == 2
    assert "E-POL-003" in err
    assert "Did you mean 'ingress'?" in err


def test_list_of_files(capsys: pytest.CaptureFixture[str], write: Write) -> None:
    dead = BACKEND.replace("name: backend", "name: dead").split("  ingress:")[0] + "  ingress: []\n"
    code, out, _ = beeyard(capsys, "list", "-f", write("a.yaml", BACKEND))
    assert code == 0
    assert "demo       cnp   backend" in out
    code, _, err = beeyard(capsys, "list", "-f", write("dead.yaml", dead))
    assert code == 2
    assert "agents ignore the whole object" in err


def test_policy_tests_pass_and_fail(capsys: pytest.CaptureFixture[str], write: Write, tmp_path: Path) -> None:
    case = f"""\
- id: get
  policies:
  - {json.dumps(policy())}
  source: {{namespace: demo, labels: {{app: frontend}}}}
  dest: {{namespace: demo, labels: {{app: backend}}}}
  port: 80
  protocol: TCP
  l7: {{method: GET, path: /}}
  expect: allow
"""
    good = write("good.yaml", case)
    bad = write("bad.yaml", case.replace("method: GET, path", "method: PUT, path").replace("id: get", "id: put"))
    assert beeyard(capsys, "test", good)[0] == 0
    report = tmp_path / "report.xml"
    code, out, err = beeyard(capsys, "test", good, bad, "--junit", str(report))
    assert code == 1
    assert "FAILED put: expected allow, got l7-deny" in out
    assert "1 of 2 cases passed" in err
    suite = ElementTree.fromstring(report.read_text())  # our own file
    assert (suite.get("tests"), suite.get("failures")) == ("2", "1")
    code, out, _ = beeyard(capsys, "test", good, bad, "-o", "json")
    answer = json.loads(out)
    assert (answer["cases"], answer["failed"]) == (2, 1)
    assert set(answer["results"][0]) == {"id", "expect", "got", "why"}


def policy() -> dict[str, object]:
    import yaml

    found = yaml.safe_load(BACKEND)
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize("text", ["a: b\n", "- 1\n", "- {id: x}\n", "- {id: x, policies: [], expect: maybe}\n"])
def test_what_is_no_policy_test(capsys: pytest.CaptureFixture[str], write: Write, text: str) -> None:
    code, _, err = beeyard(capsys, "test", write("t.yaml", text))
    assert code == 2
    assert "E-POL-010" in err


def test_stdin(write: Write) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "installer", "policy", "validate", "-"],
        input=BACKEND,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0
    assert done.stderr == "1 document in 1 file: all good\n"
