"""The keys that make one click one effect."""

import hashlib
import hmac
from typing import Final

import msgspec

from tidegate.core.model import Interaction, Kind, Run
from tidegate.core.text import is_whole

#: Action ids of our own buttons begin so; routes cannot match them.
OWN_PREFIX: Final = "tidegate:"


def delivery_key(found: Interaction, body: bytes) -> str:
    """Return the key that is the same exactly when Slack delivers the same thing again."""
    place = found.team_id or found.enterprise_id
    if found.kind is Kind.BLOCK_ACTIONS and found.action_ts:
        # A message's ts is its own within its channel only.
        container = (found.channel_id, found.container_id)
        parts = (place, found.actor.user_id, *container, found.block_id)
        return _digest(f"action:{found.action_ts}", *parts, found.trigger, found.action_ts)
    if found.kind in (Kind.VIEW_SUBMISSION, Kind.VIEW_CLOSED) and found.view_hash:
        return _digest(found.kind, place, found.container_id, found.view_hash)
    if found.event_id:
        return _digest("event", place, found.event_id)
    if found.trigger_id:
        return _digest("trigger", place, found.trigger_id)
    return f"body:{hashlib.sha256(body).hexdigest()}"


def body_key(body: bytes) -> str:
    """Return a delivery key for a request that may be corrected and sent again."""
    return f"body:{hashlib.sha256(body).hexdigest()}"


def effect_key(found: Interaction) -> str | None:
    """Return the key that is the same for the same intent on the same message, by whomever.

    None where there is no message to press twice: commands, global shortcuts, modals, Home.
    """
    if found.kind not in (Kind.BLOCK_ACTIONS, Kind.MESSAGE_ACTION) or not found.container_id:
        return None
    if found.channel_id is None:  # a view: a Home tab keeps its id for ever
        return None
    return _effect(
        found.team_id or found.enterprise_id,
        found.channel_id,
        found.container_id,
        found.block_id,
        found.trigger,
        value_digest(found.value),
    )


def effect_key_of(run: Run) -> str | None:
    """Return the effect key that a run's click had, whether or not it was given back since."""
    if run.kind not in (Kind.BLOCK_ACTIONS, Kind.MESSAGE_ACTION) or run.message_ts is None:
        return run.effect_key
    return _effect(
        run.team_id,
        run.channel_id,
        run.message_ts,
        run.block_id,
        run.action_id,
        run.value_digest,
    )


def value_digest(value: str) -> str:
    """Return SHA-256 of an element's value, in hexadecimal."""
    return hashlib.sha256(value.encode("utf-8", "surrogatepass")).hexdigest()


def seal(secret: bytes, *, team_id: str, channel_id: str | None, run_id: str) -> str:
    """Return the proof, carried by our own buttons, that we put them there."""
    text = msgspec.json.encode(("button", team_id, channel_id, run_id))
    return hmac.new(secret, text, hashlib.sha256).hexdigest()[:40]


def sealed_value(secret: bytes, *, team_id: str, channel_id: str | None, run_id: str) -> str:
    """Return the value of one of our own buttons: run id and proof."""
    proof = seal(secret, team_id=team_id, channel_id=channel_id, run_id=run_id)
    return f"{run_id}.{proof}"


def unseal(secret: bytes, value: str, *, team_id: str, channel_id: str | None) -> str | None:
    """Return the run id of one of our own buttons, or None if the proof does not hold."""
    if not is_whole(value):
        return None
    run_id, _, proof = value.partition(".")
    expected = seal(secret, team_id=team_id, channel_id=channel_id, run_id=run_id)
    return run_id if hmac.compare_digest(expected.encode(), proof.encode()) else None


def _effect(place: str | None, channel_id: str | None, container_id: str, *parts: str) -> str:
    return _digest(f"effect:{container_id}", place, channel_id, container_id, *parts)


def _digest(kind: str, *parts: str | None) -> str:
    # JSON keeps the parts apart, whatever is in them. Where the kind carries a time, keys that
    # come together lie together in an index.
    return f"{kind}:{hashlib.sha256(msgspec.json.encode(parts)).hexdigest()[:40]}"
