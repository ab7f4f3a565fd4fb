"""The parser of a command's arguments."""

import argparse
from typing import NoReturn

from typing_extensions import override

from tidegate.core.text import harmless


class Parser(argparse.ArgumentParser):
    """Says what is wrong with arguments in a way that does nothing to a terminal."""

    @override
    def error(self, message: str) -> NoReturn:
        """End with 2, after a line that says why."""
        super().error(harmless(message))
