"""The journeys of a workspace: what each end says, put into the order in which it happens.

Each source tells only what it knows: the delivery (sent and acknowledged), the gateway's log
lines (by request id, then by run), the edge's exchanges (by run), the Web API calls, what the agent
and the cluster did (cluster_steps), and for what is shared S3's requests and Slack's files
(share_steps).
"""

import json
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, Final

from tidegate_dev import cluster_steps, edge_steps, share_steps
from tidegate_dev.journey import (
    AFTER_ACK,
    FINAL,
    Journey,
    Key,
    base_string,
    payload_of,
    shared_key,
    title_of,
)
from tidegate_dev.masking import Masking
from tidegate_dev.reasons import plain, reason_words
from tidegate_dev.slack.deliveries import Delivery

Json = dict[str, Any]

KEPT: Final = 200
SHOWN: Final = 20
SHOWN_BASE_STRING: Final = 240
_FIRST_PASS: Final[tuple[tuple[Key, str], ...]] = (
    ("verified", "verified"),
    ("matched", "matched"),
    ("allowed", "allowed"),
    ("recorded", "recorded"),
)
_SECOND_PASS: Final[tuple[tuple[Key, str], ...]] = (
    ("sent", "sent to the service"),
    ("answered", "answered"),
    ("told", "told in Slack"),
)
_STATUS_NOTES: Final = {
    401: "the signature did not match",
    413: "the request was too large",
    503: "it could not be written down in time",
}
_AUTH_WORDS: Final = {
    "sigv4": "signed SigV4 → edge",
    "token_file": "sent with a token",
    "none": "sent",
}
_END_WORDS: Final = {
    "succeeded": "succeeded",
    "failed": "failed",
    "unknown": "nobody knows how it ended",
    "denied": "denied",
    "expired": "came too late, was not started",
    "cancelled": "called off",
}


class Journeys:
    """All journeys of this workspace; *on_change* is called with each that changed."""

    def __init__(
        self,
        *,
        masking: Masking,
        on_change: Callable[[Journey], None],
        rule_words: Callable[[str, int], str] = lambda _action, _rule: "",
    ) -> None:
        self._masking = masking
        self._rule_words = rule_words
        self._on_change = on_change
        self._all: OrderedDict[str, Journey] = OrderedDict()
        self._early: OrderedDict[str, Json] = OrderedDict()

    def latest(self) -> list[Journey]:
        """Return the last journeys, newest first."""
        return list(reversed(self._all.values()))[:SHOWN]

    def get(self, journey_id: str) -> Journey | None:
        """Return one journey, or None."""
        return self._all.get(journey_id)

    def full(self, journey: Journey) -> Json:
        """Return *journey* with the request as it was sent and all that was heard of it."""
        delivery = journey.delivery
        body = delivery.body.decode("utf-8", "replace")
        found = {
            **journey.as_json(),
            "request": {
                "method": "POST",
                "path": delivery.path,
                "headers": delivery.headers,
                "signature_base_string": base_string(delivery),
                "body": body,
                "payload": payload_of(delivery),
            },
            "answer": {
                "status": delivery.http_status,
                "request_id": delivery.request,
                "body": delivery.answer.decode("utf-8", "replace"),
                "ms": delivery.ack_ms,
            },
            "edge": list(journey.exchanges),
            "s3": list(journey.requests),
            "slack_calls": list(journey.calls),
            "log": list(journey.lines),
        }
        masked: Json = self._masking.json(found)
        return masked

    # What Slack's end says

    def delivered(self, delivery: Delivery) -> None:
        """*delivery* was begun, or has its outcome."""
        journey = self._all.get(delivery.id)
        if delivery.kind not in ("block_actions", "command"):
            return
        if journey is None:
            journey = self._begin(delivery)
        if delivery.status != "waiting":
            self._acked(journey, delivery)
        self._changed(journey)

    def _begin(self, delivery: Delivery) -> Journey:
        journey = Journey(
            id=delivery.id,
            title=title_of(delivery),
            delivery=delivery,
            shares=shared_key(delivery),
        )
        for key, label in _FIRST_PASS:
            journey.step(key, label)
        journey.steps["verified"].status = "active"
        journey.steps["verified"].details = self._signed(delivery)
        journey.step("acked", "acked")
        for key, label in _SECOND_PASS if journey.shares is None else share_steps.STEPS:
            journey.step(key, label)
        self._all[journey.id] = journey
        while len(self._all) > KEPT:
            self._all.popitem(last=False)
        return journey

    def _signed(self, delivery: Delivery) -> Json:
        """Return what the gateway has to go by when it verifies."""
        whole = base_string(delivery)
        shown = self._masking.text(whole)[:SHOWN_BASE_STRING]
        cut = "" if len(shown) == len(whole) else "…"
        return {
            "path": delivery.path,
            "headers": dict(delivery.headers),
            "signature_base_string": shown + cut,
            "body_bytes": len(delivery.body),
        }

    def _acked(self, journey: Journey, delivery: Delivery) -> None:
        journey.acked_ms = delivery.ack_ms
        step = journey.step("acked", "acked")
        step.ms = delivery.ack_ms
        step.status = "done" if delivery.acked else "failed"
        step.details = {"status": delivery.http_status, "request_id": delivery.request}
        if delivery.acked:
            step.value = "200"
        else:
            step.label, step.value = "not acked", self._masking.text(delivery.note or "")
            self._not_taken(journey, delivery)
        line = self._early.pop(delivery.request, None) if delivery.request else None
        if line is not None:
            self._answered(journey, line)

    def _not_taken(self, journey: Journey, delivery: Delivery) -> None:
        """The gateway did not take it: it never came in, came in late, or was turned away."""
        reached = delivery.http_status is not None
        journey.state = "refused" if reached else "not_delivered"
        verified = journey.steps["verified"]
        if verified.status != "done":
            verified.status = "failed"
            verified.label = "not taken" if reached else "not reached"
            verified.value = _STATUS_NOTES.get(delivery.http_status or 0, "")
            journey.drop("matched", "allowed", "recorded")
        journey.drop(*AFTER_ACK)

    # What the gateway says

    def logged(self, line: Json) -> None:
        """The gateway logged *line*."""
        line = self._masking.json(line)
        event = line["event"]
        if event == "answered":
            self._answered_line(line)
            return
        for journey in self._of_run(line.get("run")) or self._adopted(line.get("run")):
            journey.lines.append(line)
            match event:
                case "authorised":
                    self._authorised(journey, line)
                case "denied":
                    self._denied(journey, line)
                case "sending":
                    self._sending(journey, line)
                case "sharing":
                    share_steps.sharing(journey, line)
                case "outcome":
                    self._outcome(journey, line)
                case "progress":
                    self._progress(journey, line)
                case "told":
                    self._told(journey, line)
                case _:
                    pass
            self._changed(journey)

    def _answered_line(self, line: Json) -> None:
        request = line.get("request")
        for journey in self._all.values():
            if request and journey.delivery.request == request:
                self._answered(journey, line)
                self._changed(journey)
                return
        if isinstance(request, str):
            self._early[request] = line
            while len(self._early) > KEPT:
                self._early.popitem(last=False)

    def _answered(self, journey: Journey, line: Json) -> None:
        journey.lines.append(line)
        outcome = line.get("outcome")
        if line.get("status") in (400, 401, 413, 415):
            return  # not taken; the delivery's own outcome tells
        verified = journey.steps["verified"]
        verified.status, verified.ms = "done", _number(line, "verify_ms")
        matched = journey.step("matched", "matched")
        if outcome == "unrouted":
            matched.status, matched.value = "failed", "no action has this id"
            self._refuse(journey, "nothing is connected to it", "allowed")
            return
        matched.status, matched.value = "done", str(line.get("action") or "")
        if outcome in ("refused", "limited"):
            reason = "too often" if outcome == "limited" else str(line.get("reason") or "")
            self._refuse(journey, reason, "allowed")
            return
        if outcome == "failed":
            recorded = journey.step("recorded", "recorded")
            recorded.status, recorded.value = "failed", str(line.get("reason") or "")
            journey.state = "refused"
            journey.drop(*AFTER_ACK)
            return
        self._taken(journey, line, str(outcome))

    def _taken(self, journey: Journey, line: Json, outcome: str) -> None:
        run = line.get("run")
        allowed = journey.step("allowed", "allowed")
        if allowed.status == "waiting":
            allowed.status, allowed.ms = "done", _number(line, "decide_ms")
            allowed.value = "for now; asked again before it acts" if outcome == "recorded" else ""
        if not isinstance(run, str):
            journey.drop("allowed", "recorded", *AFTER_ACK)
            journey.state = "succeeded"
            return
        if outcome == "joined":
            self._joined(journey, run, "joined", "is this already")
        elif outcome == "duplicate":
            self._joined(journey, run, "known", "was already this delivery")
        else:
            self._recorded(journey, run, line)

    def _recorded(self, journey: Journey, run: str, line: Json) -> None:
        first = journey.run is None
        journey.run = run
        recorded = journey.step("recorded", "recorded")
        recorded.status, recorded.value = "done", f"run {run}"
        recorded.ms = _number(line, "record_ms") if line else recorded.ms
        recorded.details = line or None
        if first and journey.state == "waiting":
            journey.state = "queued"
        for key in ("verified", "matched", "allowed"):
            if journey.steps[key].status in ("waiting", "active"):
                journey.steps[key].status = "done"
        next_key: Key = "sent" if journey.shares is None else "checked"
        if journey.steps[next_key].status == "waiting":
            journey.steps[next_key].status = "active"

    def _joined(self, journey: Journey, run: str, label: str, words: str) -> None:
        """No run of its own: what is under way shows with the journey that began it."""
        journey.run = run
        recorded = journey.step("recorded", "recorded")
        recorded.status, recorded.label = "done", label
        recorded.value = f"run {run} {words}: nothing is done twice"
        journey.drop(*AFTER_ACK)
        journey.state = label

    def _refuse(self, journey: Journey, reason: str, *drop: Key) -> None:
        refused = journey.step("refused", "refused")
        refused.status, refused.value = "failed", reason_words(reason)
        refused.details = {"reason": reason, "told": "in an ephemeral message, to this person only"}
        journey.drop(*drop, "recorded", *AFTER_ACK)
        journey.state = "refused"

    def _authorised(self, journey: Journey, line: Json) -> None:
        allowed = journey.step("allowed", "allowed")
        allowed.status, allowed.details = "done", line
        action, rule = line.get("action"), line.get("rule")
        words = ""
        if isinstance(action, str) and isinstance(rule, int):
            words = self._rule_words(action, rule)
        allowed.value = words or "asked again, and yes"

    def _denied(self, journey: Journey, line: Json) -> None:
        refused = journey.step("refused", "denied")
        refused.status, refused.details = "failed", line
        refused.value = reason_words(line.get("reason"))
        allowed = journey.steps.get("allowed")
        if allowed is not None:
            allowed.value = "at first; then asked again with fresh facts"
        journey.drop(*(key for key in AFTER_ACK if key != "told"))
        journey.state = "denied"

    def _sending(self, journey: Journey, line: Json) -> None:
        sent = journey.step("sent", "sent")
        sent.label = _AUTH_WORDS.get(str(line.get("auth")), "sent")
        attempt = line.get("attempt")
        again = f" · attempt {attempt}" if isinstance(attempt, int) and attempt > 1 else ""
        sent.value = f"{line.get('method', 'POST')} {line.get('path') or ''}".strip() + again
        sent.status, sent.details, sent.ms = "active", line, None
        edge_steps.answered_before(journey, attempt)
        journey.state = "sending"

    def _outcome(self, journey: Journey, line: Json) -> None:
        state = str(line.get("state") or "")
        if journey.shares is not None and state != "denied":
            share_steps.outcome(journey, state, line)
            journey.state = state or journey.state
            return
        sent = journey.steps.get("sent")
        if sent is not None and sent.status == "active" and line.get("status") is not None:
            words = edge_steps.why(sent)
            sent.status = "failed" if words else "done"
            sent.value = words or str(line["status"])
        journey.state = state or journey.state
        if state == "running":
            progress = journey.step("progress", "rolling out")
            progress.status = "active"
        elif state == "queued" and sent is not None:
            sent.status, sent.label = "active", "to be tried again"
            sent.value = edge_steps.why(sent) or reason_words(line.get("reason"))
        elif state == "denied":
            journey.step("told", "told in Slack").status = "active"
        elif state in FINAL:
            self._ended(journey, state, line)

    def _ended(self, journey: Journey, state: str, line: Json) -> None:
        good = state == "succeeded"
        sent = journey.steps.get("sent")
        if sent is not None and sent.status in ("active", "waiting"):
            sent.status = "done" if good else "failed"
        progress = journey.steps.get("progress")
        if progress is not None:
            progress.status = "done" if good else "failed"
            if good and progress.details is not None and "total" in progress.details:
                total = progress.details["total"]
                progress.value = f"{total} of {total}"
                progress.details = {**progress.details, "done": total, "phase": state}
        answered = journey.step("answered", "answered")
        answered.status = "done" if good else "failed"
        reason = "" if line.get("reason") == state else reason_words(line.get("reason"))
        answered.value = _END_WORDS[state] + (f": {reason}" if reason else "")
        answered.details, answered.ms = line, _number(line, "ms")
        told = journey.step("told", "told in Slack")
        if told.status == "waiting":
            told.status = "active"

    def _progress(self, journey: Journey, line: Json) -> None:
        step = journey.step("progress", "rolling out")
        done, total = line.get("done"), line.get("total")
        if isinstance(done, int) and isinstance(total, int):
            step.value = cluster_steps.far(done, total, step.details or {})
        else:
            step.value = plain(line.get("phase"))
        if journey.state not in FINAL:
            step.status, journey.state = "active", "running"
        step.details = {**(step.details or {}), **line}

    def _told(self, journey: Journey, line: Json) -> None:
        told = journey.step("told", "told in Slack")
        state = str(line.get("state") or "")
        told.value, told.ms, told.details = str(line.get("method") or ""), _number(line, "ms"), line
        if journey.state == "denied":
            told.value = "a notice, to this person only"
        told.status = "done" if state in FINAL or journey.state in FINAL else "active"

    def interrupted(self) -> None:
        """The gateway died; what was under way goes on from the record."""
        for journey in self._all.values():
            if journey.run is None or journey.is_over:
                continue
            for key in ("checked", "sent", "progress", "placed", "told"):
                step = journey.steps.get(key)
                if step is not None and step.status == "active":
                    step.value = "the gateway was killed; it goes on from the record"
                    self._changed(journey)
                    break

    # What the edge, S3 and the Web API say

    def exchanged(self, exchange: Mapping[str, Any]) -> None:
        """The edge took, or refused, one request."""
        exchange = self._masking.json(exchange)
        run = exchange.get("run_id")
        for journey in self._of_run(run) or self._adopted(run):
            journey.exchanges.append(dict(exchange))
            cluster_steps.answered(journey, exchange)
            edge_steps.answered(journey, exchange)
            self._changed(journey)

    def asked_of_cluster(self, run: str, entry: Mapping[str, Any]) -> None:
        """Somebody asked the cluster for something in *run*."""
        for journey in self._of_run(run) or self._adopted(run):
            cluster_steps.asked(journey, entry)
            self._changed(journey)

    def agent_logged(self, line: Json) -> None:
        """The agent logged *line*."""
        line = self._masking.json(line)
        for journey in self._of_run(line.get("run")) or self._adopted(line.get("run")):
            journey.lines.append({"of": "agent", **line})
            self._changed(journey)

    def called(self, method: str, call: Mapping[str, Any]) -> None:
        """The gateway called the Web API about a message."""
        for journey in self._all.values():
            if journey.is_over or not _about(journey, method, call):
                continue
            shown = {name: call.get(name) for name in ("arguments", "status", "error")}
            journey.calls.append({"method": method, **self._masking.json(shown)})
            if journey.shares is not None:
                if isinstance(call.get("file"), str):
                    journey.files.add(call["file"])
                share_steps.called(journey, method, call)
                self._changed(journey)

    def served(self, request: Mapping[str, Any]) -> None:
        """S3 answered one request."""
        for journey in reversed(self._all.values()):
            if share_steps.served(journey, request):
                self._changed(journey)
                if request.get("presigned"):
                    return  # links of the same object cannot be told apart: the latest counts

    def file_changed(self, file: Mapping[str, Any]) -> None:
        """A file in Slack is in another state."""
        for journey in self._all.values():
            if file.get("id") in journey.files and share_steps.under_way(journey):
                share_steps.file_changed(journey, file)
                self._changed(journey)

    # Inside

    def _of_run(self, run: object) -> list[Journey]:
        if not isinstance(run, str) or not run:
            return []
        return [
            journey
            for journey in self._all.values()
            if journey.run == run
            and journey.state not in ("joined", "known", "refused", "not_delivered")
        ]

    def _adopted(self, run: object) -> list[Journey]:
        """Return the journey that was acknowledged with *run*, and whose own line never came.

        The gateway may die between its answer and its log line; the run goes on all the same.
        """
        for journey in self._all.values():
            if journey.run is None and run and journey.delivery.run == run:
                self._recorded(journey, str(run), {})
                return [journey]
        return []

    def _changed(self, journey: Journey) -> None:
        self._on_change(journey)


def _about(journey: Journey, method: str, call: Mapping[str, Any]) -> bool:
    """Whether a Web API call concerns the message that was clicked, the run, or its file."""
    arguments = call.get("arguments")
    if not isinstance(arguments, Mapping):
        return False
    if method.startswith("files."):
        return share_steps.about_file(journey, arguments)
    ts = journey.delivery.message_ts
    if ts is not None and arguments.get("ts") == ts:
        return True
    return journey.run is not None and journey.run in json.dumps(arguments.get("metadata") or "")


def _number(line: Mapping[str, Any], name: str) -> float | None:
    value = line.get(name)
    return float(value) if isinstance(value, int | float) else None
