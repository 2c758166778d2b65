"""Themes. Colours come from here and from nowhere else; a verdict has a word beside its colour everywhere."""

from __future__ import annotations

from textual.theme import Theme

VERDICTS = ("forwarded", "dropped", "audit", "error")


def _verdicts(forwarded: str, dropped: str, audit: str, error: str) -> dict[str, str]:
    return {f"verdict-{name}": value for name, value in zip(VERDICTS, (forwarded, dropped, audit, error), strict=True)}


def _scrollbars(background: str, bar: str, held: str) -> dict[str, str]:
    names = (
        "scrollbar-background",
        "scrollbar-background-hover",
        "scrollbar-background-active",
        "scrollbar-corner-color",
    )
    return {**dict.fromkeys(names, background), "scrollbar": bar, "scrollbar-hover": held, "scrollbar-active": held}


_DARK = Theme(
    name="beeyard-dark",
    primary="#e5b454",
    secondary="#6fb3c9",
    accent="#e5b454",
    warning="#e59a5b",
    error="#e8716f",
    success="#8cc084",
    foreground="#d8d9d4",
    background="#14171c",
    surface="#1a1e25",
    panel="#222731",
    boost="#2a303c",
    dark=True,
    variables={
        **_verdicts("#8cc084", "#e8716f", "#e5b454", "#c792d8"),
        **_scrollbars("#1a1e25", "#3a4150", "#5a6478"),
        "footer-key-foreground": "#e5b454",
        "footer-background": "#1a1e25",
        "block-cursor-background": "#3a3426",
        "block-cursor-foreground": "#f3e3bd",
        "block-cursor-text-style": "bold",
        "border": "#4a4536",
    },
)
_LIGHT = Theme(
    name="beeyard-light",
    primary="#8a5d00",
    secondary="#1f6d86",
    accent="#8a5d00",
    warning="#a04a00",
    error="#b3261e",
    success="#2c6e2f",
    foreground="#22252a",
    background="#faf8f3",
    surface="#f2efe7",
    panel="#e8e3d6",
    boost="#ddd6c4",
    dark=False,
    variables={
        **_verdicts("#2c6e2f", "#b3261e", "#8a5d00", "#7a3b8f"),
        **_scrollbars("#f2efe7", "#cfc5ab", "#a89a78"),
        "footer-key-foreground": "#8a5d00",
        "footer-background": "#f2efe7",
        "block-cursor-background": "#ecd9a8",
        "block-cursor-foreground": "#2b1f00",
        "block-cursor-text-style": "bold",
        "border": "#b8ab88",
    },
)
_CONTRAST = Theme(
    name="beeyard-contrast",
    primary="#ffd700",
    secondary="#00ffff",
    accent="#ffd700",
    warning="#ffaf00",
    error="#ff6060",
    success="#5fff5f",
    foreground="#ffffff",
    background="#000000",
    surface="#000000",
    panel="#1c1c1c",
    boost="#303030",
    dark=True,
    variables={
        **_verdicts("#5fff5f", "#ff6060", "#ffd700", "#ff87ff"),
        **_scrollbars("#000000", "#9a9a9a", "#ffffff"),
        "footer-key-foreground": "#ffd700",
        "footer-background": "#000000",
        "footer-description-foreground": "#ffffff",
        "block-cursor-background": "#ffd700",
        "block-cursor-foreground": "#000000",
        "block-cursor-text-style": "bold",
        "border": "#ffffff",
        "text-muted": "#e0e0e0",
        "text-disabled": "#c0c0c0",
    },
)
_COLOURBLIND = Theme(
    name="beeyard-colourblind",
    primary="#56b4e9",
    secondary="#f0e442",
    accent="#56b4e9",
    warning="#e69f00",
    error="#e57a2e",
    success="#56b4e9",
    foreground="#dcdcdc",
    background="#14171c",
    surface="#1a1e25",
    panel="#222731",
    boost="#2a303c",
    dark=True,
    variables={
        **_verdicts("#56b4e9", "#e57a2e", "#f0e442", "#cc79a7"),
        **_scrollbars("#1a1e25", "#3a4150", "#5a6478"),
        "footer-key-foreground": "#56b4e9",
        "footer-background": "#1a1e25",
        "block-cursor-background": "#1f3f55",
        "block-cursor-foreground": "#e6f4fc",
        "block-cursor-text-style": "bold",
        "border": "#3d4a56",
    },
)
THEMES = (_DARK, _LIGHT, _CONTRAST, _COLOURBLIND)
"""Themes of ours; colours of ``beeyard-colourblind`` are those of Okabe and Ito."""
TITLES = {
    "beeyard-dark": "Dark",
    "beeyard-light": "Light",
    "beeyard-contrast": "High contrast",
    "beeyard-colourblind": "Colour-blind safe",
    "ansi-dark": "Terminal's colours, dark",
    "ansi-light": "Terminal's colours, light",
}
"""What themes are called, ours and Textual's that leave the colours to the terminal."""
NAMES = tuple(TITLES)

DEFAULTS = _verdicts("ansi_green", "ansi_red", "ansi_yellow", "ansi_magenta")
"""Variables for themes that lack ours."""
