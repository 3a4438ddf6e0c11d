"""End the fork server at once, once its launcher is gone; the server alone imports this file.

Python's own ending looks through all that torch and transformers made, for seconds under load.
The runs' processes, which it forks, never come here: multiprocessing ends them itself.
"""

from __future__ import annotations

import atexit
import os
import sys

if any("multiprocessing.forkserver" in word for word in sys.orig_argv):
    atexit.register(os._exit, 0)
