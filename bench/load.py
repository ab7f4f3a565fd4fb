"""Load: signed clicks, each a different one, over a number of connections kept open.

The requests are made beforehand, so that the client costs little while it measures.
"""

import asyncio
import hashlib
import hmac
import itertools
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from urllib.parse import quote_plus

SECRET = "bench-signing-secret"
TEAM, BOT, USER, CHANNEL = "T0BENCH", "B0BENCH", "U0ADA", "C0OPS"
_TS, _ACTION_TS = "1111111111.111111", "2222222222.222222"
#: Made for each second of a burst, so that none has to be made in it: more than anyone answers.
#: Each takes 4 KB.
_PER_SECOND = 9000
_MOST = 45_000


def payload(*, bot_id: str = BOT) -> dict[str, object]:
    """Return a click as Slack sends it, about 2 KB of JSON."""
    text = {"type": "mrkdwn", "text": "*Deploy web 2.4.1 to staging?*\n" + "Built by CI. " * 12}
    button = {
        "type": "button",
        "action_id": "k8s_deploy",
        "text": {"type": "plain_text", "text": "Deploy", "emoji": True},
        "value": json.dumps({"namespace": "staging", "deployment": "web"}),
        "style": "primary",
    }
    blocks = [
        {"type": "section", "block_id": "s1", "text": text},
        {"type": "actions", "block_id": "b1", "elements": [button]},
        {
            "type": "context",
            "block_id": "c1",
            "elements": [{"type": "mrkdwn", "text": "registry.example/web@sha256:" + "a" * 64}],
        },
    ]
    return {
        "type": "block_actions",
        "team": {"id": TEAM, "domain": "bench"},
        "user": {"id": USER, "username": "ada", "name": "ada", "team_id": TEAM},
        "api_app_id": "A0BENCH",
        "token": "deprecated",
        "container": {
            "type": "message",
            "message_ts": _TS,
            "channel_id": CHANNEL,
            "is_ephemeral": False,
        },
        "trigger_id": f"{_ACTION_TS}.333649436676.d8c1bb837935619ccad0f624c448ffb3",
        "channel": {"id": CHANNEL, "name": "ops"},
        "message": {
            "type": "message",
            "bot_id": bot_id,
            "app_id": "A0BENCH",
            "user": "U0BOT",
            "ts": _TS,
            "text": "Deploy web 2.4.1 to staging?",
            "team": TEAM,
            "blocks": blocks,
        },
        "state": {"values": {}},
        "response_url": f"https://hooks.slack.com/actions/{TEAM}/123/abc",
        "enterprise": None,
        "is_enterprise_install": False,
        "actions": [{**button, "block_id": "b1", "action_ts": _ACTION_TS}],
    }


def enough(seconds: float) -> int:
    """Return how many requests to make for a burst; one that uses them up ends sooner."""
    return min(_MOST, int(seconds * _PER_SECOND))


def requests(*, bot_id: str = BOT) -> Iterator[bytes]:
    """Yield signed HTTP requests, each a different one."""
    form = b"payload=" + quote_plus(json.dumps(payload(bot_id=bot_id))).encode()
    started = int(time.time())
    for number in itertools.count():
        ts = f"{started - 60}.{number:06d}".encode()
        body = form.replace(_TS.encode(), ts).replace(_ACTION_TS.encode(), b"3" + ts[1:])
        stamp = b"%d" % time.time()
        base = b"v0:" + stamp + b":" + body
        sign = hmac.new(SECRET.encode(), base, hashlib.sha256).hexdigest().encode()
        yield (
            b"POST /slack/actions HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            b"Content-Type: application/x-www-form-urlencoded\r\n"
            b"X-Slack-Request-Timestamp: " + stamp + b"\r\n"
            b"X-Slack-Signature: v0=" + sign + b"\r\n"
            b"Content-Length: %d\r\n\r\n" % len(body)
        ) + body


@dataclass(slots=True)
class Burst:
    """What a burst measured. Times in seconds."""

    seconds: float = 0.0
    times: list[float] = field(default_factory=list)
    refused: int = 0

    @property
    def rate(self) -> float:
        """Answers with 200 per second."""
        return len(self.times) / self.seconds if self.seconds else 0.0

    def percentile(self, share: float) -> float:
        """Return the time within which *share* of the answers came."""
        ordered = sorted(self.times)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0


class _Connection(asyncio.Protocol):
    """Sends one request after the other and reads the status of each answer."""

    def __init__(self, source: Iterator[bytes], until: float, burst: Burst) -> None:
        self._source = source
        self._until = until
        self._burst = burst
        self._sent = 0.0
        self._buffer = b""
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._next()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, gap, rest = self._buffer.partition(b"\r\n\r\n")
        if not gap:
            return
        length = next(
            (
                int(line[15:])
                for line in head.lower().split(b"\r\n")
                if line[:15] == b"content-length:"
            ),
            0,
        )
        if len(rest) < length:
            return
        self._buffer = b""
        if head.startswith(b"HTTP/1.1 200"):
            self._burst.times.append(time.perf_counter() - self._sent)
        else:
            self._burst.refused += 1
        self._next()

    def connection_lost(self, _exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_result(None)

    def _next(self) -> None:
        request = next(self._source, None) if time.perf_counter() < self._until else None
        if request is None:
            self._transport.close()
            return
        self._sent = time.perf_counter()
        self._transport.write(request)  # type: ignore[attr-defined]


async def burst(port: int, made: Sequence[bytes], *, connections: int, seconds: float) -> Burst:
    """Send what was made for *seconds* over so many connections."""
    found, source = Burst(), iter(made)
    loop = asyncio.get_running_loop()
    started = time.perf_counter()
    opened = [
        await loop.create_connection(
            lambda: _Connection(source, started + seconds, found), "127.0.0.1", port
        )
        for _ in range(connections)
    ]
    await asyncio.gather(*(protocol.done for _, protocol in opened))
    found.seconds = time.perf_counter() - started
    return found
