"""What holds for every template. Each rule is a function that yields what is wrong with one."""

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from tests.deploy.cloudformation.invariants import data, form, rights, running, ways
from tests.deploy.cloudformation.templates import Template

Invariant = Callable[[Template], Iterator[str]]

ALL: Final[Mapping[str, Invariant]] = {
    rule.__name__: rule
    for rules in (ways.RULES, rights.RULES, data.RULES, running.RULES, form.RULES)
    for rule in rules
}


def findings(template: Template) -> Mapping[str, list[str]]:
    """Return what is wrong with a template, by the rule's name."""
    found = {name: list(rule(template)) for name, rule in ALL.items()}
    return {name: wrong for name, wrong in found.items() if wrong}
