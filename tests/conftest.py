"""What holds for every test."""

from hypothesis import settings

pytest_plugins = ["tests.far_ends.fixtures"]

# How long an example takes says how busy the machine is, not whether the code is right.
settings.register_profile("tidegate", deadline=None, print_blob=True)
settings.load_profile("tidegate")
