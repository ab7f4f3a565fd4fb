"""The journey of a look at an operation: how far it is, why it failed, and its end, written once.

Nothing watches in the background: each look compares the record with the workload. What nobody
looks at any more stays as it is, and goes with its retention.

To cancel is to stop following. The agent cannot stop a rollout half-way without deciding what is to
be there instead, and that is a change of its own, which somebody asks for (a rollback). So nothing
is rolled back, and the answer says so. What has not begun yet does not begin any more.
"""

from typing import Any, Final

from tidegate_agent.app.attempt import NOT_BEGUN
from tidegate_agent.app.change import Changes
from tidegate_agent.app.scene import Scene, survey
from tidegate_agent.app.world import World
from tidegate_agent.core import moment, operation, rollout
from tidegate_agent.core.answer import Answer
from tidegate_agent.core.identity import Statement
from tidegate_agent.core.operation import Operation, Phase
from tidegate_agent.core.request import Deploy, Restart, Rollback, Scale
from tidegate_agent.core.rollout import Rollout, State
from tidegate_agent.core.trouble import MAX_EVENTS
from tidegate_agent.core.workload import Workload
from tidegate_agent.errors import (
    KubernetesError,
    MissingError,
    NotAllowedError,
    RecordLostError,
    StateError,
)

_NO_LONGER_FOLLOWED: Final = (
    "No longer followed. Nothing was rolled back: the cluster goes on with it."
)


class Progress:
    """Tells how far operations are, and ends them."""

    def __init__(self, world: World, changes: Changes) -> None:
        self._world = world
        self._changes = changes

    async def follow(self, key: str, who: Statement) -> Answer:
        """Return how far an operation is: a phase, a sentence, counts and the last warnings.

        One whose outcome cannot be known is answered 410: it has no phase to tell.

        Raises:
            MissingError: There is no such operation, or it is another run's.
            NotAllowedError: It is another person's, and this one has no role there.
            KubernetesError: The cluster does not tell for now.
        """
        found = await self._find(key, who)
        if who.subject != found.who.subject:
            self._world.acting(who, found.asked.target.namespace)
        if found.phase in (Phase.CLAIMED, Phase.PLANNED):
            await self._changes.resume(found)
            found = await self._find(key, who)
        if found.phase is not Phase.RUNNING:
            return _view(found)
        return await self._look(found, who)

    async def cancel(self, key: str, who: Statement) -> Answer:
        """Return the operation once it is no longer followed; nothing is rolled back.

        Raises:
            MissingError: There is no such operation, or it is another run's.
            NotAllowedError: It is another person's.
            StateError: It is just being made, and will be under way in a moment.
            KubernetesError: The cluster does not tell for now.
        """
        found = await self._find(key, who)
        if who.subject != found.who.subject:
            raise NotAllowedError("Another person asked for this: only they can cancel it.")
        if found.phase is Phase.PLANNED:  # first find out whether it was made
            await self._changes.resume(found, begin=False)
            found = await self._find(key, who)
        if found.phase.ended:
            return _view(found)
        begun = found.phase is Phase.RUNNING
        if not begun and (found.phase is Phase.PLANNED or not self._world.takeable(found)):
            raise StateError("It is just being begun; try again in a moment.")
        words = _NO_LONGER_FOLLOWED if begun else NOT_BEGUN
        now = self._world.clock.now()
        done = operation.ended(found, Phase.CANCELLED, words, now=now, level="warning")
        try:
            done = await self._world.records.write(done)
        except RecordLostError:
            return _view(await self._find(key, who))
        self._world.note("cancelled", done)
        return _view(done)

    async def _find(self, key: str, who: Statement) -> Operation:
        found = await self._world.records.find(key) if key == who.run else None
        if found is None:
            raise MissingError("There is no such operation.")
        return found

    async def _look(self, found: Operation, who: Statement) -> Answer:
        """Return how far an operation is whose change was made, as whoever looks may see it."""
        target = found.asked.target
        cluster = self._world.cluster(who, target.namespace)
        try:
            now = await cluster.workload(target)
        except MissingError:
            return await self._end(found, Phase.FAILED, f"{target.words} is gone.")
        state = rollout.of_scale(now) if isinstance(found.asked, Scale) else rollout.of(now)
        if operation.superseded(found, now):
            words = f"A later change of {target.words} took over before this one was finished."
            return await self._end(found, Phase.CANCELLED, words, state=state)
        if state.state in (State.DONE, State.BY_HAND):
            return await self._end(found, Phase.SUCCEEDED, _done(found, now, state), state=state)
        scene = await survey(cluster, now, since=found.begun_at - 1)
        late = self._world.clock.now() >= found.deadline_at
        if state.state is State.FAILED or late:
            words = _failed(found, state, scene, late=late)
            return await self._end(found, Phase.FAILED, words, state=state, scene=scene)
        return _view(found, state=state, scene=scene)

    async def _end(
        self,
        found: Operation,
        phase: Phase,
        words: str,
        *,
        state: Rollout | None = None,
        scene: Scene | None = None,
    ) -> Answer:
        now = self._world.clock.now()
        level = {Phase.SUCCEEDED: "info", Phase.FAILED: "error"}.get(phase, "warning")
        done = operation.ended(found, phase, words, now=now, level=level)
        try:
            await self._world.records.write(done)
        except (RecordLostError, KubernetesError) as error:
            # The next look comes to an end of its own; this one is as true.
            self._world.note("not_written", done, level="warning", error=type(error).__name__)
        else:
            self._world.note(phase.value, done, level=level)
        return _view(done, state=state, scene=scene)


def _done(found: Operation, now: Workload, state: Rollout) -> str:
    """Return what people are told of a change that is through."""
    words, after = found.asked.target.words, found.noted.after if found.noted else {}
    match found.asked:
        case Deploy():
            return f"{words} runs {after.get('image', now.images)}. {state.message}"
        case Rollback():
            return f"{words} is back at revision {after.get('revision', '?')}. {state.message}"
        case Restart():
            return f"{words} was restarted. {state.message}"
        case Scale():
            return f"{words} has {state.total} pods, all ready."


def _failed(found: Operation, state: Rollout, scene: Scene, *, late: bool) -> str:
    """Return why a change came to nothing, in a sentence or two."""
    why = f" {scene.trouble.sentence}" if scene.trouble else ""
    if late and state.state is not State.FAILED:
        seconds = round(found.deadline_at - found.begun_at)
        return f"Not finished within {seconds} s.{why or ' ' + state.message}"
    return (why or f" {state.message}").strip()


def _view(found: Operation, *, state: Rollout | None = None, scene: Scene | None = None) -> Answer:
    """Return an operation as whoever follows it is told."""
    if found.phase is Phase.UNKNOWN:
        return Answer(status=410, content={"message": found.message, "status": "unknown"})
    message = found.message
    if state is not None and not found.phase.ended:
        why = f" {scene.trouble.sentence}" if scene and scene.trouble else ""
        message = f"{state.message}{why}"
    content: dict[str, Any] = {
        "phase": found.phase.public,
        "message": message,
        "events": _events(found, scene),
        "before": dict(found.noted.before) if found.noted else {},
        "after": dict(found.noted.after) if found.noted else {},
    }
    if state is not None:
        content["progress"] = {"done": state.done, "total": state.total}
        content["replicas"] = {
            "updated": state.updated,
            "ready": state.ready,
            "total": state.total,
        }
    if scene is not None and scene.trouble is not None:
        content["reason"] = scene.trouble.reason
    return Answer(status=200, content=content)


def _events(found: Operation, scene: Scene | None) -> list[dict[str, str]]:
    """Return what happened, oldest first: the operation's own steps, and the last warnings."""
    steps = list(found.steps)
    for warned in scene.warnings[:MAX_EVENTS] if scene is not None else ():
        text = f"{warned.about}: {warned.reason}: {warned.text}"
        steps.append(operation.Step(at=warned.at, text=text, level="warning"))
    last = steps.pop() if found.phase.ended and scene is not None and steps else None
    steps.sort(key=lambda step: step.at)
    if last is not None:
        steps.append(last)
    return [{"at": moment.iso(s.at), "text": s.text, "level": s.level} for s in steps]
