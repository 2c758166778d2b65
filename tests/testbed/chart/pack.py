"""Pack the chart as Helm would, with the same bytes each time."""

import gzip
import io
import sys
import tarfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
NAME, VERSION = "cilium", "1.20.99"
_MTIME = 1_600_000_000


def pack(out_dir: Path) -> Path:
    """Write cilium-1.20.99.tgz into a folder and return its path."""
    out_dir.mkdir(parents=True, exist_ok=True)
    files = [HERE / "Chart.yaml", HERE / "values.yaml", *sorted((HERE / "templates").iterdir())]
    raw = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=raw, mode="wb", mtime=_MTIME) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.GNU_FORMAT) as tar,
    ):
        for path in files:
            info = tarfile.TarInfo(f"{NAME}/{path.relative_to(HERE)}")
            info.size, info.mtime, info.mode = path.stat().st_size, _MTIME, 0o644
            tar.addfile(info, io.BytesIO(path.read_bytes()))
    target = out_dir / f"{NAME}-{VERSION}.tgz"
    part = target.with_suffix(".part")  # not in place: bundles have hard links to it
    part.write_bytes(raw.getvalue())
    part.replace(target)
    return target


if __name__ == "__main__":
    sys.stdout.write(f"{pack(Path(sys.argv[1]))}\n")
