"""The plan as a tree: steps, their changes, and the lines of their diffs."""

from __future__ import annotations

from typing import Any, ClassVar

from rich.text import Text
from textual.binding import Binding
from textual.widgets import Tree
from textual.widgets.tree import TreeNode

from installer.domain.plan import Change, Plan, StepPlan
from installer.domain.plan_text import headline, sign, step_summary
from installer.domain.text import printable


class PlanTree(Tree[str]):
    """Everything that would change; steps are open, diffs are folded."""

    BINDINGS: ClassVar[list[Any]] = [
        Binding("right", "open", "Unfold", show=False),
        Binding("left", "close", "Fold", show=False),
        Binding("shift+right", "scroll_right", "Scroll right", show=False),
        Binding("shift+left", "scroll_left", "Scroll left", show=False),
    ]

    def __init__(self, *, id: str | None = None):  # noqa: A002 - Textual's name
        super().__init__("", id=id)
        self.show_root = False
        self.guide_depth = 2
        self.auto_expand = True

    def show(self, plan: Plan) -> None:
        """Show a plan."""
        self.clear()
        for warning in plan.warnings:
            self.root.add_leaf(Text.assemble(("warning  ", self._style("warning")), printable(warning)))
        for step in plan.steps:
            if step.changes:
                self._add_step(step)
        self.root.expand()
        self.move_cursor(self.root.children[0] if self.root.children else None)

    def fold_all(self, folded: bool) -> None:
        """Fold or unfold the diffs; the steps stay open."""
        for step in self.root.children:
            for change in step.children:
                if change.allow_expand:
                    (change.collapse if folded else change.expand)()

    @property
    def folded(self) -> bool:
        """Whether every diff is folded."""
        return not any(change.is_expanded for step in self.root.children for change in step.children if change.children)

    def action_open(self) -> None:
        """Unfold, or go to the first line inside."""
        node = self.cursor_node
        if node is not None and node.allow_expand and not node.is_expanded:
            node.expand()
        else:
            self.action_cursor_down()

    def action_close(self) -> None:
        """Fold, or go to what this line belongs to."""
        node = self.cursor_node
        if node is None:
            return
        if node.allow_expand and node.is_expanded:
            node.collapse()
        elif node.parent is not None and node.parent is not self.root:
            self.move_cursor(node.parent)

    def _add_step(self, step: StepPlan) -> None:
        title = Text.assemble((printable(step.title), "bold"), "  ", (step_summary(step), "dim"))
        node = self.root.add(title, expand=True)
        for change in step.changes:
            self._add_change(node, change)

    def _add_change(self, node: TreeNode[str], change: Change) -> None:
        mark = sign(change)
        colour = {"+": "success", "-": "error", "~": "warning"}.get(mark, "secondary")
        line = Text.assemble((f"{mark} ", self._style(colour)), printable(headline(change)))
        if not change.diff:
            node.add_leaf(line)
            return
        lines = change.diff.splitlines()
        line.append(f"  {len(lines)} lines", "dim")
        inner = node.add(line)
        for text in lines:
            inner.add_leaf(Text(printable(text), self._diff_style(text)))

    def _diff_style(self, line: str) -> str:
        if line.startswith(("---", "+++", "@@")):
            return "dim"
        return {"+": self._style("success"), "-": self._style("error")}.get(line[:1], "")

    def _style(self, variable: str) -> str:
        """Return a theme's colour as a style of rich's, empty where the theme leaves it to the terminal."""
        colour = self.app.theme_variables.get(variable, "")
        return colour if colour.startswith("#") else ""
