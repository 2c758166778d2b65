"""The text: opening, typing, checking, completing, mending."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, cast

from textual import on, work
from textual.content import Content
from textual.timer import Timer
from textual.widgets import ContentSwitcher, Static, TextArea

from installer.domain.errors import BeeyardError
from installer.domain.policy.documents import SourceDocument
from installer.domain.policy.editing.completion import Completion
from installer.domain.policy.editing.place import place_at
from installer.domain.policy.findings import Finding
from installer.domain.policy.inventory import Key
from installer.domain.policy.world import key_of
from installer.domain.text import one_line
from installer.services.policies.desk import Checked, Draft
from installer.tui.dialogs.confirm import Confirm
from installer.tui.policies.editor import PolicyEditor
from installer.tui.policies.popup import KEYS, CompletionPopup
from installer.tui.screen import AreaScreen

if TYPE_CHECKING:
    from installer.tui.policies.screen import PoliciesScreen

WAIT = 0.03
"""Seconds without a key after which the text is checked."""


class DraftWork(AreaScreen):
    """What ``PoliciesScreen`` does with text.

    Attributes:
        draft: what is being edited, None while nothing is.
        checked: the last look at its text.
        good: the last look at which it could be read.
    """

    draft: Draft | None
    checked: Checked | None
    good: Checked | None

    def begin_drafts(self) -> None:
        """Begin with nothing."""
        self.draft = self.checked = self.good = None
        self._typing: Timer | None = None
        self._editors = 0
        self._told_missing: tuple[str, ...] = ()
        self._missing: dict[tuple[str, str], tuple[str, ...]] = {}

    @property
    def _screen(self) -> PoliciesScreen:
        return cast("PoliciesScreen", self)

    @property
    def editor(self) -> PolicyEditor | None:
        """The editor of the draft, None while nothing is edited."""
        if self.draft is None:
            return None
        found = self._screen.query(PolicyEditor)
        return next((one for one in found if one.draft_id == self.draft.id), None)

    # Opening and closing

    async def open_policy(self, key: Key) -> None:
        """Edit a policy of the cluster."""
        try:
            draft = self._screen.desk.open(key)
        except KeyError:
            self._screen.cockpit.tell("That policy is not there any more", severity="warning")
            return
        await self.show_draft(draft)

    async def show_draft(self, draft: Draft, *, view: str = "text") -> None:
        """Show a draft in its editor."""
        screen = self._screen
        self.draft, self.checked, self.good = draft, None, None
        editors = screen.query_one("#editors", ContentSwitcher)
        editor = self.editor
        if editor is None:
            editor = PolicyEditor(draft.id, draft.text, ascii_only=screen.cockpit.settings.ascii)
            self._editors += 1
            editor.id = f"editor-{self._editors}"
            await editors.add_content(editor)
        editors.current = editor.id
        screen.show_view(view)
        self.show_title()
        self.check_again()
        screen.show_tree()
        screen.see_flows()

    @work(group="dialog", exclusive=True, exit_on_error=False)
    async def action_close_draft(self) -> None:
        """Close the text; ask where edits would be lost."""
        screen, draft = self._screen, self.draft
        if draft is None:
            return
        question = Confirm(
            f"Close {draft.title}?", "Its edits are not in the cluster and would be lost.", yes="Lose them", no="Stay"
        )
        if draft.is_changed and not await screen.app.push_screen_wait(question):
            return
        await self.drop_draft(draft)

    async def drop_draft(self, draft: Draft) -> None:
        """Forget a draft and its editor."""
        screen, editor = self._screen, self.editor
        screen.desk.close(draft.id)
        screen.query_one("#editors", ContentSwitcher).current = "nothing"
        self.draft = self.checked = self.good = None
        if editor is not None:
            await editor.remove()
        screen.show_view("policies")
        self.show_title()
        screen.show_page()
        screen.show_tree()

    def show_title(self) -> None:
        """Say what is edited, and what stands against applying it."""
        screen, draft = self._screen, self.draft
        parts: list[str | tuple[str, str]] = [("Nothing is open", "dim")]
        if draft is not None:
            missing = self.missing_verbs()
            state = ("  edited", "$warning") if draft.is_changed else "  as in the cluster"
            if missing:
                state = (f"  read only: you may not {' or '.join(missing)}", "$error")
            elif screen.desk.changed_below(draft):
                state = ("  changed in the cluster meanwhile", "$warning")
            parts = [(one_line(draft.title), "bold"), state]
        screen.query_one("#draft-title", Static).update(Content.assemble(*parts), layout=False)

    # Permissions

    def missing_verbs(self) -> tuple[str, ...]:
        """Return what this user may not do that applying the draft needs."""
        checked, draft = self.checked, self.draft
        if checked is None or draft is None:
            return ()
        found: dict[str, None] = {}
        for raw in checked.policies:
            kind, namespace, _ = key_of(raw)
            verb = "update" if key_of(raw) in draft.base else "create"
            if verb in self._missing.get((kind, namespace), ()):
                found[f"{verb} {kind} in {namespace}" if namespace else f"{verb} {kind}"] = None
        return tuple(found)

    @work(group="may", exclusive=True, exit_on_error=False)
    async def ask_permissions(self) -> None:
        """Ask the cluster what this user may do with the kinds of the draft."""
        screen, checked = self._screen, self.checked
        if screen.rollout is None or checked is None:
            return
        for kind, namespace in {key_of(raw)[:2] for raw in checked.policies} - self._missing.keys():
            try:
                self._missing[kind, namespace] = await screen.rollout.missing_verbs(kind, namespace)
            except BeeyardError:
                return  # the cluster is away: asked again with the next change
        self.show_title()
        missing = self.missing_verbs()
        if missing != self._told_missing:
            self._told_missing = missing
            screen.refresh_bindings()

    # Checking

    @on(TextArea.Changed)
    def _text_changed(self, event: TextArea.Changed) -> None:
        event.stop()
        screen, editor = self._screen, event.text_area
        if not isinstance(editor, PolicyEditor) or editor.draft_id not in screen.desk.drafts:
            return
        screen.desk.drafts[editor.draft_id].text = editor.text
        if self._typing is not None:
            self._typing.stop()
        self._typing = screen.set_timer(WAIT, self.check_again)
        if screen.query_one(CompletionPopup).is_open:
            self.propose(asked=False)

    def check_again(self) -> None:
        """Check the text of the draft."""
        if self.draft is not None:
            self._check(self.draft, self.draft.text)

    @work(thread=True, group="check", exclusive=True, exit_on_error=False)
    def _check(self, draft: Draft, text: str) -> None:
        screen = self._screen
        quick = screen.desk.check(text)
        screen.call_later(self.take_check, draft, quick)
        if draft.text == text:
            screen.call_later(self.take_check, draft, screen.desk.deepen(quick))

    def take_check(self, draft: Draft, checked: Checked) -> None:
        """Show what was found; findings of an older text are dropped."""
        screen, editor = self._screen, self.editor
        if draft is not self.draft or checked.text != draft.text or editor is None:
            return
        self.checked = checked
        if not any(one.code.startswith("P-YAML") for one in checked.findings):
            self.good = checked
        if checked.deep or checked.errors:
            editor.show_findings(checked.findings)
            screen.show_tabs()
        self.show_cursor_finding()
        if checked.deep:
            self.show_title()
            self.ask_permissions()
            screen.show_page()
            screen.show_tree()

    @on(TextArea.SelectionChanged)
    def _cursor_moved(self, event: TextArea.SelectionChanged) -> None:
        event.stop()
        self.show_cursor_finding()

    def show_cursor_finding(self) -> None:
        """Say below the text what is wrong with the line of the cursor, else what the key under it means."""
        screen, editor = self._screen, self.editor
        line = screen.query_one("#at-cursor", Static)
        found = editor.findings_at(editor.cursor_location[0]) if editor is not None else []
        line.set_class(bool(found) and found[0].level == "error", "-error")
        line.set_class(bool(found) and found[0].level == "warning", "-warning")
        text = ""
        if found:
            first = found[0]
            fix = f"  F7: {first.quick.title}" if first.quick else f"  {first.fix}"
            more = f"  (+{len(found) - 1})" if len(found) > 1 else ""
            text = f"{first.level}: {first.text}{more}{fix}"
        elif editor is not None:
            row, column = editor.cursor_location
            text = f"line {row + 1}, column {column + 1}"
        line.update(Content(one_line(text)), layout=False)

    # Going through problems

    def action_next_problem(self) -> None:
        """Go to the next problem."""
        self._go_to_problem(1)

    def action_previous_problem(self) -> None:
        """Go to the problem before."""
        self._go_to_problem(-1)

    def _go_to_problem(self, step: int) -> None:
        screen, editor = self._screen, self.editor
        if editor is None or self.checked is None:
            return
        places = sorted({(one.mark.line, one.mark.column) for one in self.checked.findings if one.mark})
        if not places:
            screen.cockpit.tell("No problems")
            return
        row, column = editor.cursor_location
        here = (row + 1, column + 1)
        onward = [one for one in places if one > here] or places[:1]
        back = [one for one in places if one < here] or places[-1:]
        screen.show_view("text")
        editor.go_to_line(*(onward[0] if step > 0 else back[-1]))

    def go_to_line(self, line: int) -> None:
        """Show a line of the text."""
        if self.editor is not None and line:
            self._screen.show_view("text")
            self.editor.go_to_line(line)

    # Mending

    def action_fix(self) -> None:
        """Mend the problem of the cursor's line."""
        editor = self.editor
        if editor is None:
            return
        row = editor.cursor_location[0]
        self.mend(next((one for one in editor.findings_at(row) if one.quick), None))

    def mend(self, finding: Finding | None) -> None:
        """Make the certain change of a finding, as one step that can be undone."""
        screen, editor, checked = self._screen, self.editor, self.checked
        if finding is None or finding.quick is None or editor is None or checked is None or finding.mark is None:
            screen.cockpit.tell("Nothing on this line can be mended for certain")
            return
        document = _document_at(checked, finding.mark.line)
        if document is None or checked.text != editor.text:
            return
        from installer.domain.policy.quickfix import apply_fix

        try:
            text = apply_fix(editor.text, finding.quick, document.line)
        except BeeyardError as error:
            screen.cockpit.tell(error.what, f"{error.why}\n{error.fix}", "warning")
            return
        self.replace_text(text)

    def replace_text(self, text: str) -> None:
        """Put another text in place of the draft's, keeping the cursor's place and undo."""
        editor = self.editor
        if editor is not None and text != editor.text:
            place = editor.cursor_location
            editor.history.checkpoint()
            editor.replace(text, (0, 0), editor.document.end, maintain_selection_offset=False)
            editor.history.checkpoint()
            editor.move_cursor(editor.clamp_visitable(place))

    # Completing

    def action_complete(self) -> None:
        """Show what may stand at the cursor."""
        self.propose(asked=True)

    def propose(self, *, asked: bool) -> None:
        """Open or narrow the list of proposals; ``asked``: say so when there is none."""
        screen, editor = self._screen, self.editor
        popup = screen.query_one(CompletionPopup)
        if editor is None:
            return
        place = place_at(*editor.before_cursor())
        observed = screen.observed
        found = Completion(screen.desk.world, observed.names() if asked else ()).at(place)
        if not found:
            self.close_popup()
            if asked:
                screen.cockpit.tell("Nothing is known to stand here")
            return
        popup.open(found, editor.cursor_screen_offset)
        editor.popup_keys = KEYS

    def close_popup(self) -> None:
        """Close the list."""
        screen = self._screen
        screen.query_one(CompletionPopup).close()
        for editor in screen.query(PolicyEditor):
            editor.popup_keys = frozenset()

    @on(PolicyEditor.Key)
    def _popup_key(self, message: PolicyEditor.Key) -> None:
        message.stop()
        popup = self._screen.query_one(CompletionPopup)
        if not popup.is_open:
            self._screen.action_escape()
            return
        if not popup.press(message.key):
            self.close_popup()

    @on(CompletionPopup.Chosen)
    def _proposal_chosen(self, message: CompletionPopup.Chosen) -> None:
        message.stop()
        self.close_popup()
        editor = self.editor
        if editor is not None:
            place = place_at(*editor.before_cursor())
            editor.complete(message.proposal.insert, len(place.prefix))
            if message.proposal.insert.endswith((": ", "- ")):
                self.propose(asked=False)

    # The user's own editor

    @work(group="terminal", exclusive=True, exit_on_error=False)
    async def action_external(self) -> None:
        """Edit the text in the user's own editor."""
        screen, draft = self._screen, self.draft
        if draft is None:
            return
        with tempfile.TemporaryDirectory(prefix="beeyard-") as folder:
            path = Path(folder) / "policy.yaml"
            await asyncio.to_thread(path.write_text, draft.text)
            await screen.cockpit.edit_file(str(path))
            text = await asyncio.to_thread(path.read_text, errors="replace")
        self.replace_text(text)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Grey what is not allowed, hide what has no object."""
        if action in ("apply", "fix", "complete", "external", "close_draft", "next_problem", "previous_problem"):
            if self.draft is None:
                return None if action == "apply" else False
            return None if action == "apply" and self.missing_verbs() else True
        return super().check_action(action, parameters)


def _document_at(checked: Checked, line: int) -> SourceDocument | None:
    before = [one for one in checked.documents if one.line <= line]
    return before[-1] if before else None
