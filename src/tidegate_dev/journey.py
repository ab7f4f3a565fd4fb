"""A journey: one click on its way through the gateway, step by step."""

import json
from collections import deque
from dataclasses import dataclass, field
from typing import Any, Final, Literal
from urllib.parse import parse_qs

from tidegate_dev.slack.deliveries import Delivery

Json = dict[str, Any]
Key = Literal[
    "verified",
    "matched",
    "allowed",
    "recorded",
    "acked",
    "checked",
    "sent",
    "identified",
    "acted",
    "changed",
    "progress",
    "placed",
    "answered",
    "told",
    "opened",
    "refused",
]
Status = Literal["done", "active", "waiting", "failed"]

FINAL: Final = frozenset({"succeeded", "failed", "unknown", "denied", "expired", "cancelled"})
_ORDER: Final[tuple[Key, ...]] = (
    "verified",
    "matched",
    "allowed",
    "refused",
    "recorded",
    "acked",
    "checked",
    "sent",
    "identified",
    "acted",
    "changed",
    "progress",
    "placed",
    "answered",
    "told",
    "opened",
)
AFTER_ACK: Final[tuple[Key, ...]] = _ORDER[_ORDER.index("acked") + 1 :]
SHARE_COMMAND: Final = "/share"


@dataclass(slots=True, kw_only=True)
class Step:
    """One step and how far it is."""

    key: Key
    label: str
    value: str = ""
    ms: float | None = None
    status: Status = "waiting"
    details: Json | None = None

    def as_json(self) -> Json:
        """Return the step as the page takes it."""
        return {
            "key": self.key,
            "label": self.label,
            "value": self.value,
            "ms": None if self.ms is None else round(self.ms, 2),
            "status": self.status,
            "details": self.details,
        }


@dataclass(slots=True, kw_only=True)
class Journey:
    """One delivery on its way through the gateway, and the run that came of it.

    *shares* is the key of the object that it asks to be shared, *mode* how; *files* are the ids
    of what Slack made of it, and *requests* what S3 was asked about it. A key that ends in `/` is
    a prefix: *objects* are the sizes of what S3 was asked for below it, *arrived* and *ready* the
    ids of the files whose bytes Slack has, and of those it has looked at.
    """

    id: str
    title: str
    delivery: Delivery
    state: str = "waiting"
    run: str | None = None
    acked_ms: float | None = None
    steps: dict[Key, Step] = field(default_factory=dict)
    lines: deque[Json] = field(default_factory=lambda: deque(maxlen=100))
    calls: deque[Json] = field(default_factory=lambda: deque(maxlen=20))
    exchanges: deque[Json] = field(default_factory=lambda: deque(maxlen=50))
    shares: str | None = None
    mode: str = ""
    openings: int = 0
    files: set[str] = field(default_factory=set)
    requests: deque[Json] = field(default_factory=lambda: deque(maxlen=50))
    objects: dict[str, int] = field(default_factory=dict)
    arrived: set[str] = field(default_factory=set)
    ready: set[str] = field(default_factory=set)

    @property
    def is_gallery(self) -> bool:
        """Whether it shares what lies below a prefix."""
        return self.shares is not None and self.shares.endswith("/")

    def is_about(self, key: object) -> bool:
        """Whether an object is what it shares, or one of these."""
        if not isinstance(key, str) or self.shares is None:
            return False
        return key.startswith(self.shares) if self.is_gallery else key == self.shares

    def step(self, key: Key, label: str) -> Step:
        """Return the step *key*, made when it is new."""
        return self.steps.setdefault(key, Step(key=key, label=label))

    def drop(self, *keys: Key) -> None:
        """Steps that will never be taken are not shown."""
        for key in keys:
            self.steps.pop(key, None)

    @property
    def is_over(self) -> bool:
        """Whether no further step is to come."""
        told = self.steps.get("told")
        return self.state in ("refused", "not_delivered") or (
            self.state in FINAL and (told is None or told.status == "done")
        )

    def _place(self, step: Step) -> float:
        """Where a step stands: who is refused by the worker was recorded and acked before."""
        if step.key == "refused" and "recorded" in self.steps:
            return _ORDER.index("acked") + 0.5
        return _ORDER.index(step.key)

    def as_json(self) -> Json:
        """Return the journey as the page takes it."""
        steps = sorted(self.steps.values(), key=self._place)
        return {
            "id": self.id,
            "title": self.title,
            "user": self.delivery.user,
            "channel": self.delivery.channel,
            "at": self.delivery.at,
            "delivery": self.delivery.id,
            "run": self.run,
            "state": self.state,
            "acked_ms": None if self.acked_ms is None else round(self.acked_ms, 2),
            "steps": [step.as_json() for step in steps],
        }


def title_of(delivery: Delivery) -> str:
    """Return the journey's name: what was pressed, and what it is about."""
    if delivery.kind == "command":
        form = parse_qs(delivery.body.decode("utf-8", "replace"))
        return f"{delivery.title} {' '.join(form.get('text', []))}".strip()
    about = _value(delivery)
    key = shared_key(delivery)
    if key is not None:
        return f"{delivery.title} · {key}"
    target = about.get("deployment")
    namespace = about.get("namespace")
    if isinstance(target, str) and isinstance(namespace, str):
        return f"{delivery.title} · {target} → {namespace}"
    return delivery.title or delivery.kind


def shared_key(delivery: Delivery) -> str | None:
    """Return the key of the object that *delivery* asks to be shared, or None."""
    if delivery.kind == "command":
        form = parse_qs(delivery.body.decode("utf-8", "replace"))
        words = " ".join(form.get("text", [])).split()
        return words[0] if delivery.title == SHARE_COMMAND and words else None
    about = _value(delivery)
    key = about.get("key")
    return key if isinstance(key, str) and isinstance(about.get("bucket"), str) else None


def _value(delivery: Delivery) -> Json:
    payload = payload_of(delivery)
    actions = payload.get("actions") if isinstance(payload, dict) else None
    if not isinstance(actions, list) or not actions:
        return {}
    option = actions[0].get("selected_option") or {}
    try:
        value = json.loads(actions[0].get("value") or option.get("value") or "{}")
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def payload_of(delivery: Delivery) -> Any:
    """Return what *delivery* carries: its payload, or its form."""
    form = parse_qs(delivery.body.decode("utf-8", "replace"), keep_blank_values=True)
    if "payload" not in form:
        return {name: values[0] for name, values in form.items()}
    try:
        return json.loads(form["payload"][0])
    except ValueError:
        return None


def base_string(delivery: Delivery) -> str:
    """Return what Slack's signature of *delivery* is made over."""
    stamp = delivery.headers.get("X-Slack-Request-Timestamp", "")
    return f"v0:{stamp}:{delivery.body.decode('utf-8', 'replace')}"
