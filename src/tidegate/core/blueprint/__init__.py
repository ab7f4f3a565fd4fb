"""All that a new set-up is made of, drawn from a few answers; nothing is written or asked here."""

import json
from collections.abc import Iterator
from dataclasses import dataclass

from tidegate.core import slack_manifest
from tidegate.core.advice import advise
from tidegate.core.blueprint import configuration, message, steps, values
from tidegate.core.blueprint.answers import Answers, Home, Pathway, agree, flag
from tidegate.core.blueprint.stacks import (
    last_stacks,
    parameters,
    stacks,
    unknown_parameters,
)
from tidegate.core.configuration import parse
from tidegate.core.document import key_text, shown
from tidegate.core.settings import Settings
from tidegate.errors import ConfigError, Problem

__all__ = ["Answers", "Blueprint", "File", "Home", "Pathway", "draw"]


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A file to be written, by its path below the folder."""

    name: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Blueprint:
    """The files that belong together, and what is to be said of them.

    Attributes:
        files: Each of them.
        notes: What is to be known of them, in plain words.
        steps: What to do with them, in order; `NEXT.md` says how.
    """

    files: tuple[File, ...]
    notes: tuple[str, ...]
    steps: tuple[str, ...]


def draw(answers: Answers) -> Blueprint:
    """Return the files of a set-up.

    Raises:
        ConfigError: With all that is wrong with the answers.
    """
    agree(answers)
    _refuse_unknown(answers)
    written = configuration.text(answers)
    wishes = slack_manifest.Wishes(
        url=slack_manifest.public_url(answers.url) if answers.url is not None else None,
        name=steps.app_name(answers),
    )
    settings = parse(written, source="tidegate.yaml")
    made = slack_manifest.manifest(settings, wishes)
    notes = tuple(_notes(answers, settings))
    files = [
        File(name="tidegate.yaml", text=written),
        File(
            name="slack-manifest.json",
            text=json.dumps(made.document, indent=2, ensure_ascii=False) + "\n",
        ),
        File(name="values.yaml", text=values.text(answers)),
        File(name=message.NAME, text=message.text(answers)),
    ]
    files += [
        File(name=f"parameters/{stack.template}.json", text=parameters(answers, stack))
        for stack in (*stacks(answers), *last_stacks(answers))
    ]
    files.append(File(name=steps.NEXT, text=steps.text(answers, notes)))
    titles = tuple(title for title, _ in steps.steps(answers))
    return Blueprint(files=tuple(files), notes=notes, steps=titles)


def _refuse_unknown(answers: Answers) -> None:
    problems = tuple(
        Problem(
            line=None,
            column=None,
            key=flag("parameters"),
            what=f"no template of this pathway leaves {shown(name)} open",
            mend="write a NAME, or TEMPLATE.NAME, that NEXT.md lists without it",
        )
        for name in unknown_parameters(answers)
    )
    if problems:
        raise ConfigError(problems)


def _notes(answers: Answers, settings: Settings) -> Iterator[str]:
    if answers.admits_nobody:
        yield "Nobody may use it yet, because nobody was named who may."
    for complaint in advise(settings):
        yield f"{key_text(complaint.path)}: {complaint.what}; {complaint.mend}."
