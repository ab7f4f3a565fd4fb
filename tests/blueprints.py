"""The set-ups that `tidegate init` can be asked for, each as answers."""

from collections.abc import Mapping
from typing import Any, Final

from tidegate.core.blueprint import Answers, Home, Pathway

_URL: Final = "https://tidegate.example.com"


def answers(pathway: Pathway = Pathway.API_GATEWAY, **changes: Any) -> Answers:
    """Return answers of somebody who wants that pathway."""
    home = Home.CLUSTER if pathway is Pathway.DIRECT else Home.ECS
    fields: dict[str, Any] = {"home": home, "region": "eu-west-1", "url": _URL}
    if changes.get("socket_mode"):
        fields["url"] = None
    return Answers(pathway=pathway, **(fields | changes))


#: All that is asked, answered.
_FULL: Final[dict[str, Any]] = {
    "name": "acme-gate",
    "cluster": "prod",
    "namespaces": ("staging", "production"),
    "bucket": "acme-reports",
    "users": ("U0ADA", "W0BOB"),
    "team": "T0ACME",
    "user_groups": ("S0DEVS", "S0OPS"),
    "channels": ("C0OPS",),
    "registry": "registry.example.com:5000/team",
    "vpc": "vpc-0123456789abcdef0",
    "subnets": ("subnet-0123456789abcdef0", "subnet-0123456789abcdef1"),
}

#: By name: every pathway and place, bare, with a bucket, and with all that can be said.
ALL: Final[Mapping[str, Answers]] = {
    f"{pathway.value} on {home.value}{kind}": answers(pathway, home=home, **options)
    for pathway, home in (
        (Pathway.API_GATEWAY, Home.ECS),
        (Pathway.DIRECT, Home.ECS),
        (Pathway.DIRECT, Home.CLUSTER),
        (Pathway.PRIVATELINK, Home.ECS),
    )
    for kind, options in (
        ("", {}),
        (" with a bucket", {"bucket": "acme-b"}),
        (" by Socket Mode in full", {**_FULL, "socket_mode": True}),
    )
}

#: Nothing of AWS at all.
PLAIN: Final = answers(Pathway.DIRECT, region=None, socket_mode=True)
