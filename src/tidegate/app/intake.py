"""The first pass: verify, parse, route, authorise, record, and only then acknowledge.

Nothing here waits for Slack's API or for a service: what is not at hand is left to the
worker. What is answered 200 is in the store, or was refused with a notice to the person.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

import msgspec

from tidegate.app.directory import AT_HAND_SECONDS, Directory, FactsUnavailableError
from tidegate.app.errand import Errands
from tidegate.core import (
    blocks,
    keys,
    lifecycle,
    notices,
    params,
    payload,
    policy,
    request,
    signature,
)
from tidegate.core.model import (
    Draft,
    Duplicate,
    Interaction,
    Joined,
    Kind,
    Limited,
    Recorded,
    Refusal,
    Run,
    RunId,
    State,
    ViewDraft,
    run_id,
)
from tidegate.core.routes import Route, Router
from tidegate.errors import (
    ForeignTeamError,
    NoSuchRunError,
    NotAllowedNowError,
    ParamsError,
    PayloadError,
    SignatureError,
    StoreError,
)
from tidegate.ports import Clock, Journal, Slack, Store, Workspace

_JSON: Final = "application/json; charset=utf-8"
_FORM: Final = "application/x-www-form-urlencoded"
MAX_RESPONSE_URL: Final = 1000


class Endpoint(StrEnum):
    """The public paths that Slack calls."""

    ACTIONS = "/slack/actions"
    COMMANDS = "/slack/commands"
    OPTIONS = "/slack/options"
    EVENTS = "/slack/events"


@dataclass(slots=True, kw_only=True)
class Trace:
    """What the log line about a request says: no content."""

    outcome: str = "refused"
    reason: str = ""
    kind: str = ""
    action: str | None = None
    run: str | None = None
    times: dict[str, float] = field(default_factory=dict)
    passed: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What Slack is answered."""

    status: int
    body: bytes = b""
    content_type: str = "text/plain; charset=utf-8"
    trace: Trace


class Intake:
    """Takes what Slack sends."""

    def __init__(
        self,
        *,
        store: Store,
        slack: Slack,
        directory: Directory,
        router: Router,
        clock: Clock,
        journal: Journal,
        errands: Errands,
        signing_secrets: tuple[bytes, ...],
        button_secret: bytes,
        ack_deadline_seconds: float,
        warm: bool,
    ) -> None:
        self._store = store
        self._slack = slack
        self._directory = directory
        self._router = router
        self._clock = clock
        self._journal = journal
        self._errands = errands
        self._signing_secrets = signing_secrets
        self._button_secret = button_secret
        self._ack_deadline = ack_deadline_seconds
        self._warm = warm  # the worker is in this process, and will ask for facts at once

    async def handle(
        self, endpoint: Endpoint, headers: Mapping[str, str], body: bytes, *, arrived: float
    ) -> Answer:
        """Return the answer for a request; it never raises for what came from outside.

        Args:
            endpoint: Which path was called.
            headers: Names in lower case.
            body: Exactly as received.
            arrived: Monotonic seconds at which the request began to arrive.
        """
        trace = Trace()
        if endpoint is Endpoint.COMMANDS and payload.is_ssl_check(body):
            trace.outcome, trace.kind = "ignored", "ssl_check"
            return Answer(status=200, trace=trace)
        try:
            signature.verify(body, headers, secrets=self._signing_secrets, now=self._clock.now())
            self._lap(trace, "verify_ms", arrived)
            found = self._parse(endpoint, headers, body)
            trace.kind = found.kind.value
            if found.kind is Kind.URL_VERIFICATION:
                trace.outcome = "ignored"
                return _json(trace, {"challenge": found.challenge})
            self._check_team(found)
        except (SignatureError, ForeignTeamError) as error:
            trace.reason = str(error)
            return Answer(status=401, body=b"not verified", trace=trace)
        except _ContentTypeError:
            trace.reason = "content type"
            return Answer(status=415, body=b"unsupported content type", trace=trace)
        except PayloadError as error:
            trace.reason = str(error)
            return Answer(status=400, body=b"not a Slack payload", trace=trace)
        return await self._dispatch(found, body, trace, arrived)

    # --- verify and parse --------------------------------------------------------------

    def _parse(self, endpoint: Endpoint, headers: Mapping[str, str], body: bytes) -> Interaction:
        expected = "application/json" if endpoint is Endpoint.EVENTS else _FORM
        if headers.get("content-type", "").partition(";")[0].strip().lower() != expected:
            raise _ContentTypeError
        match endpoint:
            case Endpoint.COMMANDS:
                return payload.command(body)
            case Endpoint.EVENTS:
                return payload.event(body)
            case Endpoint.ACTIONS:
                return payload.interaction(body)
            case Endpoint.OPTIONS:
                found = payload.interaction(body)
                if found.kind is not Kind.BLOCK_SUGGESTION:
                    raise PayloadError("not a request for options")
                return found

    def _check_team(self, found: Interaction) -> None:
        """Raise unless the request speaks for our workspace; unknown yet: the worker checks."""
        workspace = self._directory.workspace
        if workspace is not None and not speaks_for(workspace, found.team_id, found.enterprise_id):
            raise ForeignTeamError("request of another workspace")

    # --- route, authorise, record ------------------------------------------------------

    async def _dispatch(
        self, found: Interaction, body: bytes, trace: Trace, arrived: float
    ) -> Answer:
        match found.kind:
            case Kind.BLOCK_SUGGESTION:
                trace.outcome = "ignored"
                return _json(trace, {"options": []})
            case Kind.EVENT | Kind.VIEW_CLOSED | Kind.OTHER:
                trace.outcome = "ignored"
                return Answer(status=200, trace=trace)
            case _:
                pass
        try:
            if found.trigger.startswith(keys.OWN_PREFIX):
                return await self._own_button(found, trace, arrived)
            route = self._router.find(found)
            if route is None or not route.connected:
                return await self._unrouted(found, body, trace, arrived)
            trace.action = route.name
            return await self._routed(route, found, body, trace, arrived)
        except StoreError as error:
            trace.outcome, trace.reason = "failed", type(error).__name__
            return _not_recorded(found, trace)

    async def _routed(
        self, route: Route, found: Interaction, body: bytes, trace: Trace, arrived: float
    ) -> Answer:
        now = self._clock.now()
        if _too_old(found, route, now):
            trace.reason = "retired"
            return await self._refused(found, body, trace, arrived, notices.RETIRED)
        try:
            values = params.extract(route.params, found)
            decision = policy.decide(
                route.rules,
                user_id=found.actor.user_id,
                channel_id=found.channel_id,
                params=values,
                facts=self._directory.at_hand(found.actor, found.channel_id),
            )
            if isinstance(decision, policy.Denied):
                trace.reason = f"denied: {decision.reason.value}"
                notice = notices.denied(decision)
                return await self._refused(found, body, trace, arrived, notice)
            sure = isinstance(decision, policy.Allowed)
            run = self._run(route, found, values, body, now, sure=sure)
            request.refuse_steps(route, run)
        except ParamsError as error:
            trace.reason = "invalid params"
            usage = params.usage(route.params, found)
            notice = notices.invalid(error.notice, usage=usage)
            return await self._refused(found, body, trace, arrived, notice, route, error.field)
        self._lap(trace, "decide_ms", arrived)
        draft = Draft(
            run=run,
            state=State.QUEUED if route.confirm is None else State.AWAITING_CONFIRMATION,
            view=self._view(found),
            rate=route.rate,
        )
        answer = await self._record(draft, trace, arrived, found)
        if self._warm and trace.outcome == "recorded":
            groups = any(rule.groups for rule in route.rules)
            self._directory.warm(found.actor, found.channel_id, groups=groups, moment=now)
        return answer

    async def _record(
        self, draft: Draft, trace: Trace, arrived: float, found: Interaction
    ) -> Answer:
        result = await self._store.record(draft, within=self._left(arrived))
        self._lap(trace, "record_ms", arrived)
        match result:
            case Recorded(run_id=recorded):
                trace.outcome, trace.run = "recorded", recorded
                return Answer(status=200, trace=trace)
            case Duplicate(run_id=known):
                trace.outcome, trace.run = "duplicate", known
                return Answer(status=200, trace=trace)
            case Joined(run=run):
                trace.outcome, trace.run = "joined", run.id
                return self._noticed(found, trace, notices.joined(run))
            case Limited(retry_at=retry_at):
                trace.outcome = "limited"
                wait = notices.wait(retry_at - self._clock.now())
                return self._noticed(found, trace, notices.SLOW_DOWN.format(wait=wait))

    def _run(
        self,
        route: Route,
        found: Interaction,
        values: Mapping[str, Any],
        body: bytes,
        now: float,
        *,
        sure: bool,
    ) -> Run:
        place = found.team_id or found.enterprise_id or ""
        return Run(
            id=run_id(now, self._clock.entropy(10)),
            kind=found.kind,
            action=route.name,
            action_id=found.trigger,
            pathway=route.pathway,
            state=State.RECEIVED,
            team_id=place,
            enterprise_id=found.enterprise_id,
            user_id=found.actor.user_id,
            user_name=found.actor.user_name,
            user_team_id=found.actor.team_id,
            channel_id=found.channel_id,
            message_ts=found.message.ts if found.message else None,
            thread_ts=found.message.thread_ts if found.message else None,
            block_id=found.block_id,
            value_digest=keys.value_digest(found.value),
            label=found.trigger if found.kind is Kind.COMMAND else found.label,
            params=values,
            delivery_key=keys.delivery_key(found, body),
            effect_key=keys.effect_key(found),
            sure=sure,
            repeat=route.repeat,
            idempotent=route.idempotent,
            response_url=_bounded_url(found.response_url),
            created_at=now,
            updated_at=now,
            start_by=now + route.start_within_seconds,
            deadline_at=now + route.deadline_seconds,
            next_at=now,
        )

    def _view(self, found: Interaction) -> ViewDraft:
        """The message that will tell: our own, else one that is yet to be posted."""
        message, workspace = found.message, self._directory.workspace
        # Before Slack has told who we are, a bot's message is taken for ours: if it is not, Slack
        # refuses the update, and what there is to tell is posted.
        ours = (
            message is not None
            and found.kind is Kind.BLOCK_ACTIONS
            and message.bot_id is not None
            and (workspace is None or message.bot_id == workspace.bot_id)
            and not message.ephemeral
        )
        if message is not None and ours:
            return ViewDraft(
                channel_id=message.channel_id,
                ts=message.ts,
                thread_ts=message.thread_ts,
                text=message.text,
                blocks=message.blocks,
            )
        # Without a channel (global shortcuts, modals) it is told in a direct message.
        return ViewDraft(
            channel_id=found.channel_id or found.actor.user_id,
            thread_ts=message.thread_ts if message else None,
        )

    # --- refusals ----------------------------------------------------------------------

    async def _unrouted(
        self, found: Interaction, body: bytes, trace: Trace, arrived: float
    ) -> Answer:
        if found.link:
            trace.outcome, trace.reason = "ignored", "link"
            return Answer(status=200, trace=trace)
        trace.outcome, trace.reason = "unrouted", f"no route for {len(found.trigger)} characters"
        notice = notices.unconnected(found.kind)
        return await self._refused(found, body, trace, arrived, notice)

    async def _refused(
        self,
        found: Interaction,
        body: bytes,
        trace: Trace,
        arrived: float,
        notice: str,
        route: Route | None = None,
        field: str | None = None,
    ) -> Answer:
        # A modal that was refused comes again, corrected, under the same view and hash.
        modal = found.kind is Kind.VIEW_SUBMISSION
        refusal = Refusal(
            at=self._clock.now(),
            delivery_key=keys.body_key(body) if modal else keys.delivery_key(found, body),
            reason=trace.reason,
            action=trace.action,
            team_id=found.team_id,
            user_id=found.actor.user_id,
            channel_id=found.channel_id,
        )
        try:
            new = await self._store.refuse(refusal, within=self._left(arrived))
        except StoreError as error:
            # Nothing can be lost here: the person is told all the same.
            self._journal.note("audit_failed", level="error", reason=type(error).__name__)
            new = True
        if not new:
            trace.outcome = "duplicate"
            return Answer(status=200, trace=trace)
        return self._noticed(found, trace, notice, _input_block(route, field))

    def _noticed(
        self, found: Interaction, trace: Trace, notice: str, block_id: str | None = None
    ) -> Answer:
        """Answer 200 and let the person know, and nobody else."""
        match found.kind:
            case Kind.COMMAND:
                return _json(trace, {"response_type": "ephemeral", "text": notice})
            case Kind.VIEW_SUBMISSION if found.input_blocks or found.state:
                return _view_errors(found, trace, notice, block_id)
            case _:
                self._errands.start(self._tell(found, notice))
                return Answer(status=200, trace=trace)

    async def _tell(self, found: Interaction, notice: str) -> None:
        await self._errands.notice(
            self._slack,
            text=notice,
            user_id=found.actor.user_id,
            channel_id=found.channel_id,
            response_url=_bounded_url(found.response_url),
        )

    # --- our own buttons ---------------------------------------------------------------

    async def _own_button(self, found: Interaction, trace: Trace, arrived: float) -> Answer:
        """Check status, go on, call it off: only with our seal, and only for who may."""
        trace.action, trace.reason = "tidegate", ""
        sealed = self._unseal(found)
        run = await self._store.run(RunId(sealed)) if sealed is not None else None
        if run is None:
            trace.reason = "seal"
            return self._noticed(found, trace, notices.NOT_OURS)
        trace.run = run.id
        trace.outcome = "handled"
        if found.trigger == blocks.CHECK:
            # Who may ask is learnt from Slack, which no answer waits for.
            self._errands.start(self._check(found, run))
            return Answer(status=200, trace=trace)
        if found.actor.user_id != run.user_id:
            trace.outcome, trace.reason = "refused", "denied"
            return self._noticed(found, trace, notices.NOT_YOURS)
        notice = await self._handle(found, run, within=self._left(arrived))
        return self._noticed(found, trace, notice)

    def _unseal(self, found: Interaction) -> str | None:
        channels = [found.channel_id]
        if found.channel_id is not None and found.channel_id.startswith("D"):
            # A run without a channel is told in a direct message, whose id it never knew.
            channels.append(None)
        team_id = found.team_id or found.enterprise_id or ""
        for channel_id in channels:
            sealed = keys.unseal(
                self._button_secret, found.value, team_id=team_id, channel_id=channel_id
            )
            if sealed is not None:
                return sealed
        return None

    async def _check(self, found: Interaction, run: Run) -> None:
        """Have the service asked what became of a run, for somebody who may use its action."""
        try:
            notice = await self._ask(found, run)
        except StoreError as error:
            self._journal.note("check_failed", level="error", reason=type(error).__name__)
            notice = notices.NOT_RECORDED
        await self._tell(found, notice)

    async def _ask(self, found: Interaction, run: Run) -> str:
        route = self._router.routes.get(run.action)
        try:
            decision = await self._directory.decide(
                found.actor,
                found.channel_id,
                rules=route.rules if route else (),
                params=run.params,
                moment=self._clock.now() - AT_HAND_SECONDS,
            )
        except FactsUnavailableError:
            decision = policy.Denied(reason=policy.Reason.UNVERIFIED)
        if isinstance(decision, policy.Denied):
            return notices.denied(decision)
        if lifecycle.is_final(run.state) and run.state is not State.UNKNOWN:
            return notices.SETTLED
        try:
            await self._store.ask_check(run.id, user_id=found.actor.user_id)
        except (NotAllowedNowError, NoSuchRunError):
            return notices.SETTLED
        return notices.CHECKING

    async def _handle(self, found: Interaction, run: Run, *, within: float) -> str:
        user_id, yes = found.actor.user_id, found.trigger == blocks.CONFIRM
        if not yes and found.trigger != blocks.CANCEL:
            return notices.unconnected(found.kind)
        try:
            await self._store.confirm(run.id, yes=yes, user_id=user_id, within=within)
        except (NotAllowedNowError, NoSuchRunError):
            return notices.TOO_LATE
        return notices.CONFIRMED if yes else notices.CANCELLED

    # --- time --------------------------------------------------------------------------

    def _left(self, arrived: float) -> float:
        return max(0.0, self._ack_deadline - (self._clock.monotonic() - arrived))

    def _lap(self, trace: Trace, name: str, arrived: float) -> None:
        """Note a step's own time: what has passed, less what earlier steps took."""
        passed = (self._clock.monotonic() - arrived) * 1000
        trace.times[name] = passed - trace.passed
        trace.passed = passed


class _ContentTypeError(Exception):
    """The content type is not the endpoint's."""


def speaks_for(workspace: Workspace, team_id: str | None, enterprise_id: str | None) -> bool:
    """Tell whether a request of this team or enterprise is meant for the workspace."""
    if team_id is not None and team_id == workspace.team_id:
        return True
    return workspace.enterprise_install and enterprise_id == workspace.enterprise_id


def _too_old(found: Interaction, route: Route, now: float) -> bool:
    if found.kind is not Kind.BLOCK_ACTIONS or found.message is None:
        return False
    seconds, _, rest = found.message.ts.partition(".")
    if not (seconds.isascii() and seconds.isdigit() and len(seconds) <= 12 and len(rest) <= 12):
        return True  # not a message of Slack's: its age cannot be told
    return now - int(seconds) > route.max_age_seconds


def _bounded_url(url: str | None) -> str | None:
    return url if url and len(url) <= MAX_RESPONSE_URL else None


def _input_block(route: Route | None, field: str | None) -> str | None:
    """The input block in a modal that a param is taken from."""
    if route is None or field is None:
        return None
    parts = route.params[field].source.split(".")
    return parts[1] if parts[0] == "state" else None


def _json(trace: Trace, body: Mapping[str, Any]) -> Answer:
    return Answer(status=200, body=msgspec.json.encode(body), content_type=_JSON, trace=trace)


def _view_errors(
    found: Interaction, trace: Trace, notice: str, block_id: str | None = None
) -> Answer:
    """Show the notice in the modal, at an input: Slack takes errors nowhere else.

    Source: https://docs.slack.dev/surfaces/modals#displaying_errors
    """
    inputs = found.input_blocks or tuple(found.state)
    place = block_id if block_id in inputs else inputs[0]
    return _json(trace, {"response_action": "errors", "errors": {place: notice}})


def _not_recorded(found: Interaction, trace: Trace) -> Answer:
    """Refuse visibly: where Slack would show nothing useful, in words."""
    if found.kind is Kind.COMMAND:
        text = {"response_type": "ephemeral", "text": notices.NOT_RECORDED}
        return _json(trace, text)
    if found.kind is Kind.VIEW_SUBMISSION and (found.input_blocks or found.state):
        return _view_errors(found, trace, notices.NOT_RECORDED)
    return Answer(status=503, body=b"not recorded", trace=trace)
