"""What a user can mend of a run over many bags."""

from __future__ import annotations

from tao_lora_ros.messages.errors import TaoLoraError


class FleetError(TaoLoraError):
    """A run over many bags cannot begin or go on; the text says why."""
