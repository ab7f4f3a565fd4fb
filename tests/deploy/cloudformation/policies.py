"""The policies in a template: who may do what, wherever it is written."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from typing_extensions import override

from tests.deploy.cloudformation.templates import Json, Template, either, every, text

#: Properties that hold a policy.
_PLACES: Final = (
    "PolicyDocument",
    "AssumeRolePolicyDocument",
    "KeyPolicy",
    "Policy",
    "ResourcePolicy",
)


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement of a policy.

    Attributes:
        resource: Logical name of the resource that it is written in.
        place: The property that holds it.
        said: The statement itself.
    """

    resource: str
    place: str
    said: Json

    @property
    def sid(self) -> str:
        """Its name; empty if it has none."""
        return str(self.said.get("Sid", ""))

    @property
    def allows(self) -> bool:
        """Whether it allows something."""
        return bool(self.said["Effect"] == "Allow")

    @property
    def actions(self) -> tuple[str, ...]:
        """What it is about."""
        return tuple(text(each) for each in every(self.said.get("Action")))

    @property
    def resources(self) -> tuple[str, ...]:
        """What it may be done to; nothing in a trust policy."""
        return tuple(text(each) for each in every(self.said.get("Resource")))

    @property
    def principals(self) -> tuple[tuple[str, str], ...]:
        """Whom it means, as kind and name; ("*", "*") for everybody."""
        found: list[tuple[str, str]] = []
        for each in either(self.said.get("Principal")):
            if each == "*":
                found.append(("*", "*"))
                continue
            for kind, whom in each.items():
                found += [(kind, text(one)) for one in every(whom)]
        return tuple(found)

    @property
    def conditions(self) -> tuple[tuple[str, str, Any], ...]:
        """What has to hold, as operator, key and value, whatever the template's conditions."""
        return tuple(
            (operator, key, value)
            for each in either(self.said.get("Condition"))
            for operator, keys in each.items()
            for key, value in keys.items()
        )

    @property
    def keys(self) -> frozenset[str]:
        """The keys that it has conditions on."""
        return frozenset(key for _, key, _ in self.conditions)

    @override
    def __str__(self) -> str:
        return f"{self.resource}/{self.sid or self.place}"


def statements(template: Template) -> Iterator[Statement]:
    """Yield every statement of every policy in a template."""
    for name, resource in template.resources.items():
        yield from _within(name, resource.get("Properties", {}))


def _within(name: str, value: Any) -> Iterator[Statement]:
    if isinstance(value, list):
        for each in value:
            yield from _within(name, each)
    if not isinstance(value, dict):
        return
    for key, inner in value.items():
        if key in _PLACES and isinstance(inner, dict) and "Statement" in inner:
            for said in every(inner["Statement"]):
                yield Statement(name, key, said)
        else:
            yield from _within(name, inner)
