"""The user's own keys: checked against the actions, so that nothing is bound to nothing or twice in silence."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches

from textual.keys import KEY_NAME_REPLACEMENTS, Keys

from installer.tui.actions import APP, Action

_MODIFIERS = {"ctrl", "shift", "alt", "super", "hyper", "meta"}
_NAMED = {key.value for key in Keys} | {"space"}
_ALWAYS = "ctrl+q"


@dataclass(frozen=True, slots=True)
class CheckedKeys:
    """A key map after the check.

    Attributes:
        keys: what can be used.
        problems: one line for each entry that cannot.
    """

    keys: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def check_keymap(keymap: Mapping[str, str], actions: Iterable[Action], pending: Iterable[str] = ()) -> CheckedKeys:
    """Check a key map.

    Args:
        keymap: keys by id of action, as the user wrote them.
        actions: the actions that are known.
        pending: ids of areas whose actions are not known yet; their entries are neither used nor told.
    """
    known = {action.id: action for action in actions}
    checked = CheckedKeys()
    for name, keys in keymap.items():
        if name.partition(".")[0] in pending and name not in known:
            continue
        problem = _problem(name, keys, known)
        if problem:
            checked.problems.append(f"{name}: {problem}")
        else:
            checked.keys[name] = ",".join(map(_named, keys.split(",")))
    _drop_clashes(checked, known)
    return checked


def _problem(name: str, keys: str, known: Mapping[str, Action]) -> str:
    if name not in known:
        near = get_close_matches(name, known, n=1)
        return "there is no such action" + (f"; did you mean {near[0]}?" if near else "")
    if not known[name].keys:
        return "it has no key, only an entry in the list of commands"
    wrong = [key.strip() for key in keys.split(",") if not _is_key(key.strip())]
    return f"{wrong[0]!r} is no key; keys are written like f5, ctrl+s, G, question_mark" if wrong else ""


def _named(key: str) -> str:
    """Return a key as Textual calls it: ``question_mark`` for ``?``."""
    *modifiers, last = key.strip().split("+")
    if len(last) == 1 and not last.isalnum():
        name = unicodedata.name(last, last).lower().replace("-", "_").replace(" ", "_")
        last = KEY_NAME_REPLACEMENTS.get(name, name)
    return "+".join((*modifiers, last))


def _is_key(text: str) -> bool:
    *modifiers, key = text.split("+")
    return set(modifiers) <= _MODIFIERS and (len(key) == 1 or key in _NAMED or text in _NAMED or _is_sign(key))


def _is_sign(name: str) -> bool:
    """Tell whether a name is that of a printable sign, such as ``question_mark`` or ``slash``."""
    if name in KEY_NAME_REPLACEMENTS.values():
        return True
    try:
        unicodedata.lookup(name.replace("_", " ").upper())
    except KeyError:
        return False
    return True


def _drop_clashes(checked: CheckedKeys, known: Mapping[str, Action]) -> None:
    """Take out entries whose key does something else on the same screen."""
    for name in list(checked.keys):
        for key in checked.keys[name].split(","):
            other = _owner(key, name, checked, known)
            if other or (key == _ALWAYS and name != "app.quit"):
                checked.problems.append(f"{name}: {key} is already the key of {other or 'app.quit'}")
                del checked.keys[name]
                break


def _owner(key: str, name: str, checked: CheckedKeys, known: Mapping[str, Action]) -> str:
    areas = {known[name].area, APP}
    for other, action in known.items():
        near = action.area in areas or (APP in areas and known[name].area == APP)
        if other != name and near and key in checked.keys.get(other, ",".join(action.keys)).split(","):
            return other
    return ""
