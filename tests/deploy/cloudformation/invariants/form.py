"""How a template is written: help, constraints, outputs."""

from collections.abc import Iterator
from typing import Final

from tests.deploy.cloudformation.templates import Template

_CONSTRAINTS: Final = frozenset({"AllowedPattern", "AllowedValues", "MinValue", "MaxLength"})


def parameters_have_help(template: Template) -> Iterator[str]:
    """Each says what it is, and stands in a group of the form that the console shows."""
    interface = template.data["Metadata"]["AWS::CloudFormation::Interface"]
    grouped = [name for group in interface["ParameterGroups"] for name in group["Parameters"]]
    for name, parameter in template.parameters.items():
        if len(parameter.get("Description", "")) < 20:
            yield f"{name} does not say what it is"
        if grouped.count(name) != 1:
            yield f"{name} stands in {grouped.count(name)} groups"
    for name in grouped:
        if name not in template.parameters:
            yield f"the form has {name}, which is no parameter"


def parameters_are_constrained(template: Template) -> Iterator[str]:
    """A mistake is refused before anything is made, in words that say what is expected."""
    for name, parameter in template.parameters.items():
        if "AWS::" in parameter["Type"]:  # checked by CloudFormation against what there is
            continue
        if not _CONSTRAINTS & parameter.keys():
            yield f"{name} takes anything"
        if "AllowedPattern" in parameter and not parameter.get("ConstraintDescription"):
            yield f"{name} would answer with a regular expression"


def outputs_say_where_they_go(template: Template) -> Iterator[str]:
    """And there are no exports: a stack can be taken down without the others' consent."""
    for name, output in template.data["Outputs"].items():
        if len(output.get("Description", "")) < 10:
            yield f"{name} does not say what it is for"
        if "Export" in output:
            yield f"{name} ties another stack to this one"


RULES: Final = (parameters_have_help, parameters_are_constrained, outputs_say_where_they_go)
