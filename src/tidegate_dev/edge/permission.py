"""What whoever is signed in may invoke, in short."""

from dataclasses import dataclass

from tidegate_dev.iam import matches


@dataclass(frozen=True, slots=True, kw_only=True)
class Permission:
    """An IAM statement in short: who is signed in may invoke this; `*` and `?` as IAM has them."""

    method: str
    path: str

    def covers(self, method: str, path: str) -> bool:
        """Return whether the statement allows this request."""
        return matches(self.method, method) and matches(self.path, path)
