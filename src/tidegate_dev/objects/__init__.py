"""S3's side: buckets that are folders on disk, behind S3's protocol on loopback."""

from tidegate_dev.objects.access import AccessKey
from tidegate_dev.objects.changes import ObjectChange
from tidegate_dev.objects.far_end import S3FarEnd
from tidegate_dev.objects.faults import S3Faults
from tidegate_dev.objects.seed import write_seed
from tidegate_dev.objects.service import Served

__all__ = ["AccessKey", "ObjectChange", "S3FarEnd", "S3Faults", "Served", "write_seed"]
