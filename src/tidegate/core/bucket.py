"""Where a bucket and its objects are found, and which keys may be shared.

Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/VirtualHosting.html
"""

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

MAX_KEY_BYTES: Final = 1024  # S3's own bound
_HOST_LABEL: Final = re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")
_BUCKET: Final = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_ADDRESS: Final = re.compile(r"[0-9]+(?:\.[0-9]+){3}")
_DOMAIN: Final = "amazonaws.com"
#: Where it is another, by how the region's name begins.
_DOMAINS: Final = {
    "cn-": "amazonaws.com.cn",
    "eu-isoe-": "cloud.adc-e.uk",
    "eusc-": "amazonaws.eu",
    "us-iso-": "c2s.ic.gov",
    "us-isob-": "sc2s.sgov.gov",
    "us-isof-": "csp.hci.ic.gov",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a bucket is reached.

    Attributes:
        bucket: The bucket's name.
        region: The bucket's own region: a URL signed for another does not hold.
        endpoint: Another S3 than AWS's, as a URL without a slash at its end; None for AWS's.
    """

    bucket: str
    region: str
    endpoint: str | None = None

    @property
    def base(self) -> str:
        """The bucket's URL, with a slash at its end.

        AWS's regional host with the bucket in its name: the global host redirects, and a
        certificate does not cover a bucket's name with a dot in it.
        """
        if self.endpoint is not None:
            return f"{self.endpoint}/{self.bucket}/"
        others = (name for start, name in _DOMAINS.items() if self.region.startswith(start))
        domain = next(others, _DOMAIN)
        if _HOST_LABEL.fullmatch(self.bucket):
            return f"https://{self.bucket}.s3.{self.region}.{domain}/"
        return f"https://s3.{self.region}.{domain}/{self.bucket}/"

    def url(self, key: str) -> str:
        """Return an object's URL. The key is encoded once, and its slashes stand as they are."""
        return self.base + quote(key, safe="/-_.~")


def is_bucket_name(name: str) -> bool:
    """Tell whether a bucket can have this name.

    Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
    """
    if ".." in name or _ADDRESS.fullmatch(name):
        return False
    return _BUCKET.fullmatch(name) is not None


def is_safe_key(key: str) -> bool:
    """Tell whether a key means the same to S3 and to whatever handles its URL.

    Browsers and proxies resolve `.` and `..` steps, so such a key would lead elsewhere.
    """
    try:
        size = len(key.encode())
    except UnicodeEncodeError:
        return False
    steps = key.split("/")
    return 0 < size <= MAX_KEY_BYTES and "\0" not in key and "." not in steps and ".." not in steps
