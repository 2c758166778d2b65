"""Bundles as text and JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from installer.domain.text import human_bytes, printable

if TYPE_CHECKING:
    from installer.ports.bundles import Verified
    from installer.services.bundle.request import BundleMade, BundlePushed


def made_text(made: BundleMade) -> str:
    """Return what is to be said of a new bundle."""
    facts = made.facts
    return "\n".join(
        (
            f"k3s {facts['k3s']}, Cilium {facts['cilium']}, {facts['images']} images, for {', '.join(facts['arches'])}",
            f"{human_bytes(made.size)}, sha256 {made.sha256}",
            f"Install from it: sudo beeyard install --bundle {made.path}",
        )
    )


def inspect_json(path: str, found: Verified) -> dict[str, Any]:
    """Return what a bundle says of itself."""
    manifest = found.manifest

    def entries(items: Any, *fields: str) -> list[dict[str, Any]]:
        rows = [{name: getattr(item, name) for name in ("file", "sha256", *fields)} for item in items]
        return [{key: value for key, value in row.items() if value is not None} for row in rows]

    return {
        "bundle": path,
        "format": manifest.format,
        "digest": found.digest,
        "sealed": found.sealed,
        "size": found.size,
        "arches": list(manifest.arches),
        "created": manifest.created,
        "k3s": entries(manifest.k3s, "version", "arch"),
        "cilium": entries([manifest.chart], "version")[0],
        "helm": entries(manifest.helm, "version", "arch"),
        "images": entries(manifest.images, "refs", "arch"),
        "values": entries(manifest.values),
        "files": entries(manifest.files, "dest", "mode", "arch"),
        "sbom": manifest.sbom.file if manifest.sbom else None,
        "unproven": list(manifest.unproven),
    }


def inspect_text(path: str, found: Verified) -> str:
    """Return what a bundle says of itself, for people."""
    manifest = found.manifest
    seal = "sealed" if found.sealed else "no seal" if found.size else "a folder"
    lines = [
        f"{path}: format {manifest.format}, {seal}{f', {human_bytes(found.size)}' if found.size else ''}",
        f"  for       {', '.join(manifest.arches)}",
        f"  created   {manifest.created}",
        f"  k3s       {manifest.k3s[0].version}",
        f"  Cilium    {manifest.chart.version}",
        f"  helm      {manifest.helm[0].version if manifest.helm else 'none: the host must have it'}",
        f"  SBOM      {manifest.sbom.file if manifest.sbom else 'none'}",
    ]
    for images in manifest.images:
        lines.append(f"  images    {images.file}{f' ({images.arch})' if images.arch else ''}")
        lines += [f"              {ref}" for ref in images.refs]
    lines += [f"  values    {one.file}" for one in manifest.values]
    lines += [f"  file      {one.file} -> {one.dest} ({one.mode})" for one in manifest.files]
    lines.append(f"  digest    {found.digest}")
    return printable("\n".join(lines))


def verified_text(path: str, found: Verified) -> str:
    """Return what was proven."""
    manifest = found.manifest
    lines = [f"{path}: good. {len(manifest.verifiable)} files are as listed; bundle.json {found.digest}"]
    if manifest.unproven:
        lines.append(f"Without a checksum, hence not proven: {', '.join(manifest.unproven)}")
    return printable("\n".join(lines))


def pushed_text(pushed: BundlePushed) -> str:
    """Return where the images are, and how k3s gets them from there."""
    import yaml

    width = max((len(image["name"].partition("@")[0]) for image in pushed.images), default=0)
    lines = [
        f"{image['name'].partition('@')[0]:{width}}  {image['target']}"
        + ("" if image["digestKept"] else "  (another digest)")
        for image in pushed.images
    ]
    registries = json.loads(json.dumps(pushed.registries))
    snippet = yaml.safe_dump({"spec": {"k3s": {"registries": registries}}}, sort_keys=False).rstrip()
    return printable("\n".join((*lines, "", "To pull from there (beeyard.yaml):", snippet)))
