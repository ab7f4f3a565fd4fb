"""A malware scanner that speaks clamd's protocol, and knows one thing: the EICAR test file."""

from tidegate_dev.scanner.far_end import ScannerFarEnd
from tidegate_dev.scanner.inspection import Limits

__all__ = ["Limits", "ScannerFarEnd"]
