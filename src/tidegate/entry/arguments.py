"""The parser of a command's arguments."""

import argparse
from typing import Final, NoReturn

from typing_extensions import override

from tidegate.core.text import harmless

THE_CONFIGURATION: Final = "the configuration; else TIDEGATE_CONFIG, else ./tidegate.yaml"


class Parser(argparse.ArgumentParser):
    """Says what is wrong with arguments in a way that does nothing to a terminal."""

    @override
    def error(self, message: str) -> NoReturn:
        """End with 2, after a line that says why."""
        super().error(harmless(message))


def add_config(parser: argparse.ArgumentParser, text: str = THE_CONFIGURATION) -> None:
    """Let --config stand behind a command's name as well as before it."""
    # Suppressed, or it would overwrite what stood before.
    parser.add_argument("--config", metavar="FILE", default=argparse.SUPPRESS, help=text)
