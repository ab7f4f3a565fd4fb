"""What must hold after a crash and a restart: nothing lost, nothing twice."""

import asyncio
import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from starlette.responses import JSONResponse, Response

from tests.service import Seen, done
from tests.stand import Stand, buttons
from tidegate_dev.slack.deliveries import Delivery

Place = Literal["own", "foreign", "command"]

DONE = "done"
UNKNOWN = "outcome unknown"

OPEN_RUNS = (
    "SELECT count(*) FROM runs WHERE state NOT IN "
    "('succeeded', 'failed', 'unknown', 'denied', 'expired', 'cancelled')"
)
OPEN_VIEWS = "SELECT count(*) FROM views WHERE version > rendered_version AND posting <> 'given_up'"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of press: where its button is, and what the configuration says of its action."""

    place: Place
    trigger: str
    idempotent: bool


KINDS = {
    "own": Kind(place="own", trigger="k8s_deploy", idempotent=True),
    "own_once": Kind(place="own", trigger="k8s_once", idempotent=False),
    "own_long": Kind(place="own", trigger="k8s_long", idempotent=True),
    "foreign": Kind(place="foreign", trigger="k8s_deploy", idempotent=True),
    "foreign_once": Kind(place="foreign", trigger="k8s_once", idempotent=False),
    "command": Kind(place="command", trigger="/deploy", idempotent=True),
    "command_once": Kind(place="command", trigger="/once", idempotent=False),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Press:
    """One press on a button of its own, with a deployment of its own."""

    kind: Kind
    channel: str
    deployment: str
    ts: str | None
    delivery: Delivery


def configure(config: dict[str, Any]) -> None:
    """Give the configuration one action for each kind of press."""
    allow = {"users": ["U0ADA", "U0GRACE"]}
    params = {"namespace": {"default": "staging"}, "deployment": {"required": True}}
    word = {"deployment": {"required": True, "from": "text[0]"}}
    deploy = {"method": "POST", "path": "/api/v1/deploy"}
    long = {"method": "POST", "path": "/api/v1/long"}
    base = {"pathway": "cluster", "allow": allow}
    config["actions"] = {
        name: base | {"match": match, "request": request, "params": of, "idempotent": idempotent}
        for name, match, request, of, idempotent in (
            ("deploy", {"action_id": ["k8s_deploy"]}, deploy, params, True),
            ("once", {"action_id": ["k8s_once"]}, deploy, params, False),
            ("long", {"action_id": ["k8s_long"]}, long, params, True),
            ("command", {"command": ["/deploy"]}, deploy, word, True),
            ("command-once", {"command": ["/once"]}, deploy, word, False),
        )
    }


@dataclass(slots=True)
class Work:
    """A service's answers: at once, after a while, or long work that is polled."""

    seconds: float = 0.0

    async def __call__(self, seen: Seen) -> Response:
        if seen.method == "GET":
            return JSONResponse({"phase": "succeeded", "message": "all done"})
        if self.seconds:
            await asyncio.sleep(self.seconds)
        if seen.path.endswith("/long"):
            where = f"/api/v1/long/operations/{seen.key}"
            return JSONResponse({"message": "began"}, 202, headers={"Location": where})
        return done(seen)


def prepare(stand: Stand, kind: Kind, channel: str, deployment: str) -> Press:
    """Return a press that is not yet sent."""
    slack = stand.slack
    if kind.place == "command":
        delivery = slack.begin_command(kind.trigger, deployment, channel=channel)
        return Press(kind=kind, channel=channel, deployment=deployment, ts=None, delivery=delivery)
    blocks = buttons((kind.trigger, deployment))
    if kind.place == "own":
        ts = slack.post_as_bot(channel, "Deploy?", blocks)
    else:
        ts = slack.post_as_other(channel, "Deploy?", blocks)
    delivery = slack.begin_click(channel=channel, ts=ts, action_id=kind.trigger)
    return Press(kind=kind, channel=channel, deployment=deployment, ts=ts, delivery=delivery)


async def press_all(stand: Stand, presses: Sequence[Press]) -> None:
    """Send all presses at once and return when each has its outcome, good or bad."""
    await asyncio.gather(*(stand.slack.finish(press.delivery) for press in presses))


# --- what is told -----------------------------------------------------------------------


def posted(stand: Stand, press: Press) -> list[str]:
    """Return the content of the messages that were posted for a press."""
    found = []
    for message in stand.slack.messages(press.channel):
        payload = (message.metadata or {}).get("event_payload", {})
        if payload.get("run") and press.deployment in message.text:
            found.append(json.dumps([message.text, message.blocks], ensure_ascii=False))
    return found


def told(stand: Stand, press: Press) -> list[str]:
    """Return everything in the channel that tells of a press."""
    if press.kind.place == "own":
        message = stand.slack.message(press.channel, press.ts or "")
        own = json.dumps([message.text, message.blocks], ensure_ascii=False)
        shown = [own] if "tg-" in own else []
        return shown + posted(stand, press)
    return posted(stand, press)


def ended(stand: Stand, press: Press) -> bool:
    texts = told(stand, press)
    return bool(texts) and all(f"· {DONE}" in text or UNKNOWN in text for text in texts)


async def all_told(stand: Stand, presses: Sequence[Press], *, seconds: float) -> None:
    """Return once every acknowledged press is told to its end."""
    acked = [press for press in presses if press.delivery.acked]

    def complete() -> bool:
        return all(ended(stand, press) for press in acked)

    try:
        await stand.slack.wait_for(complete, seconds=seconds)
    except TimeoutError:
        late = [
            f"{press.kind} {press.deployment} run {press.delivery.run}: {told(stand, press)}"
            for press in acked
            if not ended(stand, press)
        ]
        log = "\n".join(stand.gateway.raw[-40:])
        raise AssertionError(f"not told in {seconds} s: {late}\n{log}") from None


def folder_for(path: Path, name: str) -> Path:
    """Return a new folder for one of several gateways."""
    folder = path / name
    folder.mkdir()
    return folder


async def settled(folder: Path, *, seconds: float = 20.0) -> None:
    """Return once no run is under way and no message is out of date: nothing more will come."""
    async with asyncio.timeout(seconds):
        while _open_work(folder):  # noqa: ASYNC110 - another process's file gives no event
            await asyncio.sleep(0.05)


def _open_work(folder: Path) -> int:
    connection = sqlite3.connect(f"file:{folder}/tidegate.db?mode=ro", uri=True, timeout=5.0)
    try:
        counts = [connection.execute(sql).fetchone()[0] for sql in (OPEN_RUNS, OPEN_VIEWS)]
    finally:
        connection.close()
    return sum(counts)


# --- what must hold ---------------------------------------------------------------------


def problems(stand: Stand, presses: Sequence[Press]) -> list[str]:
    """Return in words what does not hold; nothing if all is well."""
    found: list[str] = []
    for press in presses:
        name = f"{press.kind.place} {press.kind.trigger} {press.deployment}"
        found += [f"{name}: {text}" for text in _wrong(stand, press)]
    return found


def _wrong(stand: Stand, press: Press) -> list[str]:
    posts = stand.service.posts_for(press.deployment)
    keys = {seen.key for seen in posts}
    texts = told(stand, press)
    found = []
    if len(keys) > 1:
        found.append(f"{len(keys)} effects")
    if not press.kind.idempotent and len(posts) > 1:
        found.append(f"{len(posts)} requests though nobody may send twice")
    if len(texts) > 1:
        found.append(f"{len(texts)} messages: {texts}")
    if press.delivery.acked:
        found += _lost(press, keys, texts)
    return found


def _lost(press: Press, keys: set[str], texts: list[str]) -> list[str]:
    run = press.delivery.run
    if len(texts) != 1:
        return [f"acknowledged, and {len(texts)} messages"]
    found = []
    text = texts[0]
    if keys - {run}:
        found.append(f"another key than its run {run}: {keys}")
    succeeded = f"· {DONE}" in text
    if press.kind.idempotent and not (succeeded and keys == {run}):
        found.append(f"acknowledged, effects {keys}, told {text}")
    if succeeded and keys != {run}:
        found.append(f"told as done without an effect: {text}")
    if not succeeded and UNKNOWN not in text:
        found.append(f"neither done nor unknown: {text}")
    if text.count(f'"tg-{run}"') != 1:
        found.append(f"the run is not told exactly once: {text}")
    if press.kind.place == "own" and f'"action_id": "{press.kind.trigger}"' in text:
        found.append("its button is still there")
    return found
