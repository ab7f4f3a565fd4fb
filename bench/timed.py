"""Run a command, and print as JSON what it took. Its own exit code is the command's.

A process of its own, and a small one: what a process forks begins with its parent's peak.

    python bench/timed.py COMMAND ARGUMENT...
"""

import json
import resource
import subprocess
import sys
import time

if __name__ == "__main__":
    began = time.perf_counter()
    done = subprocess.run(sys.argv[1:], stdout=subprocess.PIPE, text=True)
    seconds = time.perf_counter() - began
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    found = {
        "seconds": seconds,
        "cpu_seconds": used.ru_utime + used.ru_stime,
        "peak_bytes": used.ru_maxrss * 1024,
        "said": done.stdout,
    }
    print(json.dumps(found))
    sys.exit(done.returncode)
