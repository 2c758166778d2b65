"""Our own golden outputs: formats, times, counts and explanations that hubble has none of, on its made recording.

``python -m tests.cli.test_observe_own_golden`` writes them anew; look at what changed before it is committed.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from installer.cli.main import run
from tests.support.golden import FOLDER, recorded

OWN = FOLDER / "own"
CASES = {
    "wide": "-o wide",
    "wide-colour": "-o wide --color always --last 12",
    "wide-policies": "-o wide --type policy-verdict --print-policy-names",
    "csv": "-o csv",
    "tsv": "-o tsv --time-format RFC3339Nano",
    "columns": "-o custom-columns=FROM:source.pod_name,TO:destination_names[0],PORT:l4.TCP.destination_port,V:verdict",
    "columns-by-name": "-o custom-columns=WHEN:time,SRC:source,DST:destination,WHY:reason,URL:http_url",
    "time-hour": "--time-format YearMonthDayHour --first 2",
    "time-minute": "--time-format YearMonthDayHourMinute --first 2",
    "time-rfc3339": "--time-format RFC3339 --first 2",
    "time-milli": "--time-format RFC3339Milli --first 2",
    "time-micro": "--time-format RFC3339Micro --first 2",
    "time-rfc1123z": "--time-format RFC1123Z --first 2",
    "time-zone": "--time-zone -03:30 --time-format RFC3339Milli --first 2",
    "group-by": "--group-by ns,dport,verdict",
    "group-every": "--group-by verdict,reason --every 10s",
    "group-every-json": "--group-by src.workload,dst.workload --every 10s -o json",
    "top": "--top 3",
    "explain": "--explain --verdict dropped --verdict error",
    "explain-dict": "--explain --verdict dropped -o dict",
    "where": "--where 'dst.ns=shop and not verdict=forwarded'",
    "exclude": "--exclude --verdict forwarded --exclude --protocol udp",
    "case": "--verdict dropped,audit --drop-reason-desc 'policy denied'",
    "dns": "--dns-query 'example' --reply=false",
    "ip-and-namespace": "--to-ip 10.0.0.0/16 --to-namespace shop --first 3",
    "http": "--http-method post --http-status 4+ --print-node-name",
    "lost-dict": "--last 4 -o dict --print-node-name",
    "table-policies": "-o table --print-policy-names --type policy-verdict",
    "compact-policies-colour": "--print-policy-names --type policy-verdict --color always",
}


@pytest.mark.parametrize("name", CASES)
def test_as_before(name: str, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    (tmp_path / "made.jsonl").write_bytes(recorded("made.jsonl"))
    assert run(["observe", "--input-file", str(tmp_path / "made.jsonl"), *shlex.split(CASES[name])]) == 0
    out, _ = capfdbinary.readouterr()
    assert out == (OWN / f"{name}.out").read_bytes()


def test_no_file_is_left_over() -> None:
    assert {path.stem for path in OWN.iterdir()} == set(CASES)


if __name__ == "__main__":
    OWN.mkdir(exist_ok=True)
    for name, options in CASES.items():
        made = [sys.executable, "-m", "installer", "observe", "--input-file", str(FOLDER / "made.jsonl")]
        done = subprocess.run([*made, *shlex.split(options)], stdout=subprocess.PIPE, check=True)
        (OWN / f"{name}.out").write_bytes(done.stdout)
