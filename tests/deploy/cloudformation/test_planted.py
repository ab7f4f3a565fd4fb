"""Each mistake is caught by the rule that is there for it, and by no other."""

import pytest

from tests.deploy.cloudformation import planted
from tests.deploy.cloudformation.invariants import ALL, findings
from tests.deploy.cloudformation.planted.defect import Defect


@pytest.mark.parametrize("defect", planted.ALL, ids=lambda defect: defect.what)
def test_a_planted_defect_is_caught_by_name(defect: Defect) -> None:
    """Were the rule not there, nothing else would see it."""
    found = findings(defect.planted())
    assert set(found) == {defect.rule}, found


def test_every_rule_catches_something() -> None:
    assert set(ALL) == {defect.rule for defect in planted.ALL}
