"""What can be made to fail at the edge, by name."""

from datetime import timedelta
from typing import Final

SKEW_OF_A_WRONG_CLOCK: Final = timedelta(minutes=20)

#: A fault's name, and what the edge does while it is on.
FAULTS: Final = {
    "throttle": "turns every request away, as over its rate",
    "clock_skew": "has another time than the caller",
    "unsigned": "finds no signature: something on the way took it off",
    "bad_signature": "finds that the request was changed on the way",
    "unknown_key": "does not know the access key",
    "expired_token": "finds that the caller's session is over",
    "wrong_region": "is in another region than the signature says",
    "not_permitted": "finds no policy that lets the caller in",
    "explicit_deny": "finds a policy that keeps the caller out",
    "wrong_stage": "has no such stage",
    "unknown_route": "has no such route",
    "endpoint_disabled": "answers by its custom domain only",
    "vpc_link_pending": "has a VPC link that is still being made",
    "vpc_link_inactive": "has a VPC link that was given up after 60 days without a request",
    "vpc_link_failed": "has a VPC link that could not be made",
    "backend_tls": "finds another name in the service's certificate",
    "integration_down": "cannot reach the service",
    "integration_slow": "reaches the service late",
    "integration_timeout": "asks the service, and does not wait for its answer",
}
