"""The final state of a host and its cluster as one flat mapping, so that two of them can be compared.

Left out is what two undisturbed installs never have in common: ids, times, random names and keys. What else varies
between undisturbed runs is found by comparing those (``Varying``), never guessed here.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
import subprocess
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.e2e.kill import processes
from tests.support.cluster import KUBECONFIG as K3S_FILE
from tests.support.cluster import kubectl, objects

State = dict[str, str]

_IN_MEMORY = ("/run", "/var/lib/rancher", "/var/lib/kubelet", "/var/log")
"""Folders of a world that are not laid over the host's."""
_UNREAD = re.compile(
    r"^(/root/\.(cache|pyenv|config/helm|local/share/uv)|/var/lib/rancher/k3s/(server/db|agent/containerd|data/)|/run/k3s/"
    r"|/var/lib/kubelet/(pods|device-plugins|plugins)|/var/log/(pods|containers)|/run/(netns|kill-matrix|cilium|xtables|mount)"
    r"|/var/cache|/var/lib/cni/(results|networks)|/root/\.kube/cache)"
)
"""Places of other programs: data bases, containers, caches."""
_BY_NAME_ONLY = re.compile(
    r"/runs/|/var/log/|/server/(tls|cred|token|node-token|agent-token|etc|manifests)|/k3s/agent/[^/]*\.(crt|key|kubeconfig|yaml)"
    r"|/etc/rancher/(node/password|k3s/k3s\.yaml)|/services/k3s/(supervisor|child|state)\.json|/\.kube/config$|/agent/pki"
    r"|/var/lib/beeyard/(guard|inventory)/[^/]*\.json$|/var/lib/kubelet/|installed\.json$|/var/lib/cni/|\.lock$|/run/"
)
"""Files whose content is random or a log; where it matters it is compared below, by its meaning."""
_MASKS = tuple(
    (re.compile(pattern), word)
    for pattern, word in (
        (r"\d{8}T\d{6}\.\d{3}Z-[0-9a-f]{6}", "RUN"),
        (r"/runs/RUN/before/\w+", "/runs/RUN/before/N"),
        (r"\d{8}T\d{6}Z(\.\d+)?", "TIME"),
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)?", "TIME"),
        (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "UUID"),
        (r"-----BEGIN[^-]*-----[^-]*-----END[^-]*-----", "PEM"),
        (r"[0-9a-f]{64}", "SHA"),
        (r"(veth|lxc)[0-9a-f_]+", "veth"),
        (r"\b10\.4[23]\.\d+\.\d+(?!/1[0-9])", "ADDRESS"),
        (r"\b([0-9a-f]{2}:){5}[0-9a-f]{2}\b", "MAC"),
        (r"fe80::[0-9a-f:]+", "LINKLOCAL"),
        (r"\bsvc_\d+", "svc_N"),
        (r"beeyard-helm-\w+(-\w+)?", "beeyard-helm-X"),
        (r"\.\d+(\.[a-z0-9_]+)?\.beeyard-tmp", ".X.beeyard-tmp"),
    )
)
_KINDS = (
    "ns,nodes,ds,deploy,sts,svc,cm,secrets,sa,roles,rolebindings,clusterroles,clusterrolebindings,crd,pdb,ingress,"
    "networkpolicies,pods,ingressclasses,storageclasses,validatingwebhookconfigurations,mutatingwebhookconfigurations"
)
_PASSING = ("du", "find", "nice", "runc", "nft", "ip")
"""Programs that kubelet, containerd and the agent run now and then."""
_SILENT_NOTES = (
    "deployment.kubernetes.io/revision", "deprecated.daemonset.template.generation",
    "control-plane.alpha.kubernetes.io/leader", "kubectl.kubernetes.io/last-applied-configuration",
    "kubernetes.io/service-account.uid",
)  # fmt: skip


def masked(text: str) -> str:
    """Return a text without what is random in it."""
    for pattern, word in _MASKS:
        text = pattern.sub(word, text)
    return text


def capture() -> State:
    """Return the whole state; of files, everything that was written in this world."""
    return {
        **_files(), **_record(), **_inventory(), **_kubeconfig(), **_release(), **_objects(),
        **_processes(), **_network(),
    }  # fmt: skip


def _files() -> State:
    found: State = {}
    seen: Counter[str] = Counter()
    for name, path in _written():
        if "/runs/RUN" in name or name.startswith("/var/log/beeyard/RUN"):
            found[f"file {name}"] = _looks(name, path)  # one for each run
            continue
        seen[name] += 1
        again = f" #{seen[name]}" if seen[name] > 1 else ""
        found[f"file {name}{again}"] = _looks(name, path)
    return found


def _written() -> Iterator[tuple[str, Path]]:
    """Yield everything that was written in this world: its name, masked, and where it can be read."""
    layer = next(link for link in Path("/proc/1/fd").iterdir() if str(link.readlink()) == "/upper")
    for top, root in [("", layer), *((name, Path(name)) for name in _IN_MEMORY)]:
        for folder, folders, names in os.walk(f"{root}/"):
            below = Path(folder).relative_to(root)
            place = f"{top}/{below}" if below.parts else top
            told = _IN_MEMORY if not top else ()  # what is written there after a loss of power lies in the layer, too
            folders[:] = sorted(
                name for name in folders if not _UNREAD.match(f"{place}/{name}") and f"{place}/{name}" not in told
            )
            for name in (*folders, *sorted(names)):
                if not _UNREAD.match(f"{place}/{name}"):
                    yield masked(f"{place}/{name}"), Path(folder, name)


def _looks(name: str, path: Path) -> str:
    info = path.lstat()
    mode = f"{stat.S_IMODE(info.st_mode):04o} {info.st_uid}:{info.st_gid}"
    if stat.S_ISLNK(info.st_mode):
        return f"link to {masked(str(path.readlink()))}"
    if stat.S_ISDIR(info.st_mode):
        return f"folder {mode}"
    if not stat.S_ISREG(info.st_mode):
        return f"special {mode}"
    if _BY_NAME_ONLY.search(name):
        return f"file {mode}"
    with path.open("rb") as file:
        return f"file {mode} {hashlib.file_digest(file, 'sha256').hexdigest()}"


def _record() -> State:
    path = Path("/var/lib/beeyard/installed.json")
    return _flat("installed", json.loads(path.read_text())) if path.exists() else {}


def _inventory() -> State:
    """What the host was like before: it must be of the time before the first run, however many there were."""
    path = Path("/var/lib/beeyard/inventory/before.json")
    if not path.exists():
        return {}
    items = json.loads(path.read_text())["items"]
    named = {f"inventory {one['kind']} {masked(one['name'])}": masked(json.dumps(one, sort_keys=True)) for one in items}
    return {
        name: looks for name, looks in named.items() if "LINKLOCAL" not in name
    }  # the kernel gives it a moment later


def _kubeconfig() -> State:
    """The merged kubeconfig by its meaning: entries, and whether the cluster lets it in."""
    path = Path("/root/.kube/config")
    if not path.exists():
        return {"kubeconfig": "absent"}
    content = yaml.safe_load(path.read_text())
    authority = yaml.safe_load(K3S_FILE.read_text())["clusters"][0]["cluster"]["certificate-authority-data"]
    state = {"kubeconfig current": str(content.get("current-context"))}
    for kind in ("clusters", "users", "contexts"):
        for entry in content[kind]:
            text = json.dumps(entry, sort_keys=True)
            own = "beeyard" in entry["name"]
            state[f"kubeconfig {kind} {entry['name']}"] = (
                re.sub(r'"[A-Za-z0-9+/=]{200,}"', '"DATA"', text) if own else text
            )
            if kind == "clusters" and own:
                state["kubeconfig authority"] = str(entry["cluster"]["certificate-authority-data"] == authority)
    asked = kubectl("--kubeconfig", str(path), "--context", "beeyard", "auth", "can-i", "delete", "nodes", check=False)
    state["kubeconfig lets in"] = asked.strip()
    return state


def _release() -> State:
    """What helm knows; how many revisions it took does not count, one that hangs does."""
    helm = next(iter(sorted(Path("/var/lib/beeyard/bin").glob("helm-*"))), None)
    if helm is None:
        return {"helm": "absent"}
    own = ("--kubeconfig", str(K3S_FILE), "-n", "kube-system")

    def ask(*arguments: str) -> str:
        return subprocess.run([helm, *arguments, *own], capture_output=True, text=True, check=True).stdout

    status = json.loads(ask("status", "cilium", "-o", "json"))
    history = json.loads(ask("history", "cilium", "-o", "json", "--max", "50"))
    state = {"helm status": status["info"]["status"], "helm chart": history[-1]["chart"]}
    state["helm hanging"] = str(
        [one["status"] for one in history if one["status"].startswith(("pending", "uninstalling"))]
    )
    state["helm releases"] = str(sorted(one["name"] for one in json.loads(ask("list", "-A", "-o", "json"))))
    state |= _flat("helm values", json.loads(ask("get", "values", "cilium", "-o", "json")))
    manifest = [one for one in yaml.safe_load_all(ask("get", "manifest", "cilium")) if one]
    state["helm objects"] = str(sorted(f"{one['kind']}/{one['metadata']['name']}" for one in manifest))
    return state


def _objects() -> State:
    state: State = {}
    for item in objects(_KINDS, "-A")["items"]:
        name = _object_name(item)
        if item["kind"] == "Secret" and item["type"].startswith("helm.sh/"):
            continue
        if item["kind"] == "Pod":
            _count(state, f"pod of {name}", _pod(item))
        else:
            state |= _flat(name, _spec(item))
    return state


def _object_name(item: Mapping[str, Any]) -> str:
    meta = item["metadata"]
    name = str(meta["name"])
    if item["kind"] == "Secret" and "token" in name:
        name = re.sub(r"-[a-z0-9]{5}$", "-X", name)
    if item["kind"] == "Pod":
        owners = meta.get("ownerReferences") or [{"kind": "nobody", "name": name}]
        name = f"{owners[0]['kind']} {re.sub(r'-[a-z0-9]{6,10}$', '', owners[0]['name'])}"
    return masked(f"{item['kind']} {meta.get('namespace', '')}/{name}")


def _pod(item: Mapping[str, Any]) -> str:
    ready = [bool(one.get("ready")) for one in item["status"].get("containerStatuses", [])]
    images = sorted(one["image"] for one in item["spec"]["containers"])
    return f"{item['status']['phase']} ready={all(ready)} {images}"


def _count(state: State, name: str, looks: str) -> None:
    number = 1
    while f"{name} #{number}" in state:
        number += 1
    state[f"{name} #{number}"] = looks


def _spec(item: Mapping[str, Any]) -> dict[str, Any]:
    meta = item["metadata"]
    notes = {key: value for key, value in (meta.get("annotations") or {}).items() if key not in _SILENT_NOTES}
    kept = {key: value for key, value in item.items() if key not in ("metadata", "status", "apiVersion", "kind")}
    if item["kind"] == "Secret":
        kept = {"type": item["type"], "keys": sorted(item.get("data") or {})}
    if item["kind"] == "ServiceAccount":
        kept.pop("secrets", None)
    if item["kind"] == "Namespace":
        kept["phase"] = item["status"]["phase"]
    if item["kind"] == "Node":
        kept["conditions"] = {one["type"]: one["status"] for one in item["status"]["conditions"]}
    return {"labels": meta.get("labels") or {}, "annotations": notes, **kept}


def _processes() -> State:
    """Names of all lasting processes that do not belong to the harness, with their number."""
    names = Counter(Path(line[0]).name for pid in processes.everything_but_us() if (line := processes.words(pid)))
    return {f"process {masked(name)}": str(number) for name, number in names.items() if name not in _PASSING}


def _network() -> State:
    state: State = {}
    for title, command in {
        "link": "ip -o link", "address": "ip -o address", "route": "ip route show table all", "rule": "ip rule",
        "route6": "ip -6 route show table all", "rule6": "ip -6 rule", "iptables": "iptables-save",
        "nft": "nft list ruleset",
    }.items():  # fmt: skip
        for line, number in Counter(_net_lines(command)).items():
            state[f"{title} {line}"] = str(number)
    for path in Path("/proc/sys/net").glob("ipv4/*"):
        if path.is_file():
            state[f"sysctl {path.name}"] = _text(path)
    for path in Path("/proc/sys/net").glob("ipv[46]/conf/*/*"):
        name = masked(f"{path.parent.name}/{path.name}")
        state[f"sysctl {path.parts[4]} {name}"] = masked(_text(path))
    return state


def _net_lines(command: str) -> Iterator[str]:
    try:
        said = subprocess.run(command.split(), capture_output=True, text=True, check=False).stdout
    except FileNotFoundError:
        return
    for line in said.splitlines():
        text = re.sub(
            r"^\d+: |@\S+|link-netns\S* \S+|packets \d+ bytes \d+|# handle \d+|valid_lft.*|qlen \d+", "", line
        )
        if text.strip() and not text.startswith("#"):
            yield masked(" ".join(text.split()))


def _text(path: Path) -> str:
    try:
        return " ".join(path.read_text().split())
    except OSError:
        return "unreadable"


def _flat(name: str, value: Any) -> State:
    """Spread a nested value over keys, so that a difference names its place."""
    if isinstance(value, dict) and value:
        return {
            key: text
            for part, inner in value.items()
            for key, text in _flat(f"{name} .{masked(str(part))}", inner).items()
        }
    return {name: masked(value if isinstance(value, str) else json.dumps(value, sort_keys=True))}


def varying(states: list[State]) -> set[str]:
    """Return the keys in which undisturbed runs differ by themselves."""
    keys = {key for state in states for key in state}
    return {key for key in keys if len({state.get(key) for state in states}) > 1}


def differences(references: list[State], found: State) -> list[str]:
    """Return what is not as in undisturbed runs, apart from what varies in them.

    Where only the content of a file varies, its being there, mode and owner still count.
    """
    loose = varying(references)
    shapes = [_shapes(state, loose) for state in references]
    wrong = _differences(references[0], found, loose)
    return wrong + _differences(shapes[0], _shapes(found, loose), varying(shapes))


def _shapes(state: State, keys: set[str]) -> State:
    return {key: " ".join(text.split()[:3]) for key, text in state.items() if key in keys and key.startswith("file ")}


def _differences(reference: State, found: State, silent: set[str]) -> list[str]:
    keys = sorted((reference.keys() | found.keys()) - silent)
    return [
        f"{key}: {reference.get(key, 'absent')} -> {found.get(key, 'absent')}"
        for key in keys
        if reference.get(key) != found.get(key)
    ]
