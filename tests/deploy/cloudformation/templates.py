"""The templates as data: CloudFormation's short forms (`!Ref …`) read as what they stand for."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml

Json = dict[str, Any]

ROOT: Final = Path(__file__).parents[3]
FOLDER: Final = ROOT / "deploy/cloudformation"
NO_VALUE: Final[Json] = {"Ref": "AWS::NoValue"}


class _Loader(yaml.SafeLoader):
    """Reads `!Sub x` as `{"Fn::Sub": "x"}`, and dates as text."""


def _long_form(loader: _Loader, suffix: str, node: yaml.Node) -> Json:
    value: Any
    match node:
        case yaml.ScalarNode():
            value = loader.construct_scalar(node)
        case yaml.SequenceNode():
            value = loader.construct_sequence(node, deep=True)
        case yaml.MappingNode():
            value = loader.construct_mapping(node, deep=True)
        case _:
            raise AssertionError(node)
    if suffix == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


_Loader.add_multi_constructor("!", _long_form)


@dataclass(frozen=True, slots=True)
class Template:
    """A template, read.

    Attributes:
        name: Of its file, without the suffix.
        data: All of it, in long forms.
    """

    name: str
    data: Json

    @property
    def resources(self) -> Mapping[str, Json]:
        """What it makes, by logical name."""
        found: Mapping[str, Json] = self.data["Resources"]
        return found

    @property
    def parameters(self) -> Mapping[str, Json]:
        """What it is told, by name."""
        found: Mapping[str, Json] = self.data["Parameters"]
        return found

    def of(self, *types: str) -> Iterator[tuple[str, Json]]:
        """Yield logical names and properties of resources of these types (`S3::Bucket`)."""
        wanted = {f"AWS::{each}" for each in types}
        for name, resource in self.resources.items():
            if resource["Type"] in wanted:
                yield name, resource.get("Properties", {})

    def reasons(self, name: str) -> Mapping[str, str]:
        """Return why a resource may be wider than usual, as is written beside it."""
        found: Mapping[str, str] = self.resources[name].get("Metadata", {}).get("Reasons", {})
        return found


def parse(name: str, text: str) -> Template:
    """Return a template of its text."""
    return Template(name, yaml.load(text, Loader=_Loader))


@cache
def text_of(name: str) -> str:
    """Return a template's text."""
    return (FOLDER / f"{name}.yaml").read_text()


@cache
def named(name: str) -> Template:
    """Return a template; nobody changes it."""
    return parse(name, text_of(name))


NAMES: Final = tuple(sorted(path.stem for path in FOLDER.glob("*.yaml")))


def either(value: Any) -> Iterator[Any]:
    """Yield all that a value can be, whatever the conditions; nothing for no value."""
    if isinstance(value, dict) and "Fn::If" in value:
        _, then, otherwise = value["Fn::If"]
        yield from either(then)
        yield from either(otherwise)
    elif value not in (None, NO_VALUE):
        yield value


def every(value: Any) -> Iterator[Any]:
    """Yield all items of a list, or of each list it can be, or a value that is no list."""
    for each in either(value):
        for item in each if isinstance(each, list) else [each]:
            yield from either(item)


def texts(value: Any) -> Iterator[str]:
    """Yield the texts in a value, at any depth, keys of mappings not included."""
    match value:
        case str():
            yield value
        case dict():
            for each in value.values():
                yield from texts(each)
        case list():
            for each in value:
                yield from texts(each)
        case _:
            return


def text(value: Any) -> str:
    """Return what of a text is written in the template: of `!Sub` the text with its `${…}`."""
    match value:
        case {"Fn::Sub": str(found)} | str(found):
            return found
        case {"Fn::Sub": [str(found), *_]}:
            return found
        case {"Ref": str(found)}:
            return f"${{{found}}}"
        case {"Fn::GetAtt": [str(name), str(attribute)]}:
            return f"${{{name}.{attribute}}}"
        case _:
            return str(value)


def flag(value: Any) -> bool:
    """Return whether a property is set, as YAML's truth or as text."""
    return value is True or value == "true"
