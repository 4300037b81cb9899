"""Processes that end with the one that started them."""

import os
import sys
from collections.abc import Sequence

# Asks Linux to end the process with its parent, however that one ends, and becomes the command. A process of its
# own rather than `preexec_fn`, which is not safe beside threads, as those of kafka-python.
_BECOME = """
import os, sys
if sys.platform == "linux":
    import ctypes
    PR_SET_PDEATHSIG, SIGKILL = 1, 9
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, SIGKILL)
    if os.getppid() != int(sys.argv[1]):
        sys.exit("the starting process is gone")
os.execvp(sys.argv[2], sys.argv[2:])
"""


def ends_with_us(command: Sequence[str]) -> list[str]:
    """The command line that runs `command` as a child which, on Linux, ends when the starting thread does."""
    return [sys.executable, "-I", "-S", "-c", _BECOME, str(os.getpid()), *command]
