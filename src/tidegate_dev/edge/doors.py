"""The ways in that an API has besides the name that API Gateway gives it.

Sources: https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-mappings.html and
apigateway-private-api-create.html beside it.
"""

from dataclasses import dataclass
from typing import Final

DEFAULT_STAGE: Final = "$default"


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomDomain:
    """A domain of one's own, and what of it leads to the API.

    Attributes:
        name: The domain's name.
        base_path: The first segments of the path that are the mapping's; empty for all paths.
    """

    name: str
    base_path: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class InterfaceEndpoint:
    """The `execute-api` interface endpoint of a VPC.

    Attributes:
        id: The endpoint's id, which policies name.
        private_dns: Whether the API's own name leads to it inside the VPC.
        suffix: What tells its name from other endpoints' names.
    """

    id: str = "vpce-0123456789abcdef0"
    private_dns: bool = True
    suffix: str = "k7f2m9qx"

    def host(self, region: str) -> str:
        """Return the endpoint's own name."""
        return f"{self.id}-{self.suffix}.execute-api.{region}.vpce.amazonaws.com"
