"""``beeyard observe`` on recordings: what hubble has no golden output for, and what is ours."""

from __future__ import annotations

import csv
import json
import os
import pty
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from click.testing import CliRunner

from installer.cli.main import root, run
from installer.domain.flows import jsonpb, times
from tests.support.golden import recorded

BEEYARD = [sys.executable, "-m", "installer", "observe"]
Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("made") / "made.jsonl"
    path.write_bytes(recorded("made.jsonl"))
    return str(path)


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording that several processes share, with two bad lines."""
    lines = recorded("flows-cilium-1.16.jsonl").splitlines(keepends=True) * 3
    lines[4000:4000] = [b"nonsense\n"]
    path = tmp_path_factory.mktemp("large") / "large.jsonl"
    path.write_bytes(b"".join(lines) + lines[0][:100])
    return path


def observe(capfd: Capture, *options: str) -> tuple[int, str, str]:
    code = run(["observe", *options])
    out, err = capfd.readouterr()
    return code, out, err


def test_several_processes_print_what_one_does(large: Path, tmp_path: Path) -> None:
    for options, least in (([], 6600), (["-o", "jsonpb"], 6600), (["--verdict", "dropped", "-o", "csv"], 385)):
        shared = subprocess.run([*BEEYARD, "--input-file", large, *options], capture_output=True, check=True)
        with large.open("rb") as file:
            alone = subprocess.run(
                [*BEEYARD, "--input-file", "-", *options], stdin=file, capture_output=True, check=True
            )
        assert shared.stdout == alone.stdout
        assert shared.stdout.count(b"\n") >= least
        noted = shared.stderr.decode().splitlines()
        assert [line.split(": ")[0] for line in noted] == [f"{large}:4001", f"{large}:6602"]
        assert [line.partition(": ")[2] for line in alone.stderr.decode().splitlines()] == [
            line.partition(": ")[2] for line in noted
        ]


def test_a_silent_run_names_no_bad_lines(large: Path) -> None:
    done = subprocess.run([*BEEYARD, "--input-file", large, "-s"], capture_output=True, check=True)
    assert done.stderr == b""


def test_many_bad_lines_are_counted(capfd: Capture, tmp_path: Path) -> None:
    (tmp_path / "bad").write_text("nonsense\n" * 25 + '{"flow":{"verdict":"DROPPED"}}\n')
    code, out, err = observe(capfd, "--input-file", str(tmp_path / "bad"))
    assert (code, out.count("\n"), err.count("left out: ")) == (0, 1, 20)
    assert err.endswith("5 more lines were left out\n")


@pytest.mark.parametrize("large_file", [True, False])
def test_a_full_disk_is_told(large: Path, made: str, large_file: bool) -> None:
    path = str(large) if large_file else made
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run([*BEEYARD, "--input-file", path], stdout=full, stderr=subprocess.PIPE, check=False)
    assert done.returncode == 1
    assert b"E-FLOW-027: Cannot write the output\n  No space left on device" in done.stderr
    assert b"Traceback" not in done.stderr


def test_a_reader_that_leaves_is_no_error(large: Path) -> None:
    for source in (str(large), "-"):
        with large.open("rb") as file:
            process = subprocess.Popen(
                [*BEEYARD, "-s", "--input-file", source], stdin=file, stdout=subprocess.PIPE, stderr=subprocess.PIPE
            )
            assert process.stdout is not None
            assert process.stdout.readline()
            process.stdout.close()
            assert process.stderr is not None
            assert process.stderr.read() == b""
            process.stderr.close()
            assert process.wait() == 0


def test_an_interrupt_ends_a_wait_for_stdin_quietly() -> None:
    process = subprocess.Popen(
        [*BEEYARD, "--input-file", "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(recorded("made.jsonl").splitlines(keepends=True)[0])
    process.stdin.flush()
    assert process.stdout.readline().startswith(b"Nov 20 10:00:01.123: shop/web")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate()
    assert (process.returncode, out, err) == (0, b"", b"")


def test_no_such_recording(capfd: Capture) -> None:
    code, out, err = observe(capfd, "--input-file", "/nonexistent")
    assert (code, out) == (1, "")
    assert "E-FLOW-023: Cannot open the recording /nonexistent" in err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--first", "1", "--last", "1"], "cannot set both --first and --last"),
        (["--first", "1", "--all"], "cannot set both --first and --all"),
        (["--first", "1", "-f"], "cannot set both --first and --follow"),
        (["-o", "tab", "-f"], "table output format is not compatible with follow mode"),
        (["-o", "dict", "--field-mask", "time"], "dict output format is not compatible with custom field mask"),
        (["-o", "csv", "--explain"], "csv output format is not compatible with --explain"),
        (["-o", "yaml"], "invalid output format: yaml"),
        (["--since", "yesterday"], "failed to parse the since time: failed to convert yesterday to time"),
        (["--every", "soon"], "--every is no duration: soon"),
        (["--time-zone", "Mars/Base"], "there is no time zone Mars/Base"),
        (["--last", "1000001"], "--last must be <= 1_000_000, got 1000001"),
        (["-P"], "cannot use --input-file and --port-forward together"),
        (["--pod"], "flag needs an argument: --pod"),
        (["--allowlist", "{"], "invalid --allowlist flag: failed to decode '{'"),
        (["--group-by", "colour"], "cannot group by 'colour'"),
        (["--where", "verdict ="], "at column"),
    ],
)
def test_wrong_calls_are_told_in_one_line(capfd: Capture, made: str, options: list[str], said: str) -> None:
    code, out, err = observe(capfd, "--input-file", made, *options)
    assert (code, out) == (1, "")
    assert said in err
    assert err.count("\n") == 1


def test_unknown_options_are_clicks(capfd: Capture) -> None:
    code, _, err = observe(capfd, "--colour", "never")
    assert code == 2
    assert "No such option" in err


def test_flags_of_go_with_values(capfd: Capture, made: str) -> None:
    for options in (["--numeric=true"], ["--ip-translation=false"], ["--numeric=1", "--print-node-name=false"]):
        _, out, _ = observe(capfd, "--input-file", made, "--first", "1", *options)
        assert out.startswith("Nov 20 10:00:01.123: 10.0.1.11:41000 (ID:30001)")


def test_time_zones_and_relative_times(capfd: Capture, made: str, monkeypatch: pytest.MonkeyPatch) -> None:
    _, out, _ = observe(capfd, "--input-file", made, "--first", "1", "--time-zone", "+05:30")
    assert out.startswith("Nov 20 15:30:01.123: ")
    now = times.to_ns("2026-11-20T10:01:01.123457Z")
    monkeypatch.setattr("time.time_ns", lambda: now)
    _, out, _ = observe(capfd, "--input-file", made, "--last", "6", "--time-format", "relative", "-s")
    assert out.startswith("36.0s ago: ")
    _, out, _ = observe(capfd, "--input-file", made, "--since", "40s", "--until", "38s")
    assert [line[:19] for line in out.splitlines()] == [f"Nov 20 10:00:{second}.123" for second in (21, 22)]


def test_the_local_zone_is_this_hosts(capfd: Capture, made: str) -> None:
    _, out, _ = observe(capfd, "--input-file", made, "--first", "1", "--time-zone", "local", "--time-format", "RFC3339")
    shown = out.partition("Z: ")[0] + "Z" if "Z: " in out else out[:25]
    assert times.to_ns(shown) == times.to_ns("2026-11-20T10:00:01Z")


def test_bare_flows_as_hubble_can_write_them(capfd: Capture, made: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUBBLE_COMPAT", "legacy-json-output")
    _, out, _ = observe(capfd, "--input-file", made, "--first", "1", "-o", "json")
    assert out.startswith('{"time":"2026-11-20T10:00:01.123457Z","uuid"')
    assert jsonpb.decode(out.encode()).node_name == "node-a"


def test_expressions(capfd: Capture, made: str) -> None:
    _, out, err = observe(capfd, "--input-file", made, "--where", "verdict=dropped and dst.port>100 and proto=udp")
    assert [line[:19] for line in out.splitlines()] == ["Nov 20 10:00:16.123", "Nov 20 11:00:00.000"]
    assert "EVENTS LOST" in out
    assert "nodes are unavailable" in err


def test_every_excluded_clause_hides_by_itself(capfd: Capture, made: str) -> None:
    _, both, _ = observe(capfd, "--input-file", made, "--exclude", "--verdict", "FORWARDED", "--exclude", "-t", "drop")
    _, together, _ = observe(capfd, "--input-file", made, "--not", "--verdict", "FORWARDED", "--not", "-t", "drop")
    assert "FORWARDED" not in both
    assert "Policy denied" not in both
    assert "FORWARDED" in together


def test_groups(capfd: Capture, made: str) -> None:
    _, out, err = observe(capfd, "--input-file", made, "--group-by", "verdict,dport", "--top", "2")
    lines = [line.split() for line in out.splitlines()]
    assert lines[0] == ["COUNT", "SHARE", "VERDICT", "DPORT"]
    assert lines[1][2:] == ["FORWARDED", "8080"]
    assert len(lines) == 3
    assert "[node-a] EVENTS LOST: HUBBLE_RING_BUFFER CPU(0) 37" in err
    _, out, _ = observe(capfd, "--input-file", made, "--top", "1")
    assert out.split()[2:5] == ["EDGE", "DPORT", "VERDICT"] or "WORKLOAD" in out


def test_groups_by_windows_and_as_data(capfd: Capture, made: str) -> None:
    options = ["--input-file", made, "--group-by", "verdict", "--every", "10s", "-s"]
    _, out, _ = observe(capfd, *options)
    assert out.startswith("Nov 20 10:00:00.000 to Nov 20 10:00:10.000: 9 flows\nCOUNT")
    _, out, _ = observe(capfd, *options, "-o", "json")
    windows = [json.loads(line) for line in out.splitlines()]
    assert [window["flows"] for window in windows] == [9, 10, 7]
    assert windows[0]["groups"][0] == {"count": 7, "share": 0.777778, "verdict": "FORWARDED"}
    _, out, _ = observe(capfd, *options, "-o", "csv")
    rows = list(csv.DictReader(out.splitlines()))
    assert sum(int(row["count"]) for row in rows) == 26
    assert rows[0]["start"] == "2026-11-20T10:00:00Z"


def test_denials_are_merged(capfd: Capture, tmp_path: Path) -> None:
    lines = [json.loads(line) for line in recorded("made.jsonl").splitlines()]
    verdict, drop = lines[13], lines[14]
    for part in (drop, drop["flow"]):
        part["time"] = verdict["time"]
    verdict["flow"]["egress_denied_by"] = [{"name": "no-mail", "namespace": "shop", "kind": "CiliumNetworkPolicy"}]
    path = tmp_path / "denial.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in (lines[0], verdict, drop, lines[16])))
    _, apart, _ = observe(capfd, "--input-file", str(path))
    code, out, _ = observe(capfd, "--input-file", str(path), "--merge-denials", "--explain")
    assert (code, apart.count("\n")) == (0, 4)
    flows = [line for line in out.splitlines() if line.startswith("Nov")]
    assert [line.partition(" (TCP")[0][-30:] for line in flows][1].endswith("Policy denied DROPPED")
    assert len(flows) == 3
    assert "    policies: CiliumNetworkPolicy shop/no-mail\n" in out


def test_explanations_with_policies_of_a_file(capfd: Capture, made: str, tmp_path: Path) -> None:
    rules = tmp_path / "web.yaml"
    rules.write_text(
        "apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: {name: web, namespace: shop}\n"
        "spec:\n  endpointSelector: {}\n  egress: [{toEndpoints: [{}]}]\n"
    )
    asked = ("--input-file", made, "--explain", "--verdict", "DROPPED", "--policies")
    code, out, _ = observe(capfd, *asked, str(rules))
    assert code == 0
    assert "port 25/TCP: deny at egress" in out
    assert "    fix: egress: add a rule to CiliumNetworkPolicy shop/web" in out
    rules.write_text("kind: CiliumNetworkPolicy\n")
    assert observe(capfd, *asked, str(rules))[0] == 1
    assert "only with --explain" in observe(capfd, "--input-file", made, "--policies", str(rules))[2]


def test_explanations(capfd: Capture, made: str) -> None:
    _, out, _ = observe(capfd, "--input-file", made, "--explain", "--verdict", "DROPPED", "-o", "dict")
    assert "    why: Policy denied (POLICY_DENIED, 133)\n" in out
    assert "    where: on the way out of shop/web-6d9f-abcde (egress)\n" in out
    assert "must allow egress to entity world or CIDR 198.51.100.9/32 on port 25/TCP" in out
    assert "a deny rule wins over every allow rule" in out


def test_print_raw_filters_reads_no_source(capfd: Capture) -> None:
    code, out, err = observe(capfd, "--verdict", "dropped", "--print-raw-filters")
    assert (code, out, err) == (0, 'allowlist:\n    - \'{"verdict":["DROPPED"]}\'\n', "")


def test_help_names_every_filter() -> None:
    done = CliRunner().invoke(root(), ["observe", "--help"])
    assert done.exit_code == 0
    for flag in ("--input-file", "-n, --namespace", "--to-fqdn", "--exclude", "-4, --ipv4", "--drop-reason-desc"):
        assert flag in done.output


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("beeyard observe --verdict D", "DROPPED"),
        ("beeyard observe -t trace:to-p", "trace:to-proxy"),
        ("beeyard observe -o cu", "custom-columns="),
        ("beeyard observe --to-identity wor", "world-ipv6"),
        ("beeyard observe ag", "agent-events"),
    ],
)
def test_a_shell_completes_values(words: str, offered: str) -> None:
    environment = {**os.environ, "_BEEYARD_COMPLETE": "bash_complete", "COMP_WORDS": words}
    environment["COMP_CWORD"] = str(words.count(" "))
    done = subprocess.run(
        [sys.executable, "-m", "installer"], env=environment, capture_output=True, text=True, check=True
    )
    assert f"plain,{offered}" in done.stdout.splitlines()


def on_a_terminal(*options: str) -> bytes:
    """Run observe with its streams on a terminal, and return what that got."""
    master, slave = pty.openpty()
    environment = {key: value for key, value in os.environ.items() if key != "NO_COLOR"}
    process = subprocess.Popen([*BEEYARD, *options], stdout=slave, stderr=slave, env={**environment, "TERM": "xterm"})
    os.close(slave)
    out = b""
    with suppress(OSError):
        while data := os.read(master, 65536):
            out += data
    process.wait()
    os.close(master)
    return out


def test_a_terminal_gets_colour_but_nothing_hostile(made: str) -> None:
    out = on_a_terminal("--input-file", made, "--http-status", "503", "-s")
    assert b"\x1b[31mERROR\x1b[0m (HTTP/2 503 0ms (GET http://api.shop.svc/^[[31mred))" in out
    plain = on_a_terminal("--input-file", made, "--color", "never", "-s")
    assert b"\x1b" not in plain
    assert b"FORWARDED" in plain


def test_a_terminal_gets_the_fix_of_a_wrong_call(made: str) -> None:
    out = on_a_terminal("--input-file", made, "--all", "--last", "3").decode()
    assert "cannot set both --last and --all" in out
    assert "Fix: Leave --all out." in out
