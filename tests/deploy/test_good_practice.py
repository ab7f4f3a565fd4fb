"""The page that says which test proves what: each test that it names is there."""

import re
from pathlib import Path

import pytest

from tests.deploy.cloudformation.invariants import ALL

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "good-practice.md").read_text()
TEST = re.compile(r"`(tests/[\w/]+\.py)(?:::(\w+)(?:\[(\w+)\])?)?`")


@pytest.mark.parametrize("row", [line for line in PAGE.splitlines() if line.startswith("| ")])
def test_a_recommendation_names_tests_that_there_are(row: str) -> None:
    recommendation, where, proof = (cell.strip() for cell in row.strip("|").split(" | "))
    if recommendation in ("recommendation", "---"):
        return
    assert where
    named = TEST.findall(proof)
    assert named, f"{recommendation}: no test"
    assert len(named) == proof.count("`tests/"), f"{recommendation}: another form"
    for file, function, rule in named:
        text = (ROOT / file).read_text()
        assert re.search(rf"^(async )?def {function or 'test_'}", text, re.MULTILINE), file
        assert not rule or rule in ALL, f"{recommendation}: there is no rule {rule}"


def test_nothing_is_named_in_another_form() -> None:
    assert len(TEST.findall(PAGE)) == PAGE.count("`tests/")
