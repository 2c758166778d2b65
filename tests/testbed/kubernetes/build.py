"""Builds Kubernetes from Debian's source package: one binary that is all its programs, chosen by name."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.testbed import oci
from tests.testbed.cache import cache_dir, drop_older, key, locked
from tests.testbed.debian import apt_install, apt_source
from tests.testbed.shell import BuildError, run, say
from tests.testbed.versions import HERE, K3S_VERSION

PROGRAMS = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy", "kubectl")
_MAIN = HERE / "kubernetes" / "k3s-kube"
_PACKAGES = ("golang-go", "golang-github-modern-go-reflect2-dev", "dpkg-dev", "ca-certificates")
_REFLECT2 = "github.com/modern-go/reflect2"
# What a testbed has no use for: cloud providers and Docker.
_TAGS = "providerless dockerless"
_OPENAPI = "pkg/generated/openapi"
# Kubernetes waits here by the clock for what is there at once on one machine: a test would wait as well.
_FASTER = {
    "pkg/controller/nodeipam/ipam/cidr_allocator.go": ("wait.Poll(10*time.Second,", "wait.Poll(200*time.Millisecond,"),
    "pkg/kubelet/kubelet.go": (
        "wait.Until(kl.updateRuntimeUp, 5*time.Second,",
        "wait.Until(kl.updateRuntimeUp, time.Second,",
    ),
}
_NO_OPENAPI = ("vendor/k8s.io/code-generator/", "vendor/k8s.io/sample-", "vendor/k8s.io/kube-openapi/")


def binary() -> Path:
    """Return the path of the multi-call binary, built if its inputs changed."""
    inputs = key(_MAIN, _TAGS, str(_FASTER), K3S_VERSION, oci.architecture())
    with locked("kubernetes"):
        out = cache_dir() / f"kubernetes-{inputs}"
        if not out.exists():
            _build(out)
            drop_older("kubernetes", out)
        return out


def _build(out: Path) -> None:
    apt_install(_PACKAGES)
    work = cache_dir() / "work-kubernetes"
    shutil.rmtree(work, ignore_errors=True)
    say("fetching the Kubernetes source package")
    source = apt_source("kubernetes", work)
    tree = work / "gopath" / "src" / "k8s.io" / "kubernetes"
    tree.parent.mkdir(parents=True)
    source.rename(tree)
    # The vendored 1.0.1 crashes at run time when built with Go >= 1.18.
    vendored = tree / "vendor" / _REFLECT2
    shutil.rmtree(vendored)
    shutil.copytree(Path("/usr/share/gocode/src") / _REFLECT2, vendored)
    for name, (before, after) in _FASTER.items():
        _replace(tree / name, before, after)
    env = {
        "GOPATH": str(work / "gopath"), "GOCACHE": str(work / "gocache"), "GO111MODULE": "off",
        "GOFLAGS": "", "CGO_ENABLED": "0", "GOTOOLCHAIN": "local",
    }  # fmt: skip
    _generate_openapi(tree, work, env)
    say("compiling Kubernetes (some minutes, once)")
    shutil.copytree(_MAIN, tree / "cmd" / "k3s-kube")
    part = out.with_name("part-kubernetes")
    argv = ["go", "build", "-tags", _TAGS, "-trimpath", "-ldflags", _ldflags(), "-o", str(part), "."]
    run(argv, cwd=tree / "cmd" / "k3s-kube", env=env)
    part.rename(out)
    run(["chmod", "-R", "u+w", str(work)])
    shutil.rmtree(work)


def _replace(path: Path, before: str, after: str) -> None:
    text = path.read_text()
    if text.count(before) != 1:
        raise BuildError(f"{path}: expected {before!r} once: another Kubernetes?")
    path.write_text(text.replace(before, after))


def _ldflags() -> str:
    major, minor = K3S_VERSION.lstrip("v").split(".")[:2]
    facts = {"gitVersion": K3S_VERSION, "gitMajor": major, "gitMinor": minor, "gitTreeState": "clean"}
    packages = ("k8s.io/client-go/pkg/version", "k8s.io/component-base/version")
    settings = [
        f"-X k8s.io/kubernetes/vendor/{package}.{name}={value}" for package in packages for name, value in facts.items()
    ]
    return " ".join(["-s", "-w", *settings])


def _generate_openapi(tree: Path, work: Path, env: dict[str, str]) -> None:
    """Generate the one file that the source package leaves out."""
    generator = work / "openapi-gen"
    run(["go", "build", "-o", str(generator), "./vendor/k8s.io/kube-openapi/cmd/openapi-gen"], cwd=tree, env=env)
    folders = ",".join(f"k8s.io/kubernetes/{name}" for name in _openapi_folders(tree))
    argv = [str(generator), "-i", folders, "-p", f"k8s.io/kubernetes/{_OPENAPI}", "-O", "zz_generated.openapi"]
    argv += ["-h", "vendor/k8s.io/code-generator/hack/boilerplate.go.txt", "-r", str(work / "violations")]
    run([*argv, "-o", str(work / "generated")], cwd=tree, env=env)
    made = work / "generated" / "k8s.io" / "kubernetes" / _OPENAPI / "zz_generated.openapi.go"
    shutil.copy(made, tree / _OPENAPI)


def _openapi_folders(tree: Path) -> list[str]:
    argv = ["grep", "-Rl", "--include=*.go", "+k8s:openapi-gen=", "pkg", "vendor/k8s.io/"]
    files = [line for line in run(argv, cwd=tree).splitlines() if not line.endswith("_test.go")]
    return sorted({str(Path(name).parent) for name in files if not name.startswith(_NO_OPENAPI)})
