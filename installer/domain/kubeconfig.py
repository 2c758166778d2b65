"""Merging one cluster into a user's kubeconfig by name, and taking it out again.

What merging had to add beside the entries (missing sections, the current context, the whole file) is noted in an
extension of our context, a place that Kubernetes clients keep and ignore, so that removing is the exact inverse.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from installer.domain.errors import BeeyardError

Config = dict[str, Any]
Entry = dict[str, Any]

INNER = {"clusters": "cluster", "contexts": "context", "users": "user"}
HEAD = {"apiVersion": "v1", "kind": "Config"}
CURRENT = "current-context"
EXTENSION = "beeyard"


@dataclass(frozen=True, slots=True)
class Merged:
    """Outcome of a merge.

    Attributes:
        config: the whole kubeconfig; the input is left as it was.
        changed: it differs from what was there.
        replaced: a context of that name was there before.
        current_set: current-context was pointed to the name.
    """

    config: Config
    changed: bool
    replaced: bool
    current_set: bool


def merge(
    existing: Mapping[str, Any] | None,
    new: Mapping[str, Any],
    *,
    name: str,
    set_current: bool = False,
    server: str | None = None,
    where: str = "the kubeconfig",
) -> Merged:
    """Put the current context of ``new``, its cluster and its user into ``existing``, all three under ``name``.

    Entries of that name are replaced in their place, others and unknown keys stay untouched and in order.

    Args:
        existing: the user's kubeconfig as parsed; None where there is no file.
        new: the cluster's own kubeconfig (k3s calls everything in it ``default``).
        name: name for context, cluster and user.
        set_current: point current-context to it even if there is another one; an empty one is always set.
        server: API address that replaces the one in ``new``, such as ``https://10.0.0.1:6443``.
        where: what ``existing`` is called in errors, such as its path.

    Raises:
        BeeyardError: ``E-KUBECONFIG-001`` ``existing`` is no kubeconfig, ``-002`` an entry in it is damaged,
            ``-003`` ``new`` is no usable kubeconfig.
    """
    before = check({} if existing is None else existing, where)
    entries = _renamed(new, name, server)
    old = _named(before, "contexts", name)
    current_set = (set_current or not before.get(CURRENT)) and before.get(CURRENT) != name
    note = _note(existing, old, name, set_current=set_current)
    if note:
        entries["contexts"]["context"].setdefault("extensions", []).append({"name": EXTENSION, "extension": note})
    config = deepcopy(before)
    for key, value in HEAD.items():
        config.setdefault(key, value)
    for section, entry in entries.items():
        config[section] = _replaced(config.get(section) or [], entry)
    config[CURRENT] = name if current_set else before[CURRENT]
    return Merged(config, changed=config != existing, replaced=old is not None, current_set=current_set)


def remove(existing: Mapping[str, Any], name: str, *, where: str = "the kubeconfig") -> Config | None:
    """Take the entries of that name out, and what ``merge`` added for them.

    Returns:
        The rest; None where ``merge`` made the file and nothing else came into it.

    Raises:
        BeeyardError: ``E-KUBECONFIG-001`` it is no kubeconfig, ``-002`` an entry in it is damaged.
    """
    config = deepcopy(check(existing, where))
    note = _noted(_named(config, "contexts", name))
    for section in INNER.keys() & config.keys():
        config[section] = [entry for entry in config[section] or [] if entry["name"] != name]
    if config.get(CURRENT) == name:
        config[CURRENT] = _previous(config, note)
    if note.get("created") and not any(value for key, value in config.items() if key not in HEAD):
        return None
    for key in note.get("absent", []):
        if not config.get(key) or config[key] == HEAD.get(key):
            config.pop(key, None)
    return config


def holds(config: Mapping[str, Any], name: str) -> bool:
    """Tell whether any entry of a (checked) kubeconfig has that name."""
    return any(_named(config, section, name) is not None for section in INNER)


def check(config: Any, where: str) -> Config:
    """Return a kubeconfig whose sections are lists of named entries, or missing.

    Raises:
        BeeyardError: ``E-KUBECONFIG-001`` it is something else, ``E-KUBECONFIG-002`` an entry is damaged.
    """
    if not isinstance(config, Mapping):
        raise _no_kubeconfig(where, f"It holds a {type(config).__name__}, not a mapping.")
    for key, wanted in HEAD.items():
        if config.get(key) not in (None, "", wanted):
            raise _no_kubeconfig(where, f"Its {key} is {config[key]!r}, that of a kubeconfig is {wanted}.")
    if not isinstance(config.get(CURRENT, ""), str | None):
        raise _no_kubeconfig(where, f"Its {CURRENT} is {config[CURRENT]!r}, not a name.")
    for section in INNER:
        _check_section(config.get(section), section, where)
    return dict(config)


def _check_section(entries: Any, section: str, where: str) -> None:
    if not isinstance(entries, list | None):
        raise _no_kubeconfig(where, f"Its {section} are no list.")
    for number, entry in enumerate(entries or [], start=1):
        if not isinstance(entry, Mapping) or not isinstance(entry.get("name"), str):
            raise BeeyardError(
                f"{where} is damaged",
                why=f"Entry {number} of {section} has no name.",
                fix="Mend or remove that entry, or use --kubeconfig PATH or --no-merge.",
                code="E-KUBECONFIG-002",
            )


def _no_kubeconfig(where: str, why: str) -> BeeyardError:
    return BeeyardError(
        f"{where} is no kubeconfig",
        why=why,
        fix="Mend it or move it away, or use --kubeconfig PATH or --no-merge.",
        code="E-KUBECONFIG-001",
    )


def unusable(why: str) -> BeeyardError:
    """Make ``E-KUBECONFIG-003``: the cluster's own kubeconfig cannot be used."""
    return BeeyardError(
        "The cluster's own kubeconfig cannot be used",
        why=why,
        fix="Let k3s write it anew: remove /etc/rancher/k3s/k3s.yaml and restart k3s.",
        code="E-KUBECONFIG-003",
    )


def _renamed(new: Mapping[str, Any], name: str, server: str | None) -> dict[str, Entry]:
    """Return copies of cluster, user and context of ``new`` under their new name, by section."""
    try:
        source = check(new, "it")
    except BeeyardError as error:
        raise unusable(error.why) from None
    context = _inner(source, "contexts", _only_context(source))
    cluster = _inner(source, "clusters", context.get("cluster"))
    if server is not None:
        cluster["server"] = server
    if not cluster.get("server"):
        raise unusable("Its cluster has no server address.")
    user = _inner(source, "users", context.get("user"))
    context |= {"cluster": name, "user": name}
    return {
        "clusters": {"name": name, "cluster": cluster},
        "users": {"name": name, "user": user},
        "contexts": {"name": name, "context": context},
    }


def _only_context(source: Config) -> str:
    """Return the name of the current context, or of the only one."""
    names = [entry["name"] for entry in source.get("contexts") or []]
    current = source.get(CURRENT) or (names[0] if len(names) == 1 else "")
    if not current:
        raise unusable(f"It names no current context and holds {len(names)}.")
    return str(current)


def _inner(source: Config, section: str, name: Any) -> Entry:
    """Return a copy of what stands inside the entry of that name."""
    entry = _named(source, section, name)
    inner = (entry or {}).get(INNER[section])
    if not isinstance(inner, Mapping):
        raise unusable(f"It has no {INNER[section]} named {name!r}.")
    return deepcopy(dict(inner))


def _named(config: Mapping[str, Any], section: str, name: Any) -> Entry | None:
    return next((entry for entry in config.get(section) or [] if entry["name"] == name), None)


def _replaced(entries: list[Entry], entry: Entry) -> list[Entry]:
    """Put the entry where the first of its name stands, else at the end; no second one stays."""
    names = [other["name"] for other in entries]
    place = names.index(entry["name"]) if entry["name"] in names else len(entries)
    after = [other for other in entries[place:] if other["name"] != entry["name"]]
    return [*entries[:place], entry, *after]


def _note(existing: Mapping[str, Any] | None, old: Entry | None, name: str, *, set_current: bool) -> dict[str, Any]:
    """Say what has to be undone later: that of an earlier merge, else what this one adds."""
    note = _noted(old)
    if existing is None:
        note["created"] = True
    elif old is None:
        absent = [key for key in (*HEAD, *INNER, CURRENT) if key not in existing]
        note |= {"absent": absent} if absent else {}
    current = (existing or {}).get(CURRENT)
    if set_current and current and current != name:
        note["previous-context"] = current
    return note


def _noted(context: Entry | None) -> dict[str, Any]:
    """Return a copy of the note in our context."""
    inner = (context or {}).get("context")
    extensions = inner.get("extensions") if isinstance(inner, Mapping) else None
    for item in extensions if isinstance(extensions, list) else []:
        if isinstance(item, Mapping) and item.get("name") == EXTENSION and isinstance(item.get("extension"), Mapping):
            return dict(item["extension"])
    return {}


def _previous(config: Config, note: Mapping[str, Any]) -> str:
    """Return the context that was current before, if it is still there."""
    name = note.get("previous-context", "")
    return name if _named(config, "contexts", name) else ""
