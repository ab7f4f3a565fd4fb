"""What holds for every test."""

import gc

import pytest
from hypothesis import settings

from tests.examples import examples

pytest_plugins = ["tests.far_ends.fixtures"]

# How long an example takes says how busy the machine is, not whether the code is right.
settings.register_profile("tidegate", deadline=None, print_blob=True, max_examples=examples(100))
settings.load_profile("tidegate")


LONGEST_NAME = 60  # of a param, in characters
#: What each module of these sets up, a browser or servers, is set up once.
TOGETHER = (
    "tests/contract/test_pathways",
    "tests/dev/test_page_",
    "tests/e2e/",
    "tests/entry/doctor/",
)
#: What takes long is begun first, so that nobody waits for it in the end.
FIRST = ("tests/crash/", "tests/e2e/", "tests/dev/test_page_", "tests/app/")


@pytest.hookimpl(tryfirst=True)  # before tests are selected by their marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is tried on examples: `make test-long` tries it on more of them."""
    for item in items:
        if getattr(getattr(item, "obj", None), "is_hypothesis_test", False):
            item.add_marker("property")
        if item.nodeid.startswith(TOGETHER):
            item.add_marker(pytest.mark.xdist_group(item.nodeid.partition("::")[0]))
    items.sort(key=_turn)


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name long texts by their length: a name is sent to every worker, and into every process."""
    if isinstance(val, str | bytes) and len(val) > LONGEST_NAME:
        return f"{argname} of {len(val)}"
    return None


def pytest_collection_finish() -> None:
    """Let the collector pass over what was collected: thousands of tests, and all their modules."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)


def _turn(item: pytest.Item) -> int:
    starts = (number for number, name in enumerate(FIRST) if item.nodeid.startswith(name))
    return next(starts, len(FIRST))
