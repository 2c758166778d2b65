"""Step ``images`` of an upgrade from a bundle: its images are in containerd before anything asks for them."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass, field
from pathlib import Path

from installer.domain.plan import Change
from installer.pipeline.run import Run
from installer.pipeline.upgrade.context import Upgrade

IMPORT_SECONDS = 900.0


@dataclass(slots=True)
class ImagesStep:
    """Puts the bundle's image archives in k3s' folder and imports them."""

    upgrade: Upgrade
    id: str = "images"
    title: str = "Import the bundle's images"
    background: bool = False
    _wanted: list[tuple[Path, Path]] = field(default_factory=list)

    async def gather(self, run: Run) -> None:
        """Compare the archives in place with those of the bundle."""
        folder = image_folder(run)
        pairs = [(source, folder / source.name) for source in (run.bundle.images if run.bundle else ())]
        self._wanted = [pair for pair in pairs if not await asyncio.to_thread(_same, *pair)]

    async def check(self, run: Run) -> list[Change]:
        """Return the archives that are other ones or new."""
        del run
        return [
            Change("file", "update" if dest.exists() else "create", str(dest), "images of the new versions")
            for _, dest in self._wanted
        ]

    async def apply(self, run: Run) -> None:
        """Keep what is there, put the new archives in place and import them into the running containerd."""
        for source, dest in self._wanted:
            await import_images(run, source)
            await asyncio.to_thread(keep, run, dest, self.upgrade.folder(run) / "images" / dest.name)
            await asyncio.to_thread(run.tools.files.install, source, dest, mode=0o644)

    async def verify(self, run: Run) -> str:
        """Say how many there are."""
        return f"{len(run.bundle.images) if run.bundle else 0} archives"

    async def undo(self, run: Run) -> None:
        """Put the archives back that were there, unless a hop was proven with the new ones."""
        if self.upgrade.proven:
            return
        for _, dest in self._wanted:
            kept = self.upgrade.folder(run) / "images" / dest.name
            if kept.exists():
                await asyncio.to_thread(run.tools.files.install, kept, dest, mode=0o644)


async def import_images(run: Run, archive: Path) -> None:
    """Import an archive into the running containerd.

    Raises:
        BeeyardError: ``E-HOST-002`` it refuses.
    """
    ctr = [str(Path(run.spec.k3s.bin_dir) / "k3s"), "ctr", "--namespace", "k8s.io", "images", "import", str(archive)]
    await run.tools.processes.run(ctr, timeout=IMPORT_SECONDS)


def image_folder(run: Run) -> Path:
    """Return the folder from which k3s imports images at its start."""
    return Path(run.spec.k3s.data_dir) / "agent/images"


def keep(run: Run, path: Path, copy: Path) -> bool:
    """Keep a file under another name as long as none is kept there; False where there is nothing to keep."""
    if path.is_file() and not copy.exists():
        run.tools.files.install(path, copy, mode=path.stat().st_mode & 0o777)
    return copy.exists()


def _same(source: Path, dest: Path) -> bool:
    if not dest.is_file() or dest.stat().st_size != source.stat().st_size:
        return False
    return source.samefile(dest) or _sha256(source) == _sha256(dest)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
