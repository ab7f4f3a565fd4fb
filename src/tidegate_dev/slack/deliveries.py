"""Deliveries to the app: signed as Slack signs, timed as Slack times, sent once.

Sources: https://docs.slack.dev/authentication/verifying-requests-from-slack/ and
https://docs.slack.dev/interactivity/handling-user-interaction/#acknowledgment_response.
An interaction that is not acknowledged in three seconds is lost: there is no second try.
"""

import asyncio
import hashlib
import hmac
import json
import time
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from tidegate_dev.slack import http_post

ACK_SECONDS: Final = 3.0
USER_AGENT: Final = "Slackbot 1.0 (+https://api.slack.com/robots)"

Status = Literal["waiting", "acked", "timeout", "unreachable", "error"]
Kind = Literal["block_actions", "command", "block_suggestion", "raw"]


@dataclass(slots=True, kw_only=True)
class Delivery:
    """One request to the app, and how the app took it.

    *note* is what the person reads when it went wrong. *request* and *run* are the
    ids that the gateway answered with, *ack_ms* the time until its answer was read.
    """

    id: str
    kind: Kind
    path: str
    body: bytes = field(repr=False)
    user: str = ""
    channel: str = ""
    message_ts: str | None = None
    block_id: str | None = None
    action_id: str | None = None
    title: str = ""
    at: float = 0.0
    headers: dict[str, str] = field(default_factory=dict, repr=False)
    base_string: str = field(default="", repr=False)
    status: Status = "waiting"
    http_status: int | None = None
    ack_ms: float | None = None
    note: str | None = None
    request: str | None = None
    run: str | None = None
    answer: bytes = field(default=b"", repr=False)
    answer_type: str = ""

    @property
    def acked(self) -> bool:
        """Whether the app answered 200 in time."""
        return self.status == "acked"

    def answer_json(self) -> Any:
        """Return the answer's body as JSON, or None when it is none."""
        try:
            return json.loads(self.answer)
        except ValueError:
            return None


def sign(body: bytes, *, secret: str, timestamp: int) -> str:
    """Return the `X-Slack-Signature` of *body* at *timestamp*."""
    base = b"v0:%d:%b" % (timestamp, body)
    return "v0=" + hmac.new(secret.encode(), base, hashlib.sha256).hexdigest()


def signed_headers(body: bytes, *, secret: str, timestamp: int) -> dict[str, str]:
    """Return the headers that Slack sends with a form *body*."""
    return {
        "Content-Type": "application/x-www-form-urlencoded",
        "User-Agent": USER_AGENT,
        "Accept": "application/json,*/*",
        "X-Slack-Request-Timestamp": str(timestamp),
        "X-Slack-Signature": sign(body, secret=secret, timestamp=timestamp),
    }


class Courier:
    """Carries deliveries to one app; every delivery over a connection of its own."""

    def __init__(self, *, ack_seconds: float = ACK_SECONDS) -> None:
        self.gateway_url = ""
        self.ack_seconds = ack_seconds

    async def send(self, delivery: Delivery) -> None:
        """*delivery* has its outcome: acknowledged, late, refused or not arrived."""
        started = time.perf_counter()
        try:
            async with asyncio.timeout(self.ack_seconds):
                await self._post(delivery)
        except TimeoutError:
            delivery.status = "timeout"
            delivery.note = _timeout_note(delivery)
        except OSError:
            delivery.status = "unreachable"
            delivery.note = _error_note(delivery, "Slack could not reach the app")
        else:
            _judge(delivery)
        delivery.ack_ms = (time.perf_counter() - started) * 1000

    async def _post(self, delivery: Delivery) -> None:
        url = f"{self.gateway_url}{delivery.path}"
        answer = await http_post.post(url, headers=delivery.headers, body=delivery.body)
        delivery.http_status = answer.status
        delivery.answer = bytes(answer.body)
        delivery.answer_type = answer.headers.get("content-type", "")
        delivery.request = answer.headers.get("x-request-id")
        delivery.run = answer.headers.get("x-tidegate-run")


def _judge(delivery: Delivery) -> None:
    if delivery.http_status == 200:
        delivery.status = "acked"
        return
    delivery.status = "error"
    words = f"This app responded with Status Code {delivery.http_status}"
    delivery.note = _error_note(delivery, words)


def _timeout_note(delivery: Delivery) -> str:
    if delivery.kind == "command":
        return f'{delivery.title} failed with the error "operation_timeout"'
    return "Operation timed out. Apps need to respond within three seconds."


def _error_note(delivery: Delivery, words: str) -> str:
    if delivery.kind == "command":
        return f'{delivery.title} failed with the error "dispatch_failed"'
    return f"{words}."
