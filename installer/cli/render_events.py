"""Three renderers of the event stream: lines, progress bars on a terminal, NDJSON."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Protocol

from installer.cli import output
from installer.domain.errors import BeeyardError
from installer.domain.events import (
    Event,
    LogLine,
    ReadinessChanged,
    RunFinished,
    RunStarted,
    StepDone,
    StepFailed,
    StepProgress,
    StepStarted,
)
from installer.domain.plan import Plan
from installer.domain.plan_text import plan_text
from installer.domain.readiness import Snapshot, State
from installer.domain.spec import ClusterSpec
from installer.domain.text import human_bytes, human_seconds, printable
from installer.pipeline.runner import Result

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.progress import Progress, TaskID


class Renderer(Protocol):
    """Shows a run."""

    def event(self, event: Event) -> None:
        """Show an event."""
        ...

    def plan(self, plan: Plan) -> None:
        """Show the plan of a dry run."""
        ...

    def end(self, spec: ClusterSpec, result: Result) -> None:
        """Say what there is now and what to do next."""
        ...

    def error(self, error: BeeyardError) -> None:
        """Show the error that ended the run."""
        ...

    def interrupted(self) -> None:
        """Say that the run was stopped."""
        ...

    def close(self) -> None:
        """Leave the terminal in order."""
        ...


def renderer(output_format: str) -> Renderer:
    """Return the renderer for a format; text is drawn with bars where stderr is a terminal."""
    if output_format == "json":
        return JsonRenderer()
    return BarRenderer() if output.colour(sys.stderr) else LineRenderer()


class LineRenderer:
    """Plain lines on stderr."""

    def __init__(self) -> None:
        self._current = ""
        self._percent: dict[str, int] = {}
        self._states: dict[str, str] = {}
        self._started = False

    def event(self, event: Event) -> None:
        """Show an event as a line."""
        match event:
            case RunStarted(run_id=run_id, resumed=resumed):
                self._started = True
                self._line(f"run {run_id}" + (f", going on where {resumed} stopped" if resumed else ""))
            case StepStarted(step=step, title=title):
                self._current = step
                self._line(f"[{step}] {title}")
            case StepProgress():
                self._progress(event)
            case StepDone(step=step, note=note, seconds=seconds):
                self._line(f"[{step}] done in {human_seconds(seconds)}: {note}")
            case StepFailed(step=step, seconds=seconds):
                self._line(f"[{step}] failed after {human_seconds(seconds)}")
            case LogLine(level=level, text=text, step=step) if level != "debug":
                prefix = f"[{step}] " if step else ""
                self._line(f"{prefix}{'warning: ' if level == 'warning' else ''}{text}")
            case ReadinessChanged(snapshot=snapshot):
                self._readiness(snapshot)
            case RunFinished(ok=True, seconds=seconds, timings=timings) if self._started:
                slowest = sorted(timings.items(), key=lambda item: -item[1])[:4]
                self._line(
                    f"done in {human_seconds(seconds)} ("
                    + ", ".join(f"{step} {human_seconds(time)}" for step, time in slowest)
                    + ")"
                )
            case _:
                pass

    def plan(self, plan: Plan) -> None:
        """Print the plan to stdout."""
        output.data(plan_text(plan))

    def end(self, spec: ClusterSpec, result: Result) -> None:
        """Say what there is now."""
        if not result.changed:
            self._line("Nothing to change: the cluster is as specified, and ready.")
            return
        self._line("The cluster is ready.")
        wanted = spec.k3s.kubeconfig
        context = f" --context {wanted.context}" if wanted.merge else " --kubeconfig /etc/rancher/k3s/k3s.yaml"
        self._line(f"  kubectl{context} get pods -A")
        self._line("  beeyard status")

    def error(self, error: BeeyardError) -> None:
        """Show the error."""
        output.error(error, log=str(error.details.get("log", "")))
        if self._started:
            self._line("Run the same command again to go on from here.")

    def interrupted(self) -> None:
        """Say that the run was stopped."""
        where = f" in step {self._current}" if self._current else ""
        self._line(
            f"Interrupted{where}. "
            + ("The same command goes on from here." if self._started else "Nothing was changed.")
        )

    def close(self) -> None:
        """Nothing to put in order."""

    def _line(self, text: str) -> None:
        output.talk(printable(text))

    def _progress(self, event: StepProgress) -> None:
        percent = event.done * 100 // event.total if event.total else 0
        last = self._percent.get(event.item, -25)
        if percent >= last + 25 or (percent == 100 and last < 100):
            self._percent[event.item] = percent
            total = f" of {human_bytes(event.total)}" if event.total else ""
            self._line(f"[{event.step}] {event.item}: {human_bytes(event.done)}{total}")

    def _readiness(self, snapshot: Snapshot) -> None:
        for component in snapshot.components:
            text = f"{component.state}: {component.detail}" if component.detail else str(component.state)
            if self._states.get(component.name) != text and component.state is not State.DISABLED:
                self._states[component.name] = text
                self._line(f"[ready] {component.name} {text}")
            for problem in (item for item in component.problems if item.fatal):
                key = f"{problem.code} {problem.subject} {problem.what}"
                if key not in self._states:
                    self._states[key] = key
                    self._line(f"[ready]   {problem.subject}: {problem.what}")


class BarRenderer(LineRenderer):
    """Lines with progress bars below them, on a terminal."""

    def __init__(self) -> None:
        super().__init__()
        self._bars: Progress | None = None
        self._tasks: dict[str, TaskID] = {}
        self._spinner: TaskID | None = None

    def event(self, event: Event) -> None:
        """Show an event; a step at work is a spinner, a download a bar."""
        if isinstance(event, StepStarted):
            self._spin(event.title)
            self._current = event.step
            return
        if isinstance(event, ReadinessChanged):
            waiting = [item for item in event.snapshot.components if item.state not in (State.READY, State.DISABLED)]
            self._spin("Waiting for " + ", ".join(item.name for item in waiting) if waiting else "Ready")
            self._readiness(event.snapshot)
            return
        super().event(event)

    def error(self, error: BeeyardError) -> None:
        """Show the error below everything."""
        self.close()
        super().error(error)

    def end(self, spec: ClusterSpec, result: Result) -> None:
        """Say what there is now."""
        self.close()
        super().end(spec, result)

    def close(self) -> None:
        """Take the bars away."""
        if self._bars is not None:
            self._bars.stop()
            self._bars = None

    def _line(self, text: str) -> None:
        if self._bars is not None:
            self._bars.console.print(printable(text), markup=False, highlight=False, soft_wrap=True)
        else:
            super()._line(text)

    def _spin(self, text: str) -> None:
        bars = self._live()
        if self._spinner is None:
            self._spinner = bars.add_task(printable(text), total=None, bytes=False)
        else:
            bars.update(self._spinner, description=printable(text))

    def _progress(self, event: StepProgress) -> None:
        bars = self._live()
        if event.item not in self._tasks:
            self._tasks[event.item] = bars.add_task(printable(event.item), total=event.total or None, bytes=True)
        task = self._tasks[event.item]
        bars.update(task, completed=event.done, total=event.total or None)
        if event.total and event.done >= event.total:
            bars.update(task, visible=False)

    def _live(self) -> Progress:
        if self._bars is None:
            from rich.console import Console
            from rich.progress import (
                BarColumn,
                DownloadColumn,
                Progress,
                ProgressColumn,
                SpinnerColumn,
                Task,
                TextColumn,
            )
            from rich.progress import TimeRemainingColumn as Remaining
            from rich.text import Text

            class OfBytes(ProgressColumn):
                """A column that is empty for tasks that count no bytes."""

                def __init__(self, column: ProgressColumn) -> None:
                    super().__init__()
                    self._column = column

                def render(self, task: Task) -> RenderableType:
                    """Draw the column, or nothing."""
                    return self._column(task) if task.fields["bytes"] else Text()

            self._bars = Progress(
                SpinnerColumn(),
                TextColumn("{task.description}", markup=False),
                OfBytes(BarColumn(bar_width=24)),
                OfBytes(DownloadColumn()),
                OfBytes(Remaining(compact=True)),
                console=Console(stderr=True),
                transient=True,
            )
            self._bars.start()
        return self._bars


class JsonRenderer:
    """One JSON object a line on stdout."""

    def event(self, event: Event) -> None:
        """Write the event."""
        output.data_json(event.to_dict(), compact=True)

    def plan(self, plan: Plan) -> None:
        """The plan was written as an event."""
        del plan

    def end(self, spec: ClusterSpec, result: Result) -> None:
        """The end was written as an event."""
        del spec, result

    def error(self, error: BeeyardError) -> None:
        """Write the error as the last line."""
        output.data_json({"event": "error", "error": error.to_dict()}, compact=True)

    def interrupted(self) -> None:
        """Write that the run was stopped."""
        output.data_json({"event": "interrupted"}, compact=True)

    def close(self) -> None:
        """Nothing to put in order."""


class PlainEnd(LineRenderer):
    """Errors of commands that have no event stream."""

    def __init__(self, output_format: str) -> None:
        super().__init__()
        self._json = output_format == "json"

    def error(self, error: BeeyardError) -> None:
        """Show the error; as JSON too where JSON was asked for."""
        if self._json:
            output.data_json({"error": error.to_dict()})
        output.error(error)

    def interrupted(self) -> None:
        """Say that it was stopped."""
        output.talk("Interrupted.")
