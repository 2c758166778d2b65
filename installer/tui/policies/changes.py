"""Changing the cluster: apply, delete, keep, take back; and beginning new policies."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from textual import work

from installer.domain.errors import BeeyardError, RefusedError
from installer.domain.flows.flow import Answer, Flow
from installer.domain.policy.form import PolicyForm, policy_of, workloads
from installer.domain.policy.merge import clean, diff, to_yaml
from installer.domain.policy.remedy import Remedy
from installer.domain.policy.suggest_text import draft_yaml
from installer.domain.text import one_line, printable
from installer.ports.policy_history import Change
from installer.services.policies.desk import Checked, Draft
from installer.services.policies.rollout import Done, Plan, Rollout
from installer.services.policies.watch import DropWatch
from installer.tui.dialogs.confirm import Confirm
from installer.tui.policies.dialogs import ApplyDialog, ChoiceDialog, FormDialog, Offer
from installer.tui.policies.tree import DraftTarget, PolicyTarget
from installer.tui.screen import AreaScreen

if TYPE_CHECKING:
    from installer.tui.policies.screen import PoliciesScreen

_READ_ONLY = "Changing policies is not built into this cockpit."
_FLOWS = 20_000
WATCHED = 30.0
"""Seconds after a change in which new drops are told."""


class ChangeWork(AreaScreen):
    """What ``PoliciesScreen`` does to the cluster."""

    def begin_changes(self) -> None:
        """Begin with nothing that waits."""
        self._pending = ""
        self._deadline = 0.0
        self._watch: DropWatch | None = None
        self._watched: tuple[float, int, int] = (0.0, 0, 0)  # until when, flows looked at, drops told

    @property
    def _screen(self) -> PoliciesScreen:
        return cast("PoliciesScreen", self)

    # Apply

    @work(group="change", exclusive=True, exit_on_error=False)
    async def action_apply(self) -> None:
        """Show the change, then write it."""
        screen, draft, rollout = self._screen, self._screen.draft, self._rollout()
        if draft is None or rollout is None:
            return
        checked = await asyncio.to_thread(screen.desk.check, draft.text)
        if checked.errors or not checked.policies:
            screen.take_check(draft, checked)
            screen.show_view("problems")
            screen.cockpit.tell(
                "Not applied",
                "The text has errors; F8 goes to them." if checked.errors else "It holds no policy.",
                "warning",
            )
            return
        plan = await rollout.prepare(screen.desk.world, checked.policies, draft.base)
        if plan.conflicts:
            self._show_conflicts(plan)
        elif not plan.changes:
            screen.cockpit.tell("Nothing to apply", "The cluster has it so already.")
            screen.desk.applied(draft, draft.text, [edit.live for edit in plan.edits])
            screen.show_title()
        else:
            notes = await asyncio.to_thread(self._notes, checked, plan)
            await self._agree(rollout, plan, notes, draft, draft.text)

    def _rollout(self) -> Rollout | None:
        screen = self._screen
        if screen.rollout is None:
            screen.cockpit.tell(
                "No cluster to change yet" if screen.cockpit.services.policies else _READ_ONLY, severity="warning"
            )
        return screen.rollout

    def _show_conflicts(self, plan: Plan) -> None:
        places = [
            ".".join(map(str, one.path)) or "the whole object" for edit in plan.conflicts for one in edit.conflicts
        ]
        names = ", ".join(edit.name for edit in plan.conflicts)
        self._screen.cockpit.show_error(
            RefusedError(
                f"somebody else changed {names} meanwhile",
                why=f"Both edits touch {', '.join(places)}; nothing was written.",
                fix="Close the text (Ctrl+W), open the policy again and make the edit on what is there now.",
                code="E-POL-021",
            )
        )

    def _notes(self, checked: Checked, plan: Plan) -> list[str]:
        """Say what the flows that were seen have to say."""
        screen = self._screen
        answers, _ = screen.observed.since(0, _FLOWS)
        removed = [edit.live for edit in plan.changes if edit.wanted is None and edit.live is not None]
        impact = screen.desk.impact(checked.policies, answers, removed)
        if not impact.judged:
            return ["No flows were seen: what it would cut of today's traffic is not known."]
        kinds = ("cut", "changed", "opened", "unknown")
        cut, changed, opened, unknown = (sum(edge.count for edge in impact.of(kind)) for kind in kinds)
        edges = [f"cut: {edge.source} > {edge.dest} {edge.port} ({edge.count} flows)" for edge in impact.of("cut")[:5]]
        return [f"Of {impact.judged} flows seen: {cut + changed} cut, {opened} opened, {unknown} unknown.", *edges]

    async def _agree(self, rollout: Rollout, plan: Plan, notes: Sequence[str], draft: Draft | None, text: str) -> None:
        screen = self._screen
        word = plan.changes[0].key[2] if plan.dangers else ""
        agreement = await screen.app.push_screen_wait(ApplyDialog(plan, word, notes))
        if agreement is None:
            return
        now = screen.cockpit.services.now()
        watch = await asyncio.to_thread(self._watch_for, plan, now)
        done = await rollout.carry_out(plan, reason=agreement.reason, within=agreement.within, now=now)
        self._watch, self._watched = watch, (now + WATCHED, 0, 0)
        self._pending, self._deadline = done.pending, done.deadline
        self._after(done, draft, text)
        await self._tell(rollout, done)

    def _after(self, done: Done, draft: Draft | None, text: str) -> None:
        screen = self._screen
        if draft is not None:
            screen.desk.applied(draft, text, [one.after for one in done.applied])
        screen.show_title()
        screen.show_banner()
        screen.show_page()
        screen.show_tree()

    def _watch_for(self, plan: Plan, now: float) -> DropWatch:
        edits = plan.changes
        before = [edit.live for edit in edits if edit.live is not None]
        return self._screen.desk.watch(before, [edit.wanted for edit in edits if edit.wanted is not None], now)

    def tick_watch(self) -> None:
        """Tell of connections that are dropped since the change and were not before."""
        screen, watch = self._screen, self._watch
        if watch is None:
            return
        until, seq, told = self._watched
        answers, after = screen.observed.since(seq, _FLOWS)
        watch.add(answers)
        drops = watch.result().drops
        if len(drops) > told:
            names = ", ".join(f"{one.source} > {one.dest} {one.port}" for one in drops[:3])
            why = f"{names}. Ctrl+T takes a change back that waits; the history takes back any."
            screen.cockpit.tell(f"{len(drops)} connections are dropped since the change", why, "error")
        self._watched = until, after, len(drops)
        if screen.cockpit.services.now() >= until:
            self._watch = None
            if not drops and screen.observed.model is not None:
                screen.cockpit.tell(f"No new drops in {WATCHED:.0f} s after the change")

    async def _tell(self, rollout: Rollout, done: Done) -> None:
        tell = self._screen.cockpit.tell
        for one in done.applied:
            past = {"create": "Created", "update": "Changed", "delete": "Deleted"}.get(one.edit.action, "Done")
            tell(f"{past} {one.edit.name}", f"In the history as {one.change}." if one.change else "")
        for one in done.applied:
            valid, message = await rollout.word(one)
            if valid is False:
                tell(f"Agents ignore {one.edit.name}", message, "error")
            elif valid is None:
                tell(f"Agents have not said yet whether they use {one.edit.name}", severity="warning")

    # Delete

    @work(group="change", exclusive=True, exit_on_error=False)
    async def action_delete(self) -> None:
        """Show what deleting the marked policy would do, then delete it."""
        screen = self._screen
        target = screen.tree_view.target
        if isinstance(target, DraftTarget):
            draft = screen.desk.drafts[target.id]
            if await screen.app.push_screen_wait(
                Confirm(f"Drop {draft.title}?", "It is not in the cluster.", yes="Drop it", no="Keep")
            ):
                screen.draft = draft
                await screen.drop_draft(draft)
            return
        rollout = self._rollout()
        if rollout is None or not isinstance(target, PolicyTarget):
            return
        kind, namespace, _ = target.key
        if "delete" in await rollout.missing_verbs(kind, namespace):
            screen.cockpit.tell("Not allowed", f"You may not delete {kind} in {namespace or 'the cluster'}.", "warning")
            return
        plan = await rollout.prepare_delete(screen.desk.world, target.key)
        notes = await asyncio.to_thread(self._notes, Checked(""), plan)
        await self._agree(rollout, plan, notes, None, "")

    # Changes that wait

    def look_for_pending(self) -> None:
        """Show a change that waits for its confirmation since before."""
        tools = self._screen.tools
        if tools is not None:
            tools.revive()
        waiting = tools.pending().all() if tools is not None else []
        if waiting and not self._pending:
            self._pending, self._deadline = waiting[0].id, waiting[0].deadline

    def pending_text(self) -> str:
        """Return the count-down, empty where nothing waits."""
        if not self._pending:
            return ""
        left = max(0, round(self._deadline - self._screen.cockpit.services.now()))
        if not left:
            return "The change is being taken back."
        return f"The change goes back by itself in {left} s. Ctrl+G keeps it, Ctrl+T takes it back now."

    def tick_pending(self) -> None:
        """Count down; when the time is over, tell how it ended."""
        screen = self._screen
        if not self._pending or screen.rollout is None:
            return
        screen.show_banner()
        outcome = screen.rollout.outcome(self._pending) if self._deadline <= screen.cockpit.services.now() else ""
        if outcome:
            self._end_pending(outcome)

    def _end_pending(self, outcome: str) -> None:
        screen, self._pending = self._screen, ""
        told = {"reverted": "The change was taken back", "confirmed": "The change stays"}
        screen.cockpit.tell(
            told.get(outcome, "The change could not be taken back"),
            "" if outcome in told else outcome,
            "information" if outcome in told else "error",
        )
        screen.show_banner()
        screen.show_page()

    def action_keep(self) -> None:
        """Keep the change."""
        rollout, waiting = self._screen.rollout, self._pending
        if rollout is None or not waiting:
            self._screen.cockpit.tell("No change waits for your word")
        elif rollout.keep(waiting):
            self._end_pending("confirmed")
        else:
            self._end_pending(rollout.outcome(waiting) or "it does not wait any more")

    @work(group="change", exclusive=True, exit_on_error=False)
    async def action_take_back(self) -> None:
        """Take the change back now."""
        rollout, waiting = self._screen.rollout, self._pending
        if rollout is None or not waiting:
            self._screen.cockpit.tell("No change waits for your word")
        else:
            self._end_pending(await rollout.take_back(waiting))

    @work(group="change", exclusive=True, exit_on_error=False)
    async def roll_back(self, change_id: str) -> None:
        """Show a change of the history and take it back."""
        screen, rollout = self._screen, self._rollout()
        change = next((one for one in rollout.history() if one.id == change_id), None) if rollout is not None else None
        if change is None or rollout is None:
            return
        question = Confirm(f"Take back {change.id}?", _what(change), yes="Take it back", no="Leave it")
        if await screen.app.push_screen_wait(question):
            applied = await rollout.rollback(change)
            screen.cockpit.tell(f"Taken back: {applied.edit.action} {applied.edit.name}")
            screen.show_page()

    # New policies

    @work(group="dialog", exclusive=True, exit_on_error=False)
    async def action_new(self) -> None:
        """Begin a new policy."""
        screen = self._screen
        tools = screen.tools
        recipes = list((await asyncio.to_thread(tools.templates)).values()) if tools is not None else []
        offers = [
            Offer("form", "for people who do not write YAML"),
            Offer("bare policy", "selects all pods of a namespace, allows nothing yet"),
            *(Offer(one.name, one.summary) for one in recipes),
        ]
        chosen = await screen.app.push_screen_wait(ChoiceDialog("New policy", offers))
        if chosen == 0:
            self.ask_form("")
        elif chosen == 1:
            await screen.show_draft(screen.desk.new(namespace=self._namespace()))
        elif chosen is not None:
            recipe = recipes[chosen - 2]
            await screen.show_draft(screen.desk.new(recipe.write({}), title=recipe.name))

    def _namespace(self) -> str:
        target = self._screen.tree_view.target
        return target.key[1] or "default" if isinstance(target, PolicyTarget) else "default"

    @work(group="dialog", exclusive=True, exit_on_error=False)
    async def ask_form(self, subject: str) -> None:
        """Fill in the form until it can be written, then show the YAML."""
        screen = self._screen
        form, error = PolicyForm(subject or f"{self._namespace()}/"), ""
        while True:
            answer = await screen.app.push_screen_wait(FormDialog(workloads(screen.desk.world), "", error, form))
            if answer is None:
                return
            try:
                made = policy_of(answer, screen.desk.world)
            except BeeyardError as wrong:
                form, error = replace(answer), f"{wrong.what}. {wrong.fix}"
            else:
                await screen.show_draft(screen.desk.new(to_yaml(made), title=made["metadata"]["name"]))
                return

    @work(group="dialog", exclusive=True, exit_on_error=False)
    async def action_suggest(self) -> None:
        """Draft policies from the flows seen."""
        answers, _ = self._screen.observed.since(0, _FLOWS)
        await self._suggest(answers)

    async def _suggest(self, answers: Sequence[Answer]) -> None:
        screen = self._screen
        found = await asyncio.to_thread(screen.desk.suggest, answers)
        if not found.drafts:
            why = "; ".join(found.notes) or "No connection between workloads was seen."
            screen.cockpit.tell("Nothing to draft", printable(why), "warning")
            return
        notes = [
            f"# Drawn from {found.flows} flows, {found.first} to {found.last}; what runs at other times was not seen.",
            f"# {found.allowed} connections seen are allowed, and {found.opened_unseen} pairs that were not seen.",
            *(f"# {one_line(note)}" for note in found.notes),
        ]
        text = "\n".join(notes) + "\n" + "---\n".join(draft_yaml(draft) for draft in found.drafts)
        await screen.show_draft(screen.desk.new(text, title="from flows"))

    # From flows

    @work(group="dialog", exclusive=True, exit_on_error=False)
    async def draft_from_flows(self, flows: Sequence[Flow]) -> None:
        """Offer the smallest changes that let dropped flows through; draft policies from others."""
        screen = self._screen
        await screen.loaded.wait()
        dropped = next((flow for flow in flows if flow.verdict == "DROPPED"), None)
        if dropped is None:
            await self._suggest([Answer(flow=flow) for flow in flows])
            return
        remedies = await asyncio.to_thread(screen.desk.remedies, dropped)
        if not remedies:
            screen.cockpit.tell(
                "No change of policies helps",
                "These policies do not deny this flow, or it asks nothing of them.",
                "warning",
            )
            return
        offers = [Offer(one.title, _opens(one)) for one in remedies]
        chosen = await screen.app.push_screen_wait(
            ChoiceDialog("Let it through", offers, "The one that opens least comes first.")
        )
        if chosen is not None:
            one = remedies[chosen]
            base = [one.before] if one.before is not None else []
            await screen.show_draft(screen.desk.new(to_yaml(clean(one.after)), title=one.name, base=base), view="diff")


def _opens(one: Remedy) -> str:
    return f"opens {one.opens} more connections" if one.opens else "opens nothing else"


def _what(change: Change) -> str:
    name = f"{change.namespace}/{change.name}" if change.namespace else change.name
    shown = diff(change.after, change.before, name)
    return printable(f"{change.action} {change.kind} {name} by {change.author}. Taking it back does this:\n\n{shown}")
