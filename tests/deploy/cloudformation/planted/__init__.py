"""Mistakes that were really made, or nearly: each is planted in a copy of a template."""

from typing import Final

from tests.deploy.cloudformation.planted import data, rights, running, ways

ALL: Final = (*ways.DEFECTS, *rights.DEFECTS, *data.DEFECTS, *running.DEFECTS)
