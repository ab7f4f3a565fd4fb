"""docs/doctor.md lists every finding there is, in the words that people are told."""

import importlib
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import tidegate.app.doctor
import tidegate.core.diagnosis
from tidegate.core.diagnosis.finding import Words

PAGE: Final = Path(__file__).parents[3] / "docs" / "doctor.md"


def findings() -> Iterator[tuple[str, Words]]:
    for package in (tidegate.core.diagnosis, tidegate.app.doctor):
        for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            yield from getattr(importlib.import_module(module.name), "WORDS", {}).items()


ROW: Final = re.compile(r"^\| `([\w.]+)`( \(warning\))? \| (.*) \| (.*) \|$", re.MULTILINE)


def filled(template: str) -> str:
    """Doubled braces stand for themselves."""
    return template.replace("{{", "{").replace("}}", "}")


def test_every_finding_is_listed_in_its_own_words() -> None:
    listed = ROW.findall(PAGE.read_text())
    known = {
        (code, "" if words.grave else " (warning)", filled(words.what), filled(words.mend))
        for code, words in findings()
    }
    assert len(known) > 100
    assert sorted(listed) == sorted(known)
