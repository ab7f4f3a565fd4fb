"""Stand in for AWS STS: roles to assume, tokens for others, and who one is."""

from tidegate_dev.sts.far_end import FAULTS, Sts, StsConfig, StsFarEnd
from tidegate_dev.sts.roles import Role
from tidegate_dev.sts.web_identity import TokenIssuer

__all__ = ["FAULTS", "Role", "Sts", "StsConfig", "StsFarEnd", "TokenIssuer"]
