"""Objects in S3: signed requests over one aiohttp session, read as a stream.

An object is read in the state in which it was found, by its version or else by its ETag, and what
arrives is held against the length and the checksum that S3 declares. No temporary file, no more
than a chunk in memory.

Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
"""

from tidegate.adapters.s3.objects import S3, KeysOfAws
from tidegate.adapters.s3.stream import CHUNK_BYTES

__all__ = ["CHUNK_BYTES", "S3", "KeysOfAws"]
