"""Where `tao-lora` begins: before its imports, which take seconds."""

from __future__ import annotations

import signal
import sys

from tao_lora_ros.hardware.starting import starting

_LEAST_MIB = 1024


def main() -> int:
    """Run the command line; returns the exit status."""
    with starting("tao-lora", _LEAST_MIB, status=130):
        from tao_lora_ros.cli.main import main as run
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    return run()


if __name__ == "__main__":
    sys.exit(main())
