"""What can be done on the Kernel screen."""

from __future__ import annotations

from installer.tui.actions import Action


def _action(name: str, title: str, help_: str, keys: str, group: str, *, footer: bool = False) -> Action:
    return Action(f"kernel.{name}", title, help_, tuple(keys.split()), "kernel", group, footer)


ACTIONS = (
    _action("start", "Start/stop", "Start the tap on this host, or detach it.", "s", "Tap", footer=True),
    _action(
        "prove", "Try kernel", "Try every feature that Cilium needs, in another process.", "r", "Proof", footer=True
    ),
    _action("next_view", "Next view", "The next view: proof, traffic, drops ...", "f6 right_square_bracket", "View"),
    _action("previous_view", "Previous view", "The view before.", "shift+f6 f18 left_square_bracket", "View"),
    _action("proof", "Proof", "What this kernel can do.", "p", "View"),
    _action("traffic", "Traffic", "Who sends most, by socket.", "t", "View"),
    _action("drops", "Drops", "What the kernel drops, by reason.", "v", "View"),
    _action("doctor", "Doctor", "Each drop, why, and what helps.", "d", "View"),
    _action("tcp", "TCP", "Connections: latency, retransmits, resets.", "c", "View"),
    _action("dns", "DNS", "Questions, answers, failures.", "n", "View"),
    _action("compare", "Compare", "What the kernel saw and Hubble did not.", "m", "View"),
    _action("filter", "Filter", "Type a filter; Tab completes.", "slash", "Picture", footer=True),
    _action("pause", "Pause", "Let the picture stand still, or go on.", "space", "Picture"),
    _action("details", "Details", "All about the marked row; where there is room they are there.", "i", "Picture"),
    _action("close", "Close", "Close the details, else clear the filter.", "escape", "Picture"),
    _action("copy", "Copy", "Copy the details.", "y", "Picture"),
    _action("clear", "Forget", "Forget what was told and count from zero.", "x", "Picture"),
    _action("flows", "In Flows", "Show this in the Flows screen, from the tap.", "o", "Hand over", footer=True),
    _action("draft", "Draft policy", "Let the drop through: hand it to Policies.", "P", "Hand over"),
    _action("routine", "All drops", "Also drops that are no losses, or only losses.", "a", "Tap"),
    _action("interval", "Interval", "Count every second, every 5 or every 10 seconds.", "w", "Tap"),
)
