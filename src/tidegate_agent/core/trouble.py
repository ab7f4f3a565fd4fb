"""Why a workload is not as it should be, in one plain sentence.

Read from its pods, its conditions and the events about it; the most telling comes first: what
keeps a new pod from running, then what keeps pods from being made at all.
https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tidegate_agent.core import fields, moment, redaction, rollout
from tidegate_agent.core.workload import Workload, containers

MAX_DETAIL: Final = 300  # characters of the cluster's own words in a sentence
MAX_EVENTS: Final = 5

_PULL: Final = frozenset(
    {
        "ErrImagePull",
        "ImagePullBackOff",
        "ErrImageNeverPull",
        "InvalidImageName",
        "ImageInspectError",
        "RegistryUnavailable",
    }
)
_CREATE: Final = frozenset(
    {
        "CreateContainerConfigError",
        "CreateContainerError",
        "RunContainerError",
        "PreCreateHookError",
        "PreStartHookError",
        "PostStartHookError",
    }
)
_CRASH: Final = "CrashLoopBackOff"
_SCHEDULED: Final = "updatedNumberScheduled"  # a DaemonSet's word for `updatedReplicas`


@dataclass(frozen=True, slots=True, kw_only=True)
class Warned:
    """A warning event about a workload or what belongs to it.

    Attributes:
        at: When it last was, in seconds since the Unix epoch.
        about: The name of the object.
    """

    at: float
    about: str
    reason: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """What is wrong.

    Attributes:
        reason: Kubernetes' word for it, such as `ImagePullBackOff`.
        sentence: What people are told.
    """

    reason: str
    sentence: str


def find(
    now: Workload, pods: Iterable[Mapping[str, Any]], warnings: Sequence[Warned] = ()
) -> Trouble | None:
    """Return what keeps a workload's new pods from running, or None if nothing shows.

    Args:
        now: The workload.
        pods: Those that its selector matches.
        warnings: About it and them, newest first.
    """
    new = newest(now, pods)
    for look in (_of_containers, _unready):
        for pod in new:
            if (found := look(pod, warnings)) is not None:
                return found
    for pod in new:
        if (found := _unschedulable(pod)) is not None:
            return found
    return _not_created(now, warnings) or _late(now)


def newest(now: Workload, pods: Iterable[Mapping[str, Any]]) -> tuple[Mapping[str, Any], ...]:
    """Return the pods made from the workload's present template, newest first.

    They are known by what their template says. Where an admission webhook writes other images into
    pods, none is: then, if the workload says that there are new ones, they are those of the newest.
    """
    ordered = sorted(pods, key=_made_at, reverse=True)
    mine = [pod for pod in ordered if _made_from(pod, now.template)]
    if not mine and ordered and _has_new(now):
        kin = _hash(ordered[0])
        mine = [pod for pod in ordered if _hash(pod) == kin]
    return tuple(mine)


def warnings(
    now: Workload, events: Iterable[Mapping[str, Any]], *, pods: Iterable[str], since: float
) -> tuple[Warned, ...]:
    """Return the warnings about a workload, its ReplicaSets and its pods, newest first.

    Args:
        now: The workload.
        events: Of its namespace.
        pods: The names of its pods.
        since: Older ones are left out; seconds since the Unix epoch.
    """
    names = {*pods, now.target.name}
    found: dict[tuple[str, str, str], Warned] = {}
    for event in events:
        about = fields.text(event, "involvedObject", "name")
        if fields.text(event, "type") != "Warning" or not _concerns(event, now, names):
            continue
        warned = Warned(
            at=_last(event),
            about=about,
            reason=fields.text(event, "reason"),
            text=_detail(fields.text(event, "message")),
        )
        key = (warned.about, warned.reason, warned.text)
        if warned.at >= since and (key not in found or found[key].at < warned.at):
            found[key] = warned
    return tuple(sorted(found.values(), key=lambda each: each.at, reverse=True))


def _concerns(event: Mapping[str, Any], now: Workload, names: set[str]) -> bool:
    kind = fields.text(event, "involvedObject", "kind")
    about = fields.text(event, "involvedObject", "name")
    if kind == now.target.kind.kind:
        return about == now.target.name
    if kind == "Pod":
        return about in names
    head, _, tail = about.rpartition("-")
    return kind == "ReplicaSet" and head == now.target.name and bool(tail)


def _last(event: Mapping[str, Any]) -> float:
    for path in (
        ("series", "lastObservedTime"),
        ("lastTimestamp",),
        ("eventTime",),
        ("metadata", "creationTimestamp"),
    ):
        if (at := moment.seconds(event, *path)) is not None:
            return at
    return 0.0


def _made_at(pod: Mapping[str, Any]) -> float:
    return moment.seconds(pod, "metadata", "creationTimestamp") or 0.0


def _has_new(now: Workload) -> bool:
    """Return whether the controller has seen the present template, and has made pods of it."""
    status = fields.mapping(now.raw, "status")
    made = max(fields.number(status, "updatedReplicas"), fields.number(status, _SCHEDULED))
    return made > 0 and fields.number(status, "observedGeneration") >= now.generation


def _hash(pod: Mapping[str, Any]) -> str:
    """Return what the controller marks pods of one template with."""
    labels = fields.texts(pod, "metadata", "labels")
    return labels.get("pod-template-hash") or labels.get("controller-revision-hash", "")


def _made_from(pod: Mapping[str, Any], template: Mapping[str, Any]) -> bool:
    """Return whether a pod has what tells a template from those before it: images, annotations."""
    have = {each.name: each.image for each in containers(pod)}
    if any(have.get(each.name) != each.image for each in containers(template)):
        return False
    annotations = fields.texts(pod, "metadata", "annotations")
    wanted = fields.texts(template, "metadata", "annotations")
    return all(annotations.get(name) == text for name, text in wanted.items())


def _of_containers(pod: Mapping[str, Any], _: Sequence[Warned]) -> Trouble | None:
    for part in ("initContainerStatuses", "containerStatuses"):
        for status in fields.mappings(pod, "status", part):
            if (found := _of_container(status)) is not None:
                return found
    return None


def _of_container(status: Mapping[str, Any]) -> Trouble | None:
    name, waiting = fields.text(status, "name"), fields.mapping(status, "state", "waiting")
    reason, detail = fields.text(waiting, "reason"), _detail(fields.text(waiting, "message"))
    if reason in _PULL:
        image = _detail(fields.text(status, "image"))
        words = f"The image {image} cannot be pulled ({reason})"
        # Of the whole message: what it comes to stands at its end.
        why = _why_not_pulled(fields.text(waiting, "message")) or detail
        return Trouble(reason=reason, sentence=_with(words, why))
    if reason in _CREATE:
        return Trouble(
            reason=reason,
            sentence=_with(f"The container {name} cannot be started ({reason})", detail),
        )
    ended = fields.mapping(status, "state", "terminated") or fields.mapping(
        status, "lastState", "terminated"
    )
    if reason == _CRASH:
        return Trouble(reason=reason, sentence=f"The container {name} keeps ending{_how(ended)}.")
    # Between two starts it shows no back-off yet: that it ended, with an error, says it as well.
    if fields.mapping(status, "state", "terminated") and fields.number(ended, "exitCode"):
        said = fields.text(ended, "reason") or "Error"
        return Trouble(reason=said, sentence=f"The container {name} ended{_how(ended)}.")
    return None


def _how(ended: Mapping[str, Any]) -> str:
    """Return how a container ended, as the end of a sentence."""
    if not ended:
        return f" ({_CRASH})"
    code, reason = fields.number(ended, "exitCode"), fields.text(ended, "reason")
    if reason == "OOMKilled":
        return f", killed for using more memory than it may (OOMKilled, exit code {code})"
    said = f" ({reason})" if reason and reason not in {"Error", "Completed"} else ""
    return f" with exit code {code}{said}"


def _unready(pod: Mapping[str, Any], warned: Sequence[Warned]) -> Trouble | None:
    """Return what a probe says of a container that runs and is not ready."""
    name = fields.text(pod, "metadata", "name")
    running = [
        fields.text(status, "name")
        for status in fields.mappings(pod, "status", "containerStatuses")
        if fields.mapping(status, "state", "running") and status.get("ready") is not True
    ]
    for each in warned:
        if running and each.about == name and each.reason == "Unhealthy":
            words = f"The container {running[0]} runs, and is not ready"
            return Trouble(reason=each.reason, sentence=_with(words, each.text))
    return None


def _unschedulable(pod: Mapping[str, Any]) -> Trouble | None:
    scheduled = rollout.condition(pod, "PodScheduled")
    if scheduled.get("status") != "False" or scheduled.get("reason") != "Unschedulable":
        return None
    words = "There is no node for a new pod (Unschedulable)"
    detail = _detail(fields.text(scheduled, "message"))
    return Trouble(reason="Unschedulable", sentence=_with(words, detail))


#: What stands in a container runtime's words, and what it means; they repeat the image's name.
_PULL_WORDS: Final = (
    (
        ("not found", "notfound", "manifest unknown"),
        "there is none of that name, or the cluster may not see it",
    ),
    (
        ("unauthorized", "denied", "forbidden", "authorization", "no basic auth"),
        "the registry does not let the cluster in; look at its pull secret",
    ),
    (("no such host", "timeout", "refused", "unreachable"), "the registry cannot be reached"),
)


def _why_not_pulled(message: str) -> str:
    """Return what a runtime's message comes to; empty where it says nothing that is known."""
    found = message.lower()
    for words, meaning in _PULL_WORDS:
        if any(word in found for word in words):
            return meaning
    return ""


def _not_created(now: Workload, warned: Sequence[Warned]) -> Trouble | None:
    failure = rollout.condition(now.raw, "ReplicaFailure")
    if failure.get("status") == "True":
        reason = fields.text(failure, "reason") or "FailedCreate"
        detail = _detail(fields.text(failure, "message"))
        return _creation(reason, detail)
    if now.raw.get("kind", now.target.kind.kind) == "Deployment":
        return None  # its condition would say so; an event may be about what is over
    for each in warned:
        if each.reason == "FailedCreate":
            return _creation(each.reason, each.text)
    return None


def _creation(reason: str, detail: str) -> Trouble:
    words = "the quota is used up" if "exceeded quota" in detail else "the cluster refuses them"
    return Trouble(
        reason=reason, sentence=_with(f"No new pods can be made, {words} ({reason})", detail)
    )


def _late(now: Workload) -> Trouble | None:
    progressing = rollout.condition(now.raw, "Progressing")
    if progressing.get("reason") != rollout.DEADLINE_EXCEEDED:
        return None
    seconds = fields.number(now.raw, "spec", "progressDeadlineSeconds", default=600)
    return Trouble(
        reason=rollout.DEADLINE_EXCEEDED,
        sentence=f"Nothing has moved for {seconds} s ({rollout.DEADLINE_EXCEEDED}).",
    )


def _with(words: str, detail: str) -> str:
    if not detail:
        return f"{words}."
    return f"{words}: {detail}" + ("" if detail.endswith((".", "…", "!")) else ".")


def _detail(text: str) -> str:
    """Return the cluster's own words on one line, cut and without secrets."""
    flat = redaction.line(" ".join(text.split()))
    return flat if len(flat) <= MAX_DETAIL else flat[: MAX_DETAIL - 1] + "…"
