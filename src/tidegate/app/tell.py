"""Keep Slack's messages true to the runs: the one serialised renderer.

A message is a view over its runs. It is leased, rendered as of now, sent, and marked; a
change in between leaves it out of date, so it comes again. Posting has no idempotency key
in Slack: an intent is written down before, and after a failure that leaves it open whether
the message arrived, it is looked up, never blindly posted again.
"""

import asyncio
from collections.abc import Mapping
from typing import Final

from tidegate.app.errand import Errands
from tidegate.app.pace import Pace
from tidegate.core import blocks, outcome
from tidegate.core.blocks import Ink, Rendering
from tidegate.core.lifecycle import is_final
from tidegate.core.model import Posting, Run, View
from tidegate.errors import (
    LeaseLostError,
    SlackAmbiguousError,
    SlackBusyError,
    SlackError,
    SlackUnreachableError,
    StoreError,
)
from tidegate.ports import Clock, Journal, Slack, Store

VIEW_SLOTS: Final = 16
IDLE_SECONDS: Final = 0.5
UPDATE_GAP_SECONDS: Final = 1.0  # between two updates of one message
MAX_LOOKUPS: Final = 3
MAX_FAILURES: Final = 3000  # about two days, at one a minute

MAX_WHISPERS: Final = 20  # tries to tell a person alone what the channel cannot be told
#: The message itself is refused, not the place or the token: it is said more simply.
_UNFIT: Final = frozenset(
    {"invalid_blocks", "invalid_blocks_format", "msg_blocks_too_long", "msg_too_long", "no_text"}
)
#: The app, not the message, is at fault: an operator can mend it, so it is tried again.
_MENDABLE: Final = frozenset(
    {
        "invalid_auth",
        "not_authed",
        "account_inactive",
        "token_revoked",
        "token_expired",
        "missing_scope",
        "not_allowed_token_type",
        "accesslimited",
        "team_access_not_granted",
        "ekm_access_denied",
        "org_login_required",
        "message_limit_exceeded",
    }
)


class Teller:
    """Tells in Slack how runs go."""

    def __init__(
        self,
        *,
        store: Store,
        slack: Slack,
        clock: Clock,
        journal: Journal,
        errands: Errands,
        pace: Pace,
        button_secret: bytes,
        hidden: Mapping[str, frozenset[str]],
        questions: Mapping[str, str],
        lease_seconds: float,
    ) -> None:
        self._store = store
        self._slack = slack
        self._clock = clock
        self._journal = journal
        self._errands = errands
        self._pace = pace
        self._button_secret = button_secret
        self._hidden = hidden
        self._questions = questions
        self._lease_seconds = lease_seconds
        self._tasks: dict[asyncio.Task[None], View] = {}
        self._broken: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """Look for messages that are out of date now."""
        self._wake.set()

    async def tell(self, stop: asyncio.Event, *, drain_seconds: float) -> None:
        """Keep messages true until *stop*; then finish what is going out."""
        stopping = asyncio.ensure_future(stop.wait())
        stopping.add_done_callback(lambda _: self._wake.set())
        renewing = asyncio.ensure_future(self._keep_leases())
        try:
            while not stop.is_set():
                await self._turn()
            await self._last_words(drain_seconds)
        finally:
            stopping.cancel()
            renewing.cancel()
            await asyncio.gather(stopping, renewing, return_exceptions=True)

    async def _keep_leases(self) -> None:
        while True:
            await asyncio.sleep(self._lease_seconds / 4)
            held = tuple(self._tasks.values())
            try:
                if held:
                    await self._store.renew_views(held, seconds=self._lease_seconds)
            except StoreError as error:
                self._journal.note("store_failed", level="error", reason=type(error).__name__)

    async def _turn(self) -> None:
        self._wake.clear()
        found = 0
        try:
            found = await self._take_up()
        except StoreError as error:
            self._journal.note("store_failed", level="error", reason=type(error).__name__)
        if not found:
            try:
                await asyncio.wait_for(self._wake.wait(), await self._pause())
            except TimeoutError:
                return

    async def _pause(self) -> float:
        try:
            due = await self._store.next_due()
        except StoreError:
            return IDLE_SECONDS
        left = IDLE_SECONDS if due is None else due - self._clock.now()
        return min(IDLE_SECONDS, left) if left > 0.005 else IDLE_SECONDS / 10

    async def _take_up(self) -> int:
        room = VIEW_SLOTS - len(self._tasks)
        if room <= 0:
            return 0
        views = await self._store.lease_views(limit=room, seconds=self._lease_seconds)
        for view in views:
            task = asyncio.ensure_future(self._show(view))
            self._tasks[task] = view
            task.add_done_callback(self._done)
        return len(views)

    def _done(self, task: asyncio.Task[None]) -> None:
        view = self._tasks.pop(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            kind = type(error).__name__
            self._note("teller_failed", view, level="error", reason=kind)
            if not isinstance(error, StoreError):
                # Counted, so that a message that cannot be rendered is given up one day.
                broken = asyncio.ensure_future(self._failed(view, SlackError(kind)))
                self._broken.add(broken)
                broken.add_done_callback(self._mended)
        self._wake.set()

    def _mended(self, task: asyncio.Task[None]) -> None:
        self._broken.discard(task)
        if not task.cancelled():
            task.exception()  # the lease runs out, and the view comes again

    async def _last_words(self, seconds: float) -> None:
        """Let out what is ready: the final states of runs that ended while stopping."""
        deadline = self._clock.monotonic() + seconds
        while self._clock.monotonic() < deadline:
            try:
                found = await self._take_up()
            except StoreError:
                break
            if not found and not self._tasks:
                break
            if self._tasks:
                left = max(0.0, deadline - self._clock.monotonic())
                await asyncio.wait(set(self._tasks), timeout=left, return_when="FIRST_COMPLETED")
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(set(self._tasks), timeout=2.0)

    # --- one message -----------------------------------------------------------------------

    async def _show(self, view: View) -> None:
        try:
            match view.posting:
                case _ if view.own:
                    await self._update(view)
                case Posting.POSTED:
                    await self._update(view)
                case Posting.NONE:
                    await self._post(view)
                case Posting.INTENT | Posting.AMBIGUOUS:
                    await self._look_up(view)
                case Posting.GIVEN_UP:
                    await self._store.view_told(view)
        except LeaseLostError:
            self._note("view_lease_lost", view)

    async def _update(self, view: View) -> None:
        urgent = _ended(view)
        wait = self._pace.update_wait(self._clock.monotonic(), urgent=urgent)
        if wait > 0:
            await self._later(view, wait)
            return
        began = self._clock.monotonic()
        rendering = self._render(view)
        try:
            await self._send_update(view, rendering)
        except SlackBusyError as error:
            self._pace.hold("update", self._clock.monotonic() + error.retry_after)
            await self._later(view, error.retry_after)
        except (SlackUnreachableError, SlackAmbiguousError) as error:
            # Updating twice does no harm, so what is not known is simply done again.
            await self._failed(view, error)
        except SlackError as error:
            await self._not_updated(view, error)
        else:
            self._told(view, "chat.update", began)
            due = self._clock.now() + UPDATE_GAP_SECONDS
            await self._store.view_told(view, due_at=None if urgent else due)

    async def _send_update(self, view: View, rendering: Rendering) -> None:
        ts = view.ts or ""
        try:
            await self._slack.update(
                channel_id=view.channel_id, ts=ts, text=rendering.text, blocks=rendering.blocks
            )
        except SlackError as error:
            if error.code not in _UNFIT:
                raise
            self._note("blocks_refused", view, level="error", reason=error.code)
            simple = blocks.simple(view, rendering)
            await self._slack.update(
                channel_id=view.channel_id, ts=ts, text=rendering.text, blocks=simple
            )

    async def _not_updated(self, view: View, error: SlackError) -> None:
        if error.code in _MENDABLE:
            await self._failed(view, error)
            return
        self._note("update_refused", view, reason=error.code)
        if view.own:
            await self._store.view_moved(view)
        else:
            await self._whisper(view)

    async def _post(self, view: View, *, again: bool = False) -> None:
        if not any(map(blocks.is_news, view.runs)):
            await self._store.view_told(view, posting=Posting.GIVEN_UP)  # the person knows
            return
        wait = self._pace.post_wait(self._clock.monotonic(), view.channel_id)
        if wait > 0:
            await self._later(view, wait)
            return
        began = self._clock.monotonic()
        rendering = self._render(view)
        final = _ended(view)
        await self._store.view_intent(view, final=final)
        try:
            channel_id, ts = await self._send_post(view, rendering)
        except SlackBusyError as error:
            self._pace.hold("post", self._clock.monotonic() + error.retry_after)
            await self._later(view, error.retry_after, posting=_before(again=again))
        except SlackUnreachableError as error:
            await self._failed(view, error, posting=_before(again=again))
        except SlackAmbiguousError as error:
            self._note("post_ambiguous", view, reason=error.code)
            await self._later(view, 1.0, posting=Posting.AMBIGUOUS)
        except SlackError as error:
            await self._not_posted(view, error, again=again)
        else:
            self._told(view, "chat.postMessage", began)
            due = self._clock.now() + UPDATE_GAP_SECONDS
            await self._store.view_told(
                view,
                posting=Posting.POSTED,
                ts=ts,
                channel_id=channel_id,
                due_at=None if final else due,
            )

    async def _send_post(self, view: View, rendering: Rendering) -> tuple[str, str]:
        run = view.runs[0]  # the first stays the first: by it the message is found again
        try:
            return await self._slack.post(
                channel_id=view.channel_id,
                text=rendering.text,
                blocks=rendering.blocks,
                thread_ts=view.thread_ts,
                run_id=run.id,
            )
        except SlackError as error:
            if error.code not in _UNFIT:
                raise
            self._note("blocks_refused", view, level="error", reason=error.code)
            return await self._slack.post(
                channel_id=view.channel_id,
                text=rendering.text,
                blocks=(),
                thread_ts=view.thread_ts,
                run_id=run.id,
            )

    async def _not_posted(self, view: View, error: SlackError, *, again: bool) -> None:
        """Slack said no, so nothing was posted: the person is told, once there is an end."""
        if error.code in _MENDABLE:
            await self._failed(view, error, posting=_before(again=again))
            return
        self._note("post_refused", view, reason=error.code)
        if _ended(view):
            await self._whisper(view)
        else:
            await self._store.view_told(view, posting=_before(again=again))

    async def _whisper(self, view: View) -> None:
        """Tell the person alone, since the channel cannot be told, and give the message up."""
        began = self._clock.monotonic()
        run = view.runs[-1]
        if _ended(view):
            done = await self._errands.notice(
                self._slack,
                text=self._render(view).text,
                user_id=run.user_id,
                channel_id=view.channel_id if view.channel_id != run.user_id else None,
                response_url=run.response_url,
            )
            if done is False and view.failures < MAX_WHISPERS:
                await self._failed(view, SlackError("not told"))
                return
            if done:
                self._told(view, "response_url", began)
            await self._store.view_told(view, posting=Posting.GIVEN_UP)
        else:
            await self._store.view_told(view)

    async def _look_up(self, view: View) -> None:
        """Find out whether a post arrived whose answer never came."""
        run = view.runs[0]
        try:
            ts = await self._slack.find(
                channel_id=view.channel_id,
                thread_ts=view.thread_ts,
                run_id=run.id,
                since=(view.intent_at or run.created_at) - 60.0,
            )
        except (SlackBusyError, SlackUnreachableError, SlackAmbiguousError) as error:
            await self._failed(view, error)
            return
        except SlackError as error:
            await self._cannot_look_up(view, error)
            return
        if ts is not None:
            self._note("post_found", view, level="info")
            await self._store.view_told(view, posting=Posting.POSTED, ts=ts, rendered=False)
        elif view.lookups < MAX_LOOKUPS:
            # It may still be on its way: Slack does not promise to show it at once.
            await self._later(view, 1.0 + view.lookups, posting=Posting.AMBIGUOUS)
        else:
            await self._post(view)

    async def _cannot_look_up(self, view: View, error: SlackError) -> None:
        """Without the right to look, nothing is posted twice: only the end goes out, once."""
        self._note("post_unconfirmed", view, reason=error.code)
        if view.intent_final:
            await self._store.view_told(view, posting=Posting.GIVEN_UP)
        elif _ended(view):
            await self._post(view, again=True)
        else:
            await self._store.view_told(view, posting=Posting.AMBIGUOUS)

    # --- small steps -----------------------------------------------------------------------

    def _render(self, view: View) -> Rendering:
        ink = Ink(
            secret=self._button_secret,
            hidden=self._hidden,
            questions=self._questions,
            now=self._clock.now(),
        )
        return blocks.render(view, ink)

    async def _later(self, view: View, wait: float, *, posting: Posting | None = None) -> None:
        due = self._clock.now() + wait
        await self._store.view_told(view, posting=posting, rendered=False, due_at=due)

    async def _failed(
        self, view: View, error: SlackError, *, posting: Posting | None = None
    ) -> None:
        self._note("slack_failed", view, reason=error.code)
        if view.failures >= MAX_FAILURES:
            await self._store.view_told(view, posting=Posting.GIVEN_UP)
            return
        wait = outcome.backoff(view.failures + 1, jitter=self._clock.jitter(), first=1.0, most=60.0)
        if isinstance(error, SlackBusyError):
            wait = error.retry_after
        await self._store.view_told(
            view, posting=posting, rendered=False, due_at=self._clock.now() + wait, failed=True
        )

    def _told(self, view: View, method: str, began: float) -> None:
        ms = round((self._clock.monotonic() - began) * 1000, 1)
        for run in view.runs:
            if run.updated_at >= view.told_at:  # the others have not changed since they were told
                self._journal.note("told", run=run.id, state=run.state.value, method=method, ms=ms)

    def _note(self, event: str, view: View, *, level: str = "warning", reason: str = "") -> None:
        run = view.runs[-1].id if view.runs else None
        self._journal.note(event, level=level, reason=reason, view=view.id, run=run)


def _ended(view: View) -> bool:
    """Whether every run that the message tells of has come to an end."""
    return all(map(_is_final, view.runs))


def _is_final(run: Run) -> bool:
    return is_final(run.state)


def _before(*, again: bool) -> Posting:
    """How far a message had come before a post that certainly did not arrive."""
    return Posting.AMBIGUOUS if again else Posting.NONE
