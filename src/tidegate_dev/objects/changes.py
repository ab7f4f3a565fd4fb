"""What S3 tells when an object is new, changed or gone."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["new", "changed", "removed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectChange:
    """One change of one object.

    Attributes:
        kind: `changed` is a new version of an object that was there.
        size: In bytes; 0 for an object that is gone.
        version_id: Of what is current now, a delete marker included; empty without versioning.
        etag: Without quotes; empty for an object that is gone.
        sequencer: Grows from change to change of one key; compare as text.
        event_name: S3's name for it, such as `ObjectCreated:Put`.
        at: In seconds since the epoch.
    """

    kind: Kind
    bucket: str
    key: str
    size: int
    version_id: str
    etag: str
    sequencer: str
    event_name: str
    at: float
