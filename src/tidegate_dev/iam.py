"""What IAM lets through: the policies of whoever signed, and those of what is asked for.

Sources: https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-authorization-flow.html
and https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_resource.html
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal

SESSION: Final = re.compile(r"arn:aws[a-z-]*:sts::(\d{12}):assumed-role/([^/]+)/([^/]+)")
_ACCOUNT: Final = re.compile(r"arn:aws[a-z-]*:[a-z]+::(\d{12}):")
_SHORT: Final = "execute-api:/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """A statement of a policy.

    Attributes:
        effect: What it does to a request that it is about.
        action: The action's pattern.
        resource: The pattern of an ARN; in the policy of an API also
            `execute-api:/STAGE/METHOD/path`.
        principal: In a policy of what is asked for: who it is about, as `is_named` has it.
        source_vpce: Only by one of these endpoints (`StringEquals` on `aws:SourceVpce`).
        not_source_vpce: By any way but these endpoints (`StringNotEquals`).
    """

    effect: Literal["Allow", "Deny"] = "Allow"
    action: str = "*"
    resource: str = "*"
    principal: str = "*"
    source_vpce: tuple[str, ...] = ()
    not_source_vpce: tuple[str, ...] = ()

    def is_about(self, request: "Asked") -> bool:
        """Return whether the statement has a say in this."""
        pattern = self.resource
        if pattern.startswith(_SHORT):
            api, slash, _ = request.resource.partition("/")
            pattern = api + slash + pattern.removeprefix(_SHORT)
        return (
            matches(self.action.lower(), request.action.lower())
            and matches(pattern, request.resource)
            and is_named(request.principal, by=self.principal)
            and (not self.source_vpce or request.source_vpce in self.source_vpce)
            and (not self.not_source_vpce or request.source_vpce not in self.not_source_vpce)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is asked of a policy.

    Attributes:
        principal: The ARN of whoever signed.
        action: The action.
        resource: The ARN of what it is to be done to.
        source_vpce: The endpoint by which the request came, if by one.
    """

    principal: str
    action: str
    resource: str
    source_vpce: str | None = None


def reason_against(
    asked: Asked, *, identity: Iterable[Statement], of_resource: Sequence[Statement] | None
) -> str:
    """Return why IAM keeps *asked* out, as it ends its message; empty when it lets it in.

    Within one account it is enough that either policy allows; a denial in either keeps out.
    """
    own = [statement for statement in identity if statement.is_about(asked)]
    theirs = [statement for statement in of_resource or () if statement.is_about(asked)]
    for kind, found in (("identity", own), ("resource", theirs)):
        if any(statement.effect == "Deny" for statement in found):
            return f"with an explicit deny in {article(kind)} {kind}-based policy"
    if any(statement.effect == "Allow" for statement in (*own, *theirs)):
        return ""
    return f"because no identity-based policy allows the {asked.action} action"


def of_caller(policies: Mapping[str, Sequence[Statement]], principal: str) -> list[Statement]:
    """Return the statements of *policies* that are the caller's, by whom each policy is for."""
    return [
        statement
        for pattern, statements in policies.items()
        if is_named(principal, by=pattern)
        for statement in statements
    ]


def is_named(principal: str, *, by: str) -> bool:
    """Return whether *by* names the caller: by their ARN, their role's, or their account's root."""
    if by.endswith(":root"):
        return account_of(principal) == account_of(by)
    return matches(by, principal) or matches(by, role_arn(principal))


def role_arn(principal: str) -> str:
    """Return the role that a session is of; anybody else is who they are."""
    found = SESSION.fullmatch(principal)
    return f"arn:aws:iam::{found[1]}:role/{found[2]}" if found else principal


def account_of(principal: str) -> str:
    """Return the account that *principal* belongs to; empty for nobody in particular."""
    found = _ACCOUNT.match(principal)
    return found[1] if found else ""


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> re.Pattern[str]:
    parts = (".*" if c == "*" else "." if c == "?" else re.escape(c) for c in pattern)
    return re.compile("".join(parts), re.DOTALL)


def matches(pattern: str, value: str) -> bool:
    """Return whether *value* is of IAM's *pattern*: `*` is anything, `?` any one character."""
    return _compiled(pattern).fullmatch(value) is not None


def article(word: str) -> str:
    """Return the article that goes before *word*."""
    return "an" if word[0] in "aeiou" else "a"
