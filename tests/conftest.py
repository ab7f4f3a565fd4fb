"""What holds for every test."""

import pytest
from hypothesis import settings

from tests.examples import examples

pytest_plugins = ["tests.far_ends.fixtures"]

# How long an example takes says how busy the machine is, not whether the code is right.
settings.register_profile("tidegate", deadline=None, print_blob=True, max_examples=examples(100))
settings.load_profile("tidegate")


@pytest.hookimpl(tryfirst=True)  # before tests are selected by their marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is tried on examples: `make test-long` tries it on more of them."""
    for item in items:
        if getattr(getattr(item, "obj", None), "is_hypothesis_test", False):
            item.add_marker("property")
