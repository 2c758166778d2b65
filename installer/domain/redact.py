"""Masking of secrets in text: registered values, and whatever looks like one."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

MASK = "***"

_SHORTEST = 4
"""Shorter values are not registered: masking them would tear up ordinary words."""

_LONG = 12
"""Characters from which on a learned value with spaces in it is masked."""

_WORD = re.compile(r"[\w+/.~-]{6,}={0,2}")
"""What a secret looks like in running text: no space, no quote, no comma."""

_QUOTED_OR_WORD = r"""(?:"(?:[^"\\]|\\.)*"|'[^']*'|[^\s,;&}"'\\]+)"""

_PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL), MASK),
    (re.compile(r"\bK10[0-9A-Za-z]+::[^\s\"'\\,;]+"), MASK),
    (re.compile(r"\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*"), MASK),
    (re.compile(r"\b[a-z0-9]{6}\.[a-z0-9]{16}\b"), MASK),
    (re.compile(r"(?i)\b(bearer\s+)[\w.~+/=:-]+"), rf"\1{MASK}"),
    (re.compile(r"(?i)(authorization[\"']?\s*[:=]\s*[\"']?basic\s+)[\w+/=-]+"), rf"\1{MASK}"),
    (re.compile(r"(?i)(client-key-data[\"']?\s*[:=]\s*[\"']?)[\w+/=-]+"), rf"\1{MASK}"),
    (re.compile(r"([a-z][a-z0-9+.-]{1,20}://[^\s/:@\"']{0,256}:)[^\s/@\"']+(?=@)", re.IGNORECASE), rf"\1{MASK}"),
    (
        re.compile(
            r"(?i)((?<![a-z0-9])[\w-]{0,40}?(?:password|passwd|token|secret|private[_-]?key)[\"']?\s*[:=]\s*)"
            + _QUOTED_OR_WORD
        ),
        rf"\1{MASK}",
    ),
)


class Redactor:
    """Masks secrets.

    Values that the program knows are registered; tokens, keys and passwords of well-known forms are found by pattern.
    """

    def __init__(self, secrets: Iterable[str] = ()):
        self._forms: set[str] = set()
        self._exact: re.Pattern[str] | None = None
        self._words: set[str] = set()
        for secret in secrets:
            self.register(secret)

    def register(self, secret: str) -> None:
        """Mask this value from now on, also in its URL-quoted, JSON-escaped and base64 forms.

        Values of fewer than four characters are ignored.
        """
        value = secret.strip()
        if len(value) < _SHORTEST:
            return
        encoded = base64.b64encode(value.encode()).decode()
        self._forms |= {value, quote(value, safe=""), json.dumps(value)[1:-1], encoded}
        longest_first = sorted(self._forms, key=lambda form: (-len(form), form))
        self._exact = re.compile("|".join(map(re.escape, longest_first)))

    def learn(self, secrets: Iterable[str]) -> None:
        """Mask many values from now on, wherever one stands as a word of its own, also in its base64 form.

        Cheap for thousands of values, where ``register`` is not. Values of fewer than six characters are ignored; of
        those with several lines, each line counts.
        """
        for secret in secrets:
            for value in {secret.strip(), *map(str.strip, secret.splitlines())}:
                if _WORD.fullmatch(value):
                    self._words |= {value, base64.b64encode(value.encode()).decode()}
                elif len(value) >= _LONG and "\n" not in value:
                    self.register(value)
            self._words.add(base64.b64encode(secret.encode()).decode())

    def mask(self, text: str) -> str:
        """Return the text with every secret replaced by ``***``."""
        if self._words:
            text = _WORD.sub(lambda word: MASK if word[0] in self._words else word[0], text)
        if self._exact is not None:
            text = self._exact.sub(MASK, text)
        for pattern, replacement in _PATTERNS:
            text = pattern.sub(replacement, text)
        return text

    def mask_data(self, data: Any) -> Any:
        """Return a copy of JSON-like data with every string in it masked, keys left alone."""
        if isinstance(data, str):
            return self.mask(data)
        if isinstance(data, dict):
            return {key: self.mask_data(value) for key, value in data.items()}
        if isinstance(data, (list, tuple)):
            return [self.mask_data(value) for value in data]
        return data


_SECRET_KEY = re.compile(r"(?i)(password|passwd|token|secret|private[_-]?key|client-key-data)$")


def mask_tree(data: Any, redactor: Redactor) -> Any:
    """Return a copy of JSON-like data with every string masked, and whole those whose key says that they are secret."""
    if isinstance(data, str):
        return redactor.mask(data)
    if isinstance(data, dict):
        return {
            key: MASK if isinstance(one, str) and one and _SECRET_KEY.search(str(key)) else mask_tree(one, redactor)
            for key, one in data.items()
        }
    return [mask_tree(one, redactor) for one in data] if isinstance(data, list) else data


_USERINFO = re.compile(r"^(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*://)?(?P<user>[^/?#@]*)@")


def mask_url(url: str) -> str:
    """Return a URL whose password is masked; without a password the user name is kept."""

    def masked(match: re.Match[str]) -> str:
        user, colon, _ = match["user"].partition(":")
        return f"{match['scheme'] or ''}{user}{':' + MASK if colon else ''}@"

    return _USERINFO.sub(masked, url, count=1)
