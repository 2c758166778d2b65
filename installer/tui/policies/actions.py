"""What can be done on the Policies screen. Letters work outside the editor, the others also in it."""

from __future__ import annotations

from installer.tui.actions import Action


def _action(name: str, title: str, help_: str, keys: str, group: str, *, footer: bool = False) -> Action:
    return Action(f"policies.{name}", title, help_, tuple(keys.split()), "policies", group, footer)


ACTIONS = (
    _action("apply", "Apply", "Show the change, then write it to the cluster.", "f9 a", "Change", footer=True),
    _action("next_view", "Next view", "The next view: policies, text, effect, impact ...", "f6", "View", footer=True),
    _action("previous_view", "Previous view", "The view before.", "shift+f6 f18", "View"),
    _action("new", "New", "A template, a form, flows, or a bare policy.", "n", "Change", footer=True),
    _action("delete", "Delete", "Show what deleting the policy would open, then delete it.", "d delete", "Change"),
    _action("filter", "Filter", "Only policies whose name holds what is typed.", "slash", "Policies", footer=True),
    _action("escape", "Back", "Close what is open, else go to the policies.", "escape", "View"),
    _action("edit", "Text", "The text of the policy.", "e", "View"),
    _action("problems", "Problems", "What is wrong with the text.", "p", "View"),
    _action("effect", "Effect", "Who may reach its pods, and whom they may reach.", "f", "View"),
    _action("impact", "Impact", "Which seen flows would have another verdict.", "i", "View"),
    _action("diff", "Diff", "The text against the cluster.", "v", "View"),
    _action("explain", "Explain", "Each rule in a sentence; Enter goes to its line.", "x", "View"),
    _action("history", "History", "Changes made from here; Enter takes one back.", "h", "View"),
    _action("next_problem", "Next problem", "Go to the next problem of the text.", "f8", "Text"),
    _action("previous_problem", "Previous problem", "Go to the problem before.", "shift+f8 f20", "Text"),
    _action("fix", "Fix", "Mend the problem of this line, where the fix is certain.", "f7", "Text"),
    _action("complete", "Complete", "What may stand at the cursor.", "ctrl+space ctrl+@", "Text"),
    _action("external", "Editor", "Edit the text in your own editor.", "ctrl+o", "Text"),
    _action("close_draft", "Close text", "Close the text; unsaved edits are asked about.", "ctrl+w", "Text"),
    _action("keep", "Keep", "Keep the change that would go back by itself.", "ctrl+g", "Change"),
    _action("take_back", "Take back", "Take the change back now.", "ctrl+t", "Change"),
    _action("suggest", "Suggest", "Draft policies from the flows seen.", "s", "Change"),
    _action("recording", "Recorded flows", "Judge the flows of a recorded file.", "o", "Flows"),
    _action("reload", "Reload", "Read the whole cluster again.", "r", "Policies"),
)
