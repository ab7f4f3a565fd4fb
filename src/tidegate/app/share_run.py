"""A run that shares an object of S3: from its params to an order, and from its end to a change.

The run is the record of the share: how far it has come is written under its lease, so a worker
that takes it over goes on from there.
"""

from collections.abc import Awaitable, Callable, Iterable
from typing import Final

from tidegate.app.share import Sharing
from tidegate.core import arrival_rule, outcome, share, share_body
from tidegate.core.arrival_rule import ArrivalRule
from tidegate.core.model import Change, Kind, Run, RunId, State
from tidegate.core.routes import Route
from tidegate.core.share import Mode, Order, Rules, Shared
from tidegate.core.share_body import Caller
from tidegate.core.steps import Steps
from tidegate.errors import ShareError

#: Returns the rules of a bucket that is given by its alias or name, for a key; None: unknown.
FindRules = Callable[[str, str], Rules | None]
#: Writes a step of the run under its lease.
Write = Callable[[Change], Awaitable[Run]]

#: Begins the reasons of shares: a service's «busy» is not S3's.
REASON: Final = "share_"
MAX_RESULTS: Final = 64
AT_ONCE: Final = 4  # shares of one process


class ShareRuns:
    """Carries out runs that share."""

    def __init__(
        self,
        sharing: Sharing,
        *,
        rules: FindRules,
        callers: Iterable[Caller],
        arrivals: Iterable[ArrivalRule] = (),
        now: Callable[[], float],
    ) -> None:
        self._sharing = sharing
        self._rules = rules
        self._callers = {caller.action: caller for caller in callers}
        self._arrivals = {rule.action: rule for rule in arrivals}
        self._now = now
        self._results: dict[RunId, Shared] = {}

    async def carry(self, run: Run, route: Route, write: Write, *, jitter: float) -> Change:
        """Share what a run asks for, or go on with it, and return what came of it.

        Args:
            run: As it is now, `sending`.
            route: Its action.
            write: Writes a step under the run's lease.
            jitter: By how much chance a wait is spread, in [0, 1).
        """

        async def note(steps: Steps) -> None:
            await write(Change(steps=steps, next_at=self._now(), keep_lease=True))

        try:
            order = self.order(run, route)
            shared = await self._sharing.share(order, steps=run.steps or Steps(), ledger=note)
        except ShareError as error:
            return self._failed(run, error, jitter)
        if run.kind is Kind.API:
            self._keep(run, shared)
        return _done(shared)

    def permits(self, run: Run) -> bool:
        """Tell whether the caller or the rule that ordered a run may still do so."""
        if run.kind is Kind.OBJECT:
            rule = self._arrivals.get(run.action)
            return rule is not None and rule.permits(run.params, run.channel_id)
        caller = self._callers.get(run.action)
        body = share_body.of_params(run.params)
        return caller is not None and caller.refuses(body, run.channel_id or "") is None

    def taken(self, run_id: RunId) -> Shared | None:
        """Return what a run of the API has just shared, links included; once."""
        return self._results.pop(run_id, None)

    def _keep(self, run: Run, shared: Shared) -> None:
        # For whoever waits for the answer: a link is written down nowhere.
        self._results[run.id] = shared
        while len(self._results) > MAX_RESULTS:
            del self._results[next(iter(self._results))]

    async def look(self, run: Run, route: Route) -> Change:
        """Return what an unknown share has come to, looked up in Slack; nothing is shared."""
        try:
            found = await self._sharing.seen(self.order(run, route), run.steps or Steps())
        except ShareError:
            return Change(next_at=None, reason="untraceable", poll=True)
        if found:
            return Change(state=State.SUCCEEDED, reason="", message="", poll=True)
        return Change(next_at=None, reason="untraceable", poll=True)

    def order(self, run: Run, route: Route) -> Order:
        """Return what a run asks to be shared. Raises `ShareError`."""
        bucket, key = str(run.params.get("bucket", "")), str(run.params.get("key", ""))
        rules = self._rules(bucket, key)
        if rules is None:
            raise share.refusal("bucket_not_allowed")
        if run.channel_id is None:
            raise share.refusal("no_channel")
        if run.kind is Kind.API:
            body = share_body.of_params(run.params)
            return body.order(run_id=run.id, rules=rules, channel_id=run.channel_id)
        if run.kind is Kind.OBJECT:
            return arrival_rule.order(
                run.params,
                mode=Mode(route.share),
                run_id=run.id,
                rules=rules,
                channel_id=run.channel_id,
            )
        mode = Mode(route.share)
        by_prefix = mode is Mode.GALLERY
        return Order(
            id=run.id,
            rules=rules,
            keys=() if by_prefix else (key,),
            prefix=key if by_prefix else None,
            channel_id=run.channel_id,
            mode=mode,
            title=str(run.params.get("title") or ""),
            alt_text=str(run.params.get("alt_text") or ""),
            thread_ts=run.thread_ts,
        )

    def _failed(self, run: Run, error: ShareError, jitter: float) -> Change:
        now, reason = self._now(), f"{REASON}{error.code}"
        later = error.again and now < run.deadline_at
        if error.unknown and not later:
            return Change(state=State.UNKNOWN, reason=reason, message=error.notice)
        if later:
            wait = outcome.backoff(run.attempts + 1, jitter=jitter)
            due = min(now + wait, run.deadline_at)
            words = f"{error.notice.partition('. ')[0].rstrip('.')}. It is tried again by itself."
            return Change(next_at=due, reason=reason, message=words)
        return Change(state=State.FAILED, reason=reason, message=error.notice, release_effect=True)


def _done(shared: Shared) -> Change:
    return Change(state=State.SUCCEEDED, reason="", message=" ".join(shared.notes))
