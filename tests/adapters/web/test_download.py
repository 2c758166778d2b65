"""Downloads from a real server that misbehaves: what comes in the end, and what the user is told."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from installer.adapters.web.download import HttpDownloader
from installer.adapters.web.partial import PartialFile
from installer.domain.errors import BeeyardError, ConnectError, DeadlineError, RefusedError, UsageError
from installer.ports.web import Download
from tests.adapters.web import faulty_server as fault
from tests.adapters.web.faulty_server import Site

DATA = random.Random(7).randbytes(3_000_000)
SHA = hashlib.sha256(DATA).hexdigest()


def wanted(url: str, folder: Path, sha256: str = SHA) -> Download:
    return Download(url, folder / "k3s", sha256, "k3s v1.36.4+k3s1")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def test_a_file_is_fetched_verified_and_put_in_place(
    site: Site, downloader: HttpDownloader, tmp_path: Path
) -> None:
    seen: list[tuple[int, int]] = []
    path = await downloader.fetch(wanted(site.put("/k3s", DATA), tmp_path / "new"), lambda *counts: seen.append(counts))
    assert path.read_bytes() == DATA
    assert names(tmp_path / "new") == ["k3s"]
    assert seen[0] == (0, len(DATA))
    assert seen[-1] == (len(DATA), len(DATA))
    assert seen == sorted(seen)


async def test_a_finished_file_is_not_asked_for_again(site: Site, downloader: HttpDownloader, tmp_path: Path) -> None:
    download = wanted(site.put("/k3s", DATA), tmp_path)
    await downloader.fetch(download)
    site.requests.clear()
    await downloader.fetch(download)
    assert site.requests == []


async def test_a_finished_file_that_changed_is_replaced(site: Site, downloader: HttpDownloader, tmp_path: Path) -> None:
    download = wanted(site.put("/k3s", DATA), tmp_path)
    download.dest.write_bytes(b"old")
    assert (await downloader.fetch(download)).read_bytes() == DATA


@pytest.mark.parametrize("etags", [True, False])
async def test_a_truncated_body_is_continued(
    site: Site, downloader: HttpDownloader, tmp_path: Path, pauses: list[float], etags: bool
) -> None:
    site.etags = etags
    url = site.put("/k3s", DATA, fault.truncate(1_000_001), fault.truncate(2_500_000))
    assert (await downloader.fetch(wanted(url, tmp_path))).read_bytes() == DATA
    assert site.ranges() == ["", "bytes=1000001-", "bytes=2500000-"]
    assert len(pauses) == 2


async def test_a_stalled_connection_is_taken_up_anew(site: Site, impatient: HttpDownloader, tmp_path: Path) -> None:
    url = site.put("/k3s", DATA, fault.stall(1_500_000))
    assert (await impatient.fetch(wanted(url, tmp_path))).read_bytes() == DATA
    assert site.ranges() == ["", "bytes=1500000-"]


async def test_a_server_that_always_stalls_ends_in_a_deadline(
    site: Site, impatient: HttpDownloader, tmp_path: Path
) -> None:
    url = site.put("/k3s", DATA, *[fault.stall(10)] * 9)
    with pytest.raises(DeadlineError) as caught:
        await impatient.fetch(wanted(url, tmp_path))
    assert caught.value.code == "E-WEB-005"
    assert url in caught.value.why


async def test_tries_are_not_used_up_while_bytes_come(site: Site, downloader: HttpDownloader, tmp_path: Path) -> None:
    data = DATA * 4
    url = site.put("/k3s", data, *[fault.truncate(n * 1_200_000) for n in range(1, 10)])
    await downloader.fetch(wanted(url, tmp_path, hashlib.sha256(data).hexdigest()))
    assert len(site.ranges()) == 10


async def test_a_body_that_always_breaks_off_is_an_error_and_its_bytes_stay(
    site: Site, downloader: HttpDownloader, tmp_path: Path
) -> None:
    url = site.put("/k3s", DATA, *[fault.truncate(100)] * 4)
    with pytest.raises(DeadlineError, match="keeps breaking off") as caught:
        await downloader.fetch(wanted(url, tmp_path))
    assert caught.value.code == "E-WEB-005"
    assert (tmp_path / "k3s.part").read_bytes() == DATA[:100]


async def test_a_server_that_ignores_ranges_is_read_from_the_start(
    site: Site, downloader: HttpDownloader, tmp_path: Path
) -> None:
    url = site.put("/k3s", DATA, fault.truncate(2_000_000), fault.whole)
    assert (await downloader.fetch(wanted(url, tmp_path))).read_bytes() == DATA


async def test_a_server_that_sends_another_part_is_read_from_the_start(
    site: Site, downloader: HttpDownloader, tmp_path: Path
) -> None:
    url = site.put("/k3s", DATA, fault.truncate(2_000_000), fault.other_part)
    assert (await downloader.fetch(wanted(url, tmp_path))).read_bytes() == DATA
    assert site.ranges() == ["", "bytes=2000000-", ""]


async def test_a_file_without_announced_length_is_fetched(
    site: Site, downloader: HttpDownloader, tmp_path: Path
) -> None:
    path = await downloader.fetch(wanted(site.put("/k3s", DATA, fault.unannounced), tmp_path))
    assert path.read_bytes() == DATA


async def leave_partial(site: Site, tmp_path: Path, at: int, sha256: str = SHA) -> Download:
    """Make a run that ends after ``at`` bytes."""
    download = wanted(site.put("/k3s", DATA, *[fault.truncate(at)] * 9), tmp_path, sha256)
    async with HttpDownloader(environment={}, pause=lambda _: asyncio.sleep(0)) as earlier:
        with pytest.raises(DeadlineError):
            await earlier.fetch(download)
    site.faults.clear()
    site.requests.clear()
    return download


async def test_the_next_run_continues(site: Site, downloader: HttpDownloader, tmp_path: Path) -> None:
    download = await leave_partial(site, tmp_path, 777)
    assert (await downloader.fetch(download)).read_bytes() == DATA
    assert site.ranges() == ["bytes=777-"]
    assert "if-range" in site.requests[0].headers
    assert names(tmp_path) == ["k3s"]


@pytest.mark.parametrize("spoiled", ["note missing", "note torn", "note of another url", "note of wrong types"])
async def test_without_a_fitting_note_the_next_run_starts_over(
    site: Site, downloader: HttpDownloader, tmp_path: Path, spoiled: str
) -> None:
    download = await leave_partial(site, tmp_path, 777)
    note = tmp_path / "k3s.part.json"
    content = json.loads(note.read_text())
    assert content["url"] == download.url
    if spoiled == "note missing":
        note.unlink()
    elif spoiled == "note torn":
        note.write_text('{"url": "htt')
    else:
        changed = {"url": "http://else.where/k3s"} if "url" in spoiled else {"total": "many", "etag": 3}
        note.write_text(json.dumps(content | changed))
    assert (await downloader.fetch(download)).read_bytes() == DATA
    assert site.ranges() == [""]


async def test_without_digest_and_validator_the_next_run_starts_over(
    site: Site, downloader: HttpDownloader, tmp_path: Path
) -> None:
    site.etags = False
    download = await leave_partial(site, tmp_path, 777, sha256="")
    assert (await downloader.fetch(download)).read_bytes() == DATA
    assert site.ranges() == [""]


async def test_a_file_that_changed_on_the_server_is_not_glued_together(
    site: Site, downloader: HttpDownloader, tmp_path: Path
) -> None:
    download = await leave_partial(site, tmp_path, 777, sha256="")
    site.files["/k3s"] = DATA[::-1]
    assert (await downloader.fetch(download)).read_bytes() == DATA[::-1]


async def test_a_spoiled_partial_file_is_fetched_anew_once(
    site: Site, downloader: HttpDownloader, tmp_path: Path
) -> None:
    download = await leave_partial(site, tmp_path, 777)
    (tmp_path / "k3s.part").write_bytes(b"\0" * 777)
    assert (await downloader.fetch(download)).read_bytes() == DATA
    assert site.ranges() == ["bytes=777-", ""]


async def test_a_complete_partial_file_is_only_renamed(site: Site, downloader: HttpDownloader, tmp_path: Path) -> None:
    download = await leave_partial(site, tmp_path, 777)
    (tmp_path / "k3s.part").write_bytes(DATA)
    assert (await downloader.fetch(download)).read_bytes() == DATA
    assert site.requests == []


@pytest.mark.parametrize("held", [DATA, DATA + b"more"])
async def test_416_means_complete_or_start_over(
    site: Site, downloader: HttpDownloader, tmp_path: Path, held: bytes
) -> None:
    download = await leave_partial(site, tmp_path, 777)
    note = tmp_path / "k3s.part.json"
    note.write_text(json.dumps(json.loads(note.read_text()) | {"total": 0}))
    (tmp_path / "k3s.part").write_bytes(held)
    assert (await downloader.fetch(download)).read_bytes() == DATA
    assert site.ranges() == [f"bytes={len(held)}-", ""][: 1 if held == DATA else 2]


async def test_a_wrong_checksum_deletes_the_file_and_tells_all(
    site: Site, downloader: HttpDownloader, tmp_path: Path
) -> None:
    url = site.put("/k3s", b"another file").replace("http://", "http://me:hush-hush@")
    with pytest.raises(BeeyardError) as caught:
        await downloader.fetch(wanted(url, tmp_path))
    error = caught.value
    assert error.code == "E-WEB-004"
    assert SHA in error.why
    assert hashlib.sha256(b"another file").hexdigest() in error.why
    assert site.url.removeprefix("http://") in error.why
    assert "hush-hush" not in str(error.to_dict())
    assert names(tmp_path) == []
    assert len(site.requests) == 1


async def test_404_hints_at_the_version(
    site: Site, downloader: HttpDownloader, tmp_path: Path, pauses: list[float]
) -> None:
    with pytest.raises(BeeyardError) as caught:
        await downloader.fetch(wanted(site.url + "/nothing", tmp_path))
    assert caught.value.code == "E-WEB-002"
    assert "version" in caught.value.fix
    assert pauses == []
    assert names(tmp_path) == []


async def test_retry_after_is_honoured(
    site: Site, downloader: HttpDownloader, tmp_path: Path, pauses: list[float]
) -> None:
    asked = [
        fault.status(503, retry_after="7"),
        fault.status(429, retry_after="Thu, 01 Jan 1970 00:00:30 GMT"),
        fault.status(503, retry_after="86400"),
    ]
    await downloader.fetch(wanted(site.put("/k3s", DATA, *asked), tmp_path))
    assert pauses == [7.0, 30.0, 60.0]


async def test_a_server_that_always_fails_is_named_with_its_status(
    site: Site, downloader: HttpDownloader, tmp_path: Path, pauses: list[float]
) -> None:
    url = site.put("/k3s", DATA, *[fault.status(502)] * 9)
    with pytest.raises(BeeyardError, match="HTTP 502") as caught:
        await downloader.fetch(wanted(url, tmp_path))
    assert caught.value.code == "E-WEB-008"
    assert pauses == sorted(pauses)
    assert len(pauses) == 3


@pytest.mark.parametrize("code", [401, 403])
async def test_a_refusing_server(site: Site, downloader: HttpDownloader, tmp_path: Path, code: int) -> None:
    with pytest.raises(BeeyardError) as caught:
        await downloader.fetch(wanted(site.put("/k3s", DATA, fault.status(code)), tmp_path))
    assert caught.value.code == "E-WEB-006"
    assert "proxy" not in caught.value.what


async def test_redirects_are_followed_and_limited(site: Site, downloader: HttpDownloader, tmp_path: Path) -> None:
    site.put("/real", DATA, fault.truncate(50))
    url = site.put("/k3s", b"", *[fault.status(302, location="/real")] * 2)
    assert (await downloader.fetch(wanted(url, tmp_path))).read_bytes() == DATA
    assert site.requests[-1].headers["range"] == "bytes=50-"
    ring = site.put("/ring", b"", *[fault.status(302, location="/ring")] * 99)
    with pytest.raises(BeeyardError) as caught:
        await downloader.fetch(wanted(ring, tmp_path / "other"))
    assert caught.value.code == "E-WEB-009"


async def test_a_refused_connection_says_how_to_get_out(tmp_path: Path, downloader: HttpDownloader) -> None:
    with fault.serving() as gone:
        url = gone.url + "/k3s"
    with pytest.raises(ConnectError) as caught:
        await downloader.fetch(wanted(url, tmp_path))
    assert caught.value.code == "E-WEB-001"
    assert "refused" in caught.value.why.lower()
    assert all(word in caught.value.fix for word in ("HTTPS_PROXY", "mirror", "--bundle"))


async def test_a_name_that_does_not_resolve(downloader: HttpDownloader) -> None:
    with pytest.raises(ConnectError) as caught:
        await downloader.text("http://no-such-host.invalid/")
    assert caught.value.code == "E-WEB-001"
    assert "no-such-host.invalid" in caught.value.what
    assert "resolved" in caught.value.why


@pytest.mark.parametrize("url", ["ftp://x/y", "k3s", "http://[::bad/", "http://" + "a" * 70 + ".test/"])
async def test_an_unusable_url(downloader: HttpDownloader, url: str) -> None:
    with pytest.raises((UsageError, ConnectError)) as caught:
        await downloader.text(url)
    assert caught.value.code in ("E-WEB-012", "E-WEB-001")


async def test_a_cancelled_transfer_leaves_its_bytes(site: Site, downloader: HttpDownloader, tmp_path: Path) -> None:
    download = wanted(site.put("/k3s", DATA, fault.stall(2_000_000)), tmp_path)
    first_bytes = asyncio.Event()
    task = asyncio.ensure_future(downloader.fetch(download, lambda done, _total: first_bytes.set() if done else None))
    await first_bytes.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    held = (tmp_path / "k3s.part").stat().st_size
    assert held
    assert (await downloader.fetch(download)).read_bytes() == DATA
    assert site.ranges() == ["", f"bytes={held}-"]


async def test_the_same_file_wanted_twice_at_once_is_fetched_once(
    site: Site, downloader: HttpDownloader, tmp_path: Path
) -> None:
    download = wanted(site.put("/k3s", DATA), tmp_path)
    paths = await asyncio.gather(*(downloader.fetch(download) for _ in range(5)))
    assert {path.read_bytes() for path in paths} == {DATA}
    assert len(site.requests) == 1


async def test_many_files_at_once(site: Site, downloader: HttpDownloader, tmp_path: Path) -> None:
    urls = [site.put(f"/{n}", DATA, fault.truncate(1_000_000)) for n in range(8)]
    downloads = [Download(url, tmp_path / str(n), SHA) for n, url in enumerate(urls)]
    await asyncio.gather(*map(downloader.fetch, downloads))
    assert all(download.dest.read_bytes() == DATA for download in downloads)


async def test_another_holder_of_the_partial_file_is_respected(
    site: Site, downloader: HttpDownloader, tmp_path: Path
) -> None:
    download = wanted(site.put("/k3s", DATA), tmp_path)
    holder = PartialFile(download)
    holder.open()
    with pytest.raises(RefusedError) as caught:
        await downloader.fetch(download)
    assert caught.value.code == "E-WEB-013"
    holder.close()
    assert (await downloader.fetch(download)).read_bytes() == DATA


async def test_a_destination_that_cannot_be_written(site: Site, downloader: HttpDownloader, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(BeeyardError) as caught:
        await downloader.fetch(wanted(site.put("/k3s", DATA), tmp_path / "file"))
    assert caught.value.code == "E-WEB-011"


async def test_a_link_in_place_of_the_partial_file_is_not_followed(
    site: Site, downloader: HttpDownloader, tmp_path: Path
) -> None:
    (tmp_path / "victim").write_text("precious")
    (tmp_path / "k3s.part").symlink_to(tmp_path / "victim")
    with pytest.raises(BeeyardError):
        await downloader.fetch(wanted(site.put("/k3s", DATA), tmp_path))
    assert (tmp_path / "victim").read_text() == "precious"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", tmp_path], check=True)
    yield tmp_path
    subprocess.run(["umount", tmp_path], check=True)


@pytest.mark.root
@pytest.mark.parametrize("announced", [True, False])
async def test_a_full_disk_is_named_and_not_kept_full(
    site: Site, downloader: HttpDownloader, small_disk: Path, announced: bool
) -> None:
    url = site.put("/k3s", DATA, *([] if announced else [fault.unannounced]))
    with pytest.raises(BeeyardError) as caught:
        await downloader.fetch(wanted(url, small_disk))
    assert caught.value.code == "E-WEB-007"
    assert str(small_disk) in caught.value.why
    assert names(small_disk) == []
    usage = os.statvfs(small_disk)
    assert usage.f_bfree == usage.f_blocks


_LARGE = """
import asyncio, re, sys
from pathlib import Path
from installer.adapters.web.download import HttpDownloader
from installer.ports.web import Download

def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])

async def main(url, dest, sha, small):
    async with HttpDownloader(environment={}) as downloader:
        await downloader.text(small)
        before = peak()
        await downloader.fetch(Download(url, Path(dest), sha))
    print(peak() - before)

asyncio.run(main(*sys.argv[1:]))
"""


def test_a_large_file_needs_little_memory(site: Site, tmp_path: Path) -> None:
    block, times = bytes(range(256)) * 4096, 200
    digest = hashlib.sha256()
    for _ in range(times):
        digest.update(block)
    url = site.put("/large", b"", fault.generated(block, times))
    dest = tmp_path / "large"
    argv = [sys.executable, "-c", _LARGE, url, str(dest), digest.hexdigest(), site.put("/small", b"x")]
    kib = int(subprocess.run(argv, check=True, capture_output=True, text=True).stdout)
    assert dest.stat().st_size == len(block) * times
    assert kib < 24 * 1024


async def test_small_documents(site: Site, downloader: HttpDownloader) -> None:
    assert await downloader.text(site.put("/list", "käse".encode(), fault.status(500))) == "käse"
    with pytest.raises(BeeyardError) as too_long:
        await downloader.text(site.put("/long", b"x" * 101), limit=100)
    with pytest.raises(BeeyardError) as binary:
        await downloader.text(site.put("/binary", b"\xff\xfe"))
    assert too_long.value.code == binary.value.code == "E-WEB-010"


async def test_location_and_size(site: Site, downloader: HttpDownloader) -> None:
    url = site.put("/here", b"12345", fault.status(302, location="/releases/tag/v1%2Bk3s1"))
    assert await downloader.location(url) == site.url + "/releases/tag/v1%2Bk3s1"
    assert await downloader.location(url) == ""
    assert await downloader.size(url) == 5
    assert await downloader.size(site.url + "/nothing") == 0
    assert await downloader.size(site.put("/secret", b"", fault.status(405))) == 0


async def test_it_can_be_closed_and_used_again(site: Site, downloader: HttpDownloader) -> None:
    url = site.put("/list", b"x")
    assert await downloader.text(url) == "x"
    await downloader.close()
    await downloader.close()
    assert await downloader.text(url) == "x"


def test_building_one_does_not_load_httpx() -> None:
    code = "import sys; from installer.adapters.web.download import *; HttpDownloader(); print('httpx' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "False"
