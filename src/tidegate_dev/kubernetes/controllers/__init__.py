"""What makes the cluster do what its objects ask for: controllers, a scheduler and a kubelet."""

from tidegate_dev.kubernetes.controllers.clock import LoopClock
from tidegate_dev.kubernetes.controllers.control_plane import Controllers
from tidegate_dev.kubernetes.controllers.faults import Fate, Faults
from tidegate_dev.kubernetes.controllers.timings import Timings

__all__ = ["Controllers", "Fate", "Faults", "LoopClock", "Timings"]
