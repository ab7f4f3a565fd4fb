"""Which cluster the tests of the agent speak to: the embedded one, or one that somebody names."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from tidegate_agent.adapters.kubernetes import Credentials, from_kubeconfig, kubeconfig_paths

#: Many have KUBECONFIG set all day, for a cluster that is not there to be tried on.
CONTEXT: Final = "TIDEGATE_TEST_CONTEXT"


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """A context of a kubeconfig, whose user may do everything.

    Attributes:
        context: Its name; None for the current one.
        environ: For a credential plugin, and for kubectl.
        seconds: How long a rollout may take there.
    """

    environ: Mapping[str, str]
    context: str | None = None
    seconds: float = 20.0

    def credentials(self) -> Credentials:
        paths = kubeconfig_paths(self.environ, Path(self.environ["HOME"]))
        return from_kubeconfig(paths, self.environ, context=self.context)


def named(environ: Mapping[str, str]) -> Access | None:
    """Return the cluster that KUBECONFIG names, if it is also said that tests may use it."""
    context = environ.get(CONTEXT)
    if not context:
        return None
    if not environ.get("KUBECONFIG"):
        raise pytest.UsageError(f"{CONTEXT} names a context of KUBECONFIG: set that as well")
    return Access(environ=environ, context=context, seconds=240.0)


def embedded(kubeconfig: Path) -> Access:
    """Return the access to a cluster of the tests' own."""
    home = str(kubeconfig.parent)
    return Access(environ={"KUBECONFIG": str(kubeconfig), "HOME": home, "PATH": "/usr/bin:/bin"})
