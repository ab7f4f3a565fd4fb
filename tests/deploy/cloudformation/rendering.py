"""What a template comes to with certain parameters, as far as that is known before AWS is asked.

Ids and attributes of resources are made up; everything else is computed as CloudFormation does.
"""

import ipaddress
import itertools
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from tests.deploy.cloudformation.templates import Json, Template

ACCOUNT: Final = "123456789012"
REGION: Final = "eu-west-1"
_PSEUDO: Final[Mapping[str, str]] = {
    "AWS::AccountId": ACCOUNT,
    "AWS::Partition": "aws",
    "AWS::Region": REGION,
    "AWS::StackName": "tidegate",
    "AWS::URLSuffix": "amazonaws.com",
}


class _Nothing:
    """What `AWS::NoValue` leaves behind."""


_NOTHING: Final = _Nothing()


class Stack:
    """A template with its parameters.

    Args:
        template: The template.
        parameters: What differs from the defaults; lists as people write them, with commas.
        made_up: Of resources, what `!Ref NAME` and `!GetAtt NAME.ATTRIBUTE` give.
    """

    def __init__(
        self, template: Template, parameters: Mapping[str, str], made_up: Mapping[str, Any]
    ) -> None:
        unknown = parameters.keys() - template.parameters.keys()
        assert not unknown, f"{template.name} has no {unknown}"
        self._template = template
        self._parameters = {
            name: self._parameter(name, each, parameters)
            for name, each in template.parameters.items()
        }
        self._made_up = made_up

    def _parameter(self, name: str, said: Json, given: Mapping[str, str]) -> Any:
        value = given.get(name, said.get("Default"))
        assert value is not None, f"{self._template.name}: {name} is needed"
        value = str(value)
        if "AllowedValues" in said:
            assert value in map(str, said["AllowedValues"]), (name, value)
        several = said["Type"].startswith("List<") or said["Type"] == "CommaDelimitedList"
        for each in value.split(",") if several else [value]:
            assert re.fullmatch(said.get("AllowedPattern", ".*"), each, re.DOTALL), (name, each)
        return value.split(",") if several else value

    def holds(self, name: str) -> bool:
        """Return whether one of the template's conditions holds."""
        return bool(self.value(self._template.data["Conditions"][name]))

    def rules_broken(self) -> list[str]:
        """Return what the template's rules say against these parameters."""
        return [
            assertion["AssertDescription"]
            for rule in self._template.data.get("Rules", {}).values()
            if self.value(rule.get("RuleCondition", True))
            for assertion in rule["Assertions"]
            if not self.value(assertion["Assert"])
        ]

    def resources(self) -> dict[str, Json]:
        """Return what it would make, by logical name."""
        return {
            name: self.value(each.get("Properties", {}))
            for name, each in self._template.resources.items()
            if "Condition" not in each or self.holds(each["Condition"])
        }

    def outputs(self) -> dict[str, str]:
        """Return what it would say in the end."""
        return {
            name: self.value(each["Value"])
            for name, each in self._template.data["Outputs"].items()
            if "Condition" not in each or self.holds(each["Condition"])
        }

    def value(self, node: Any) -> Any:
        """Return what a value comes to."""
        match node:
            case {"Ref": str(name)}:
                return self._ref(name)
            case {"Condition": str(name)} if len(node) == 1:
                return self.holds(name)
            case dict() if len(node) == 1 and next(iter(node)).startswith("Fn::"):
                ((function, argument),) = node.items()
                return self._call(function.removeprefix("Fn::"), argument)
            case dict():
                found = {key: self.value(each) for key, each in node.items()}
                return {key: each for key, each in found.items() if each is not _NOTHING}
            case list():
                return [each for each in map(self.value, node) if each is not _NOTHING]
            case _:
                return node

    def _ref(self, name: str) -> Any:
        if name == "AWS::NoValue":
            return _NOTHING
        if name in _PSEUDO:
            return _PSEUDO[name]
        if name in self._parameters:
            return self._parameters[name]
        assert name in self._template.resources, f"{self._template.name} has no {name}"
        return self._made_up.get(name, f"{name.lower()}-id")

    def _attribute(self, name: str, attribute: str) -> Any:
        assert name in self._template.resources, f"{self._template.name} has no {name}"
        return self._made_up.get(f"{name}.{attribute}", f"arn:aws:{name.lower()}:{attribute}")

    def _call(self, function: str, argument: Any) -> Any:
        match function, argument:
            case "If", [str(name), then, otherwise]:
                return self.value(then if self.holds(name) else otherwise)
            case "Sub", str(text):
                return self._substituted(text, {})
            case "Sub", [str(text), dict(values)]:
                return self._substituted(text, self.value(values))
            case "GetAtt", [str(name), str(attribute)]:
                return self._attribute(name, attribute)
            case _:
                return _FUNCTIONS[function](self, *map(self.value, _arguments(argument)))

    def mapped(self, mapping: str, first: str, second: str) -> str:
        """Return what one of the template's mappings says."""
        return str(self._template.data["Mappings"][mapping][first][second])

    def _substituted(self, text: str, values: Mapping[str, Any]) -> str:
        def one(found: re.Match[str]) -> str:
            name = found[1]
            if name.startswith("!"):
                return f"${{{name[1:]}}}"
            if name in values:
                return str(values[name])
            if "." in name:
                return str(self._attribute(*name.split(".", 1)))
            return str(self._ref(name))

        return re.sub(r"\$\{([^}]+)\}", one, text)


def _blocks(block: str, count: int, bits: int) -> list[str]:
    parts = ipaddress.ip_network(block).subnets(new_prefix=32 - bits)
    return [str(part) for part in itertools.islice(parts, count)]


def _arguments(argument: Any) -> list[Any]:
    return argument if isinstance(argument, list) else [argument]


#: What needs nothing but its values, as CloudFormation computes it.
#: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/intrinsic-function-reference.html
_FUNCTIONS: Final[Mapping[str, Callable[..., Any]]] = {
    "Join": lambda _, joint, values: joint.join(values),
    "Split": lambda _, joint, value: value.split(joint),
    "Select": lambda _, at, values: values[int(at)],
    "FindInMap": Stack.mapped,
    "GetAZs": lambda _, region: [f"{region or REGION}{zone}" for zone in "abc"],
    "Cidr": lambda _, block, count, bits: _blocks(block, int(count), int(bits)),
    "Equals": lambda _, one, other: str(one) == str(other),
    "Contains": lambda _, values, one: one in values,
    "Not": lambda _, one: not one,
    "And": lambda _, *values: all(values),
    "Or": lambda _, *values: any(values),
}
