"""``beeyard bundle``."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from installer.cli import output
from installer.cli.commands.install import load, run_to_end
from installer.cli.options import Chosen, CommandGroup, config_options, examples, output_option
from installer.domain.config_layers import Layer, nest
from installer.domain.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from installer.services.bundle.request import BundleRequest, HostFile

FORMATS = ("text", "json")


@click.group("bundle", cls=CommandGroup)
def command() -> None:
    """Make, look at, verify and push bundles: all that an install needs, in one file.

    `beeyard install --bundle FILE` then touches no network.
    """


def _targets(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> tuple[str, str]:
    """Tell formats from files: both are outputs. Return (file, format)."""
    del param
    formats = [value for value in values if value in FORMATS]
    files = [value for value in values if value not in FORMATS]
    if len(formats) > 1 or len(files) > 1:
        raise click.BadParameter("one file and one format at most", ctx=ctx)
    if files and not files[0].endswith((".tar.zst", ".tzst")):
        raise click.BadParameter(f"{files[0]!r} must end in .tar.zst (or be text or json)", ctx=ctx)
    form = formats[0] if formats else "text"
    if isinstance(ctx.obj, Chosen) and form == "json":
        ctx.obj.output = "ndjson"
    return (files[0] if files else "", form)


_auth_option = click.option(
    "--authfile", metavar="FILE", help="Credentials for registries, as in Docker's config.json (auths)."
)


@command.command(
    "create",
    epilog=examples(
        "beeyard bundle create --k3s v1.36.4+k3s1 --cilium 1.20 --arch amd64,arm64",
        "beeyard bundle create -f beeyard.yaml --values site.yaml -o site.tar.zst",
        "beeyard bundle create --k3s stable --mirror quay.io=https://mirror.example",
    ),
)
@config_options
@click.option("--k3s", "k3s", metavar="VERSION", help="k3s' version, or a channel such as stable.")
@click.option("--cilium", "cilium", metavar="VERSION", help="Cilium's version, or a minor such as 1.20.")
@click.option("--arch", "arches", metavar="LIST", help="amd64, arm64 or amd64,arm64; by default this machine's.")
@click.option("--values", multiple=True, metavar="FILE", help="Helm values for Cilium that come along. Repeatable.")
@click.option("--add", "files", multiple=True, metavar="SRC:DEST[:MODE]", help="A file for the host. Repeatable.")
@click.option("--image", "images", multiple=True, metavar="REF", help="A further image. Repeatable.")
@click.option("--mirror", "mirrors", multiple=True, metavar="REGISTRY=URL", help="Pull from there first. Repeatable.")
@_auth_option
@click.option("--cache", metavar="DIR", help="Where downloads are kept, so that a stopped run goes on.")
@click.option("--allow-unsupported", is_flag=True, help="Versions outside the support table are accepted.")
@click.option(
    "-o",
    "--output",
    "target",
    multiple=True,
    callback=_targets,
    metavar="FILE.tar.zst|json",
    help="Where the bundle goes; json tells of the progress as events on stdout. Both may be given.",
)
def create(**options: Any) -> int:
    """Make a bundle: k3s, helm, Cilium's chart and all images by digest, with checksums and an SBOM.

    The images are those that the chart runs with the features of -f and --set. Mirrors and credentials of
    spec.k3s.registries and Docker's config.json are used. The same inputs give the same bytes.
    """
    from installer.cli.render_events import renderer

    file, form = options.pop("target")
    request = _request(options, file)
    show = renderer(form)
    authfile = Path(options["authfile"]) if options["authfile"] else None

    async def work() -> int:
        from installer.wiring.bundle import bundle_maker

        made = await bundle_maker(os.environ, authfile).create(request, show.event)
        if form == "text":
            from installer.cli.render_bundle import made_text

            show.close()
            output.talk(made_text(made))
            output.data(made.path)
        return ExitCode.OK

    return run_to_end(work(), show)


def _request(options: dict[str, Any], file: str) -> BundleRequest:
    from installer.domain.images.mirrors import parse_mirrors
    from installer.domain.images.reference import parse_reference
    from installer.services.bundle.request import BundleRequest

    spec = load(options, _version_layers(options)).document.spec
    machine = os.uname().machine
    return BundleRequest(
        spec=spec,
        arches=_arches(options["arches"], machine),
        cache=Path(options["cache"]) if options["cache"] else _cache(),
        mirrors=parse_mirrors(spec.k3s.registries, options["mirrors"]),
        out=Path(file) if file else None,
        values=tuple(Path(path) for path in options["values"]),
        files=tuple(_host_file(text) for text in options["files"]),
        images=tuple(sorted({parse_reference(text) for text in options["images"]})),
        epoch=_epoch(os.environ.get("SOURCE_DATE_EPOCH", "")),
        allow_unsupported=options["allow_unsupported"],
        machine=machine,
    )


def _version_layers(options: dict[str, Any]) -> list[Layer]:
    from installer.domain.k3s_release import is_version

    layers = []
    if k3s := options["k3s"]:
        key = "version" if is_version(k3s) else "channel"
        layers.append(Layer("--k3s", nest(("spec", "k3s", key), k3s)))
    if options["cilium"]:
        layers.append(Layer("--cilium", nest(("spec", "cilium", "version"), options["cilium"])))
    return layers


def _arches(text: str | None, machine: str) -> tuple[str, ...]:
    from installer.domain.k3s_release import machine_arch

    words = [word.strip() for word in (text or machine).split(",") if word.strip()]
    return tuple(sorted({machine_arch(word).name for word in words}))


def _cache() -> Path:
    from platformdirs import user_cache_path

    return user_cache_path("beeyard") / "bundle"


def _host_file(text: str) -> HostFile:
    from installer.domain.bundle_paths import DESTINATIONS, allowed_destination
    from installer.services.bundle.request import HostFile

    source, _, rest = text.partition(":")
    dest, _, mode = rest.partition(":")
    if not source or not allowed_destination(dest) or not Path(source).is_file():
        raise UsageError(
            f"--add {text!r} cannot be bundled",
            why=f"it must be SRC:DEST[:MODE] with a file that is there and a DEST below {', '.join(DESTINATIONS)}",
            fix="correct it, such as config.toml.tmpl:/var/lib/rancher/k3s/agent/etc/containerd/config.toml.tmpl:0644",
            code="E-BUNDLE-014",
        )
    return HostFile(Path(source), dest, mode or "0644")


def _epoch(text: str) -> int | None:
    if not text:
        return None
    if not text.isascii() or not text.isdigit():
        raise UsageError(
            f"SOURCE_DATE_EPOCH={text!r} is no time",
            why="it must be a number of seconds since 1970",
            fix="unset it, or set it to a number",
            code="E-BUNDLE-014",
        )
    return int(text)


@command.command("inspect")
@click.argument("bundle", metavar="FILE")
@output_option(*FORMATS)
def inspect(bundle: str, output_format: str) -> int:
    """Show what a bundle says it holds; nothing of it is proven."""
    from installer.cli.render_bundle import inspect_json, inspect_text
    from installer.wiring.bundle import bundle_archives

    found = asyncio.run(bundle_archives().inspect(Path(bundle)))
    if output_format == "json":
        output.data_json(inspect_json(bundle, found))
    else:
        output.data(inspect_text(bundle, found))
    return ExitCode.OK


@command.command("verify")
@click.argument("bundle", metavar="FILE")
@output_option(*FORMATS)
def verify(bundle: str, output_format: str) -> int:
    """Prove every byte of a bundle; exit 5 when it was changed or is damaged."""
    from installer.cli.render_bundle import inspect_json, verified_text
    from installer.cli.render_events import LineRenderer, PlainEnd, renderer

    is_json = output_format == "json"
    show: LineRenderer = PlainEnd(output_format)
    bars = None if is_json else renderer("text")

    async def work() -> int:
        import time

        from installer.services.bundle.progress import Steps
        from installer.wiring.bundle import bundle_archives

        steps = Steps(bars.event if bars else lambda _event: None, time.time)
        with steps.step("verify", "Verify the bundle") as step:
            found = await bundle_archives().verify(Path(bundle), steps.progress)
            step.note = f"{len(found.manifest.verifiable)} files"
        if bars:
            bars.close()
            output.data(verified_text(bundle, found))
        else:
            output.data_json({**inspect_json(bundle, found), "verified": True})
        return ExitCode.OK

    try:
        return run_to_end(work(), show)
    finally:
        if bars:
            bars.close()


@command.command("push")
@click.argument("bundle", metavar="FILE")
@click.argument("registry", metavar="REGISTRY")
@config_options
@_auth_option
@output_option(*FORMATS, events=True)
def push(bundle: str, registry: str, output_format: str, **options: Any) -> int:
    """Push a bundle's images to a registry, for clusters that pull from it as from a mirror.

    REGISTRY is HOST[:PORT][/PATH]. TLS is verified (spec.downloads.caFile adds an authority); plain http is spoken on
    loopback, or where http:// is written before it.
    """
    from installer.cli.render_events import renderer
    from installer.domain.images.mirrors import parse_target

    target = parse_target(registry)
    spec = load(options, []).document.spec
    show = renderer(output_format)
    authfile = Path(options["authfile"]) if options["authfile"] else None

    async def work() -> int:
        from installer.services.bundle.push import push as push_bundle
        from installer.wiring.bundle import bundle_tools

        async with bundle_tools(spec, os.environ, authfile) as tools:
            pushed = await push_bundle(Path(bundle), target, tools, show.event)
        if output_format == "text":
            from installer.cli.render_bundle import pushed_text

            show.close()
            output.data(pushed_text(pushed))
        return ExitCode.OK

    return run_to_end(work(), show)
