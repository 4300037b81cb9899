"""Child processes that end when the process that started them does."""

import os
import sys
from collections.abc import Sequence

# Ask Linux to end this process when its parent ends, however that happens, then become the command. This is a process
# of its own because `preexec_fn` is not safe with threads, and kafka-python has some.
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
    """The command line that runs `command` as a child process; on Linux it ends when the starting thread ends."""
    return [sys.executable, "-I", "-S", "-c", _BECOME, str(os.getpid()), *command]
