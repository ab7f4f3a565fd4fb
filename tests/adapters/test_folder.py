"""Files that belong together are written all or none, and nothing that is there is lost."""

import os
from pathlib import Path

import pytest

from tidegate.adapters import folder
from tidegate.adapters.folder import TakenError

FILES = {"a.yaml": "a: 1\n", "parameters/b.json": "[]\n", "NEXT.md": "# Ä\n"}


def contents(where: Path) -> dict[str, str]:
    return {
        str(file.relative_to(where)): file.read_text("utf-8")
        for file in where.rglob("*")
        if file.is_file()
    }


def test_files_are_made_with_the_folders_that_they_are_in(tmp_path: Path) -> None:
    target = tmp_path / "new" / "setup"
    folder.write(target, FILES, force=False)
    assert contents(target) == FILES


def test_whoever_reviews_them_may_read_them_and_the_umask_counts(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        folder.write(tmp_path, FILES, force=False)
    finally:
        os.umask(before)
    assert (tmp_path / "a.yaml").stat().st_mode & 0o777 == 0o640


def test_what_is_there_is_kept_and_nothing_is_written_beside_it(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("mine", "utf-8")
    with pytest.raises(TakenError):
        folder.write(tmp_path, FILES, force=False)
    assert not (tmp_path / "parameters").exists()
    (tmp_path / "parameters").mkdir()
    (tmp_path / "parameters/b.json").symlink_to(tmp_path / "nowhere")
    assert folder.taken(tmp_path, FILES) == ("a.yaml", "parameters/b.json")
    with pytest.raises(TakenError) as refused:
        folder.write(tmp_path, FILES, force=False)
    assert refused.value.names == ("a.yaml", "parameters/b.json")
    assert contents(tmp_path) == {"a.yaml": "mine"}


def test_by_force_it_is_replaced_and_a_link_is_not_followed(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("theirs", "utf-8")
    target = tmp_path / "setup"
    target.mkdir()
    (target / "a.yaml").symlink_to(elsewhere)
    (target / "NEXT.md").write_text("mine", "utf-8")
    folder.write(target, FILES, force=True)
    assert contents(target) == FILES
    assert elsewhere.read_text("utf-8") == "theirs"


def test_what_says_the_same_is_no_obstacle_and_is_left_alone(tmp_path: Path) -> None:
    folder.write(tmp_path, FILES, force=False)
    before = {name: (tmp_path / name).stat().st_ino for name in FILES}
    assert folder.taken(tmp_path, FILES) == ()
    folder.write(tmp_path, FILES, force=False)
    folder.write(tmp_path, FILES, force=True)
    assert {name: (tmp_path / name).stat().st_ino for name in FILES} == before


def test_what_appears_meanwhile_is_not_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = os.link

    def another_was_quicker(source: Path, target: Path) -> None:
        if target.name == "NEXT.md":
            target.write_text("theirs", "utf-8")
        link(source, target)

    monkeypatch.setattr(os, "link", another_was_quicker)
    with pytest.raises(TakenError) as refused:
        folder.write(tmp_path, FILES, force=False)
    assert refused.value.names == ("NEXT.md",)
    assert contents(tmp_path) == {"NEXT.md": "theirs"}


def test_what_cannot_be_written_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        folder.write(tmp_path, FILES, force=True)
    assert contents(tmp_path) == {}


def test_a_folder_that_is_a_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "parameters").write_text("a file", "utf-8")
    with pytest.raises(OSError, match=r"File exists|Not a directory"):
        folder.write(tmp_path, FILES, force=True)
    assert contents(tmp_path) == {"parameters": "a file"}


def test_a_folder_that_is_a_link_to_elsewhere_is_not_written_into(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    target = tmp_path / "setup"
    target.mkdir()
    (target / "parameters").symlink_to(elsewhere)
    for force in (False, True):
        with pytest.raises(OSError, match="elsewhere"):
            folder.write(target, FILES, force=force)
    assert not list(elsewhere.iterdir())
    assert contents(target) == {}


def test_a_folder_that_is_itself_reached_by_a_link_is_written_into(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "setup").symlink_to(tmp_path / "real")
    folder.write(tmp_path / "setup", FILES, force=False)
    assert contents(tmp_path / "real") == FILES


def test_a_pipe_in_a_file_s_place_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.yaml")
    assert folder.taken(tmp_path, FILES) == ("a.yaml",)
    with pytest.raises(TakenError):
        folder.write(tmp_path, FILES, force=False)
