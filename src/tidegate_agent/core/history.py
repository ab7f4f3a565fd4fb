"""The revisions of a workload, and which of them to go back to, as `kubectl rollout undo` has it.

A Deployment's revisions are its ReplicaSets, the others' are ControllerRevisions.
https://github.com/kubernetes/kubectl/blob/master/pkg/polymorphichelpers/history.go
https://github.com/kubernetes/kubectl/blob/master/pkg/polymorphichelpers/rollback.go
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tidegate_agent.core import fields
from tidegate_agent.core.kinds import DEPLOYMENT
from tidegate_agent.core.workload import CHANGE_CAUSE, Workload, containers
from tidegate_agent.errors import MissingError, StateError

REVISION: Final = "deployment.kubernetes.io/revision"
HASH_LABEL: Final = "pod-template-hash"


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """One revision of a workload.

    Attributes:
        template: The pod template, without what the controllers add to it.
        annotations: Those of the ReplicaSet or ControllerRevision.
    """

    number: int
    template: Mapping[str, Any]
    annotations: Mapping[str, str]

    @property
    def images(self) -> str:
        """Return the images that it runs, as people are told."""
        return ", ".join(each.image for each in containers(self.template))

    @property
    def cause(self) -> str:
        """Return what was noted as its cause, or nothing."""
        return self.annotations.get(CHANGE_CAUSE, "")


def of(workload: Workload, owned: Iterable[Mapping[str, Any]]) -> tuple[Revision, ...]:
    """Return a workload's revisions, oldest first.

    Args:
        workload: Whose.
        owned: ReplicaSets or ControllerRevisions that its selector matches; those that another
            controls are left out.
    """
    mine = [each for each in owned if controlled_by(each, workload.uid)]
    read = _replica_set if workload.target.kind is DEPLOYMENT else _controller_revision
    found = [revision for each in mine if (revision := read(each)) is not None]
    return tuple(sorted(found, key=lambda revision: revision.number))


def current(workload: Workload, revisions: Sequence[Revision]) -> int | None:
    """Return the number of the revision that the workload's template is, or None."""
    for revision in reversed(revisions):
        if same(revision.template, workload.template):
            return revision.number
    return None


def choose(workload: Workload, revisions: Sequence[Revision], number: int) -> Revision:
    """Return the revision to go back to.

    Args:
        workload: Whose.
        revisions: Oldest first.
        number: Which; 0 is the one before the newest.

    Raises:
        MissingError: There is no such revision.
        StateError: There is none before the newest.
    """
    if number == 0:
        if len(revisions) < 2:
            raise StateError(f"{workload.target.words} has no earlier revision.")
        return revisions[-2]
    for revision in revisions:
        if revision.number == number:
            return revision
    there = ", ".join(str(revision.number) for revision in revisions) or "none"
    raise MissingError(
        f"{workload.target.words} has no revision {number}; there are {there}.", field="revision"
    )


def same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Return whether two templates are the same but for the label that the controller adds."""
    return plain(one) == plain(other)


def plain(template: Mapping[str, Any]) -> dict[str, Any]:
    """Return a template without what controllers and patches add to it."""
    bare = {name: value for name, value in template.items() if name != "$patch"}
    metadata = dict(fields.mapping(template, "metadata"))
    labels = {k: v for k, v in fields.texts(metadata, "labels").items() if k != HASH_LABEL}
    metadata.pop("labels", None)
    if labels:
        metadata["labels"] = labels
    # Written as null by servers, and left out by others: it says nothing.
    metadata = {name: value for name, value in metadata.items() if value not in (None, {})}
    bare.pop("metadata", None)
    return {**bare, "metadata": metadata} if metadata else bare


def controlled_by(obj: Mapping[str, Any], uid: str) -> bool:
    """Return whether an object's controller is the one of that uid."""
    return bool(uid) and any(
        each.get("uid") == uid and each.get("controller") is True
        for each in fields.mappings(obj, "metadata", "ownerReferences")
    )


def _replica_set(raw: Mapping[str, Any]) -> Revision | None:
    annotations = fields.texts(raw, "metadata", "annotations")
    number = fields.digits(annotations.get(REVISION, ""))
    if number is None:
        return None
    template = plain(fields.mapping(raw, "spec", "template"))
    return Revision(number=number, template=template, annotations=annotations)


def _controller_revision(raw: Mapping[str, Any]) -> Revision | None:
    template = fields.mapping(raw, "data", "spec", "template")
    if not template:
        return None
    return Revision(
        number=fields.number(raw, "revision"),
        template=plain(template),
        annotations=fields.texts(raw, "metadata", "annotations"),
    )
