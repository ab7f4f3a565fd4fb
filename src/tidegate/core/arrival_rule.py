"""Which objects are shared by themselves when they appear, and how."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tidegate.core import share
from tidegate.core.s3_events import Appeared
from tidegate.core.share import Mode, Order, Rules

MAX_TITLE: Final = 3000
_KEPT: Final = ("key", "version_id", "etag", "title", "comment")
FIELDS: Final = ("name", "key", "size")
_FIELD: Final = re.compile(r"\{(name|key|size)\}")
_BRACED: Final = re.compile(r"\{([A-Za-z_.]*)\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ArrivalRule:
    """One rule: what has to appear, and what is then done.

    Attributes:
        name: The rule's.
        alias: What the configuration calls the bucket.
        bucket: The bucket's name.
        prefixes: The key begins with each of them: the bucket's and the rule's own.
        suffix: The key ends so.
        channel_id: Where to.
        mode: How.
        title: What it is called, with `{name}`, `{key}` and `{size}` still to be replaced.
        comment: What is said beside it.
    """

    name: str
    alias: str
    bucket: str
    prefixes: tuple[str, ...] = ()
    suffix: str = ""
    channel_id: str
    mode: Mode
    title: str = ""
    comment: str = ""

    @property
    def action(self) -> str:
        """What its runs have in place of an action's name."""
        return f"event:{self.name}"

    def matches(self, bucket: str, key: str) -> bool:
        """Tell whether an object is meant; the mark of a folder, which has no content, never is."""
        within = all(key.startswith(prefix) for prefix in self.prefixes)
        return bucket == self.bucket and within and key.endswith(self.suffix) and key[-1:] != "/"

    def params(self, found: Appeared) -> dict[str, Any]:
        """Return what is kept in a run, with the words as they are now."""
        kept = {
            "bucket": self.alias,
            "key": found.key,
            "version_id": found.version_id,
            # Without versions, whatever has this ETag is what the event tells of.
            "etag": "" if found.version_id else found.etag,
            "title": titled(self.title, found),
            "comment": self.comment,
        }
        return {name: value for name, value in kept.items() if value}

    def permits(self, params: Mapping[str, Any], channel_id: str | None) -> bool:
        """Tell whether what a run was recorded for is still what the rule says."""
        same = params.get("bucket") == self.alias and channel_id == self.channel_id
        return same and self.matches(self.bucket, str(params.get("key", "")))


def order(
    params: Mapping[str, Any], *, mode: Mode, run_id: str, rules: Rules, channel_id: str
) -> Order:
    """Return what a run asks to be shared: the state of which the event told, no other."""
    words = {name: str(params.get(name) or "") for name in _KEPT}
    return Order(
        id=run_id,
        rules=rules,
        keys=(words["key"],),
        channel_id=channel_id,
        mode=mode,
        title=words["title"],
        comment=words["comment"],
        version_id=words["version_id"] or None,
        etag=f'"{words["etag"]}"' if words["etag"] else None,
    )


def titled(template: str, found: Appeared) -> str:
    """Return a title with its fields replaced, once: what is put in is not looked through."""
    words = {
        "name": share.file_name(found.key),
        "key": found.key,
        "size": "" if found.size is None else share.human_size(found.size),
    }
    return _FIELD.sub(lambda shape: words[shape[1]], template)[:MAX_TITLE].strip()


def unknown_fields(template: str) -> list[str]:
    """Return what stands in braces in a title and is none of its fields."""
    return [name for name in _BRACED.findall(template) if name not in FIELDS]


def matching(rules: Iterable[ArrivalRule], found: Appeared) -> Sequence[ArrivalRule]:
    """Return every rule that means an object: each of them shares it, once."""
    return [rule for rule in rules if rule.matches(found.bucket, found.key)]
