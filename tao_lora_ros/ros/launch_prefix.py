"""Processes of a launch end with it, however it ends.

`ros2 launch` ends its processes at Ctrl-C alone: by SIGTERM or SIGKILL it goes and leaves them. So
each asks Linux for a signal when its parent is gone (prctl(2), PR_SET_PDEATHSIG), by setpriv of
util-linux.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping

_OURS = "setpriv --pdeathsig TERM"


def launch_prefix(executable: str, configurations: Mapping[str, str]) -> str:
    """What goes before the command of a process: ours, then the user's `--launch-prefix`.

    Args:
        executable: its name, which the user's `--launch-prefix-filter` has to match.
        configurations: those of the launch.

    Returns:
        Words of a shell. Without setpriv, the user's alone.
    """
    wanted = re.match(configurations.get("launch-prefix-filter", ""), executable)
    users = configurations.get("launch-prefix", "") if wanted else ""
    return f"{_OURS if shutil.which('setpriv') else ''} {users}".strip()
