"""The second pass of a journey that reaches the cluster: what the agent and the cluster did.

Two sources tell it. The cluster's audit says who asked it for what, as whom, and what it answered;
each request there bears its run. The agent's answers, as they came back through the edge, say
what was changed and how far it is.
"""

from collections.abc import Mapping
from typing import Any, Final

from tidegate_dev.journey import Journey
from tidegate_dev.rights import PERSON

Json = dict[str, Any]

MOST_REQUESTS: Final = 30
_NOT_BELIEVED: Final = 401
_FORBIDDEN: Final = 403
_ENDED: Final = frozenset({"succeeded", "failed", "cancelled"})
_KINDS: Final = {
    "daemonsets": "DaemonSet",
    "deployments": "Deployment",
    "statefulsets": "StatefulSet",
}


def asked(journey: Journey, entry: Mapping[str, Any]) -> None:
    """Somebody asked the cluster for something in the journey's run."""
    _identified(journey, entry["acting_as"])
    _acted(journey, entry)
    if entry["code"] == _FORBIDDEN:
        _refused(journey, entry)
    elif entry["verb"] == "patch" and not entry["dry_run"]:
        _patched(journey, entry)


def _identified(journey: Journey, acting: Mapping[str, Any]) -> None:
    """The agent has told the cluster whom it acts for: so it believes who asked."""
    extra = acting.get("extra", {})
    step = journey.step("identified", "agent verified")
    step.label, step.status = "agent verified", "done"
    step.value = ", ".join(person.rpartition(":")[2] for person in extra.get(PERSON, []))
    step.details = {"extra": extra}


def _acted(journey: Journey, entry: Mapping[str, Any]) -> None:
    acting = entry["acting_as"]
    groups = acting.get("groups", [])
    step = journey.step("acted", "acts as")
    step.status, step.value = "done", ", ".join(_own(groups))
    before = (step.details or {}).get("requests", [])
    step.details = {
        "user": acting["username"],
        "groups": groups,
        "requests": [*before, _request(entry)][-MOST_REQUESTS:],
    }


def answered(journey: Journey, exchange: Mapping[str, Any]) -> None:
    """The agent answered, through the edge."""
    answer = exchange.get("answer")
    if not exchange.get("forwarded") or not isinstance(answer, Mapping):
        return
    if exchange.get("status") == _NOT_BELIEVED:
        step = journey.step("identified", "")
        step.label, step.status = "not verified by the agent", "failed"
        step.value = str(answer.get("message") or "")
        return
    _changed(journey, answer.get("before"), answer.get("after"))
    _far(journey, answer)


def _changed(journey: Journey, before: object, after: object) -> None:
    """Tell what is another now, once the cluster has taken the change."""
    step = journey.steps.get("changed")
    if step is None or step.status != "done" or not after:
        return
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        details = step.details or {}
        step.value = f"{details.get('target', '')}: {_difference(before, after)}"
        step.details = {**details, "before": before, "after": after}


def far(done: object, total: object, answer: Mapping[str, Any]) -> str:
    """Return how far a rollout is, and what the agent says stands in its way."""
    reason = answer.get("reason")
    return f"{done} of {total}" + (f" · {reason}" if isinstance(reason, str) else "")


def _far(journey: Journey, answer: Mapping[str, Any]) -> None:
    """Tell how far the rollout is, and what stands in its way."""
    phase, progress = answer.get("phase"), answer.get("progress")
    if not isinstance(phase, str) or not isinstance(progress, Mapping):
        return
    step = journey.step("progress", "rolling out")
    step.value = far(progress.get("done"), progress.get("total"), answer)
    step.details = dict(answer)
    if phase not in _ENDED and step.status == "waiting":
        step.status = "active"


def _refused(journey: Journey, entry: Mapping[str, Any]) -> None:
    step = journey.step("changed", "refused by the cluster")
    step.label, step.status = "refused by the cluster", "failed"
    step.value = f"may not {entry['verb']} {_resource(entry)} in {entry['namespace']}"
    step.details = {"right": _request(entry), "as": entry["acting_as"]}


def _patched(journey: Journey, entry: Mapping[str, Any]) -> None:
    """A change was sent to the cluster; what it changed the agent's answer will tell."""
    kind = _KINDS.get(entry["resource"], entry["resource"])
    step = journey.step("changed", "changed")
    step.status = "done" if entry["code"] < 300 else "active"
    step.value = f"{kind} {entry['name']}"
    step.details = {"target": step.value, "request": _request(entry)}


def _difference(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """Return what is another now, as `image 2.4.0 → 2.4.1`."""
    parts = [
        f"{name} {_short(name, before[name])} → {_short(name, after[name])}"
        for name in ("revision", "image", "replicas")
        if name in before and name in after and before[name] != after[name]
    ]
    if "restarted_at" in after:
        parts.append("every pod anew")
    return ", ".join(parts) or "as it was"


def _short(name: str, value: object) -> str:
    """Return a value; of an image, its version alone."""
    text = str(value)
    return text.rpartition("/")[2].partition(":")[2] or text if name == "image" else text


def _request(entry: Mapping[str, Any]) -> str:
    """Return a request to the cluster on one line."""
    name = f" {entry['name']}" if entry["name"] else ""
    return f"{entry['verb']} {_resource(entry)}{name} in {entry['namespace']}: {entry['code']}"


def _resource(entry: Mapping[str, Any]) -> str:
    subresource = entry["subresource"]
    return f"{entry['resource']}/{subresource}" if subresource else str(entry["resource"])


def _own(groups: list[str]) -> list[str]:
    """Return the groups that are ours; the cluster adds its own."""
    return [group for group in groups if not group.startswith("system:")]
