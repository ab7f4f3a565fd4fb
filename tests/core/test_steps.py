"""How far a share has come, and what that says of whether anyone may see it."""

import pytest

from tidegate.core.steps import FileStep, PostStep, Stage, Steps, may_be_shown, moved


def file(stage: Stage) -> FileStep:
    return FileStep(key="a", stage=stage, file_id="F1")


@pytest.mark.parametrize(
    ("steps", "shown"),
    [
        (None, False),
        (Steps(), False),
        (Steps(files=(file(Stage.BEGUN),)), False),
        (Steps(files=(file(Stage.SENT), file(Stage.FAILED))), False),
        (Steps(files=(file(Stage.SENT), file(Stage.ASKED))), True),
        (Steps(posts=(PostStep(begun_at=1.0, ts="1.1"),)), False),
        (Steps(posts=(PostStep(begun_at=1.0, ts="1.1"), PostStep(begun_at=2.0))), True),
    ],
)
def test_what_slack_was_asked_to_show_may_be_shown(steps: Steps | None, *, shown: bool) -> None:
    assert may_be_shown(steps) is shown


def test_a_file_that_has_come_further_is_otherwise_the_same() -> None:
    assert moved(file(Stage.SENT), Stage.DONE) == file(Stage.DONE)
