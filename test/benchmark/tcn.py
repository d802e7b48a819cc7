"""The peer among sequence models: a causal temporal convolutional network (arXiv 1803.01271).

Its width is such that a window costs about what it costs the mixer `base`.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from tao_lora_ros.messages.route import Route
from tao_lora_ros.model.mixer import Mixer, gelu
from tao_lora_ros.model.mixer_config import MixerConfig

WIDTH, TAPS, BLOCKS = 32, 3, 6  # dilations 1 to 32: the newest row sees 253 rows back


class _Block(nn.Module):
    """Two causal convolutions of one dilation behind a norm, and the way around them."""

    def __init__(self, dilation: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(1, WIDTH)
        self.first = nn.Conv1d(WIDTH, WIDTH, TAPS, dilation=dilation)
        self.second = nn.Conv1d(WIDTH, WIDTH, TAPS, dilation=dilation)
        self._past = (TAPS - 1) * dilation

    def forward(self, x: Tensor) -> Tensor:
        """[B, WIDTH, T] to the same shape."""
        y = gelu(self.first(F.pad(self.norm(x), (self._past, 0))))
        return x + self.second(F.pad(y, (self._past, 0)))


class CausalTcn(Mixer):
    """The mixer's input, features and heads about another trunk, so that it trains alike."""

    def __init__(self, config: MixerConfig) -> None:
        super().__init__(config)
        outputs = config.horizon * config.channels
        self.embed = nn.Conv1d(config.channels, WIDTH, 1)
        self.embed_features = nn.Linear(config.features * config.channels, WIDTH)
        self.blocks = nn.ModuleList(_Block(2**i) for i in range(BLOCKS))
        self.norm = nn.LayerNorm(WIDTH)
        self.class_head = nn.Linear(WIDTH, config.classes)
        self.forecast_head = nn.Linear(WIDTH, outputs)

    def forward(self, windows: Tensor, path: Route) -> tuple[Tensor | None, Tensor]:
        """As the mixer's."""
        level = self.level(windows)
        x = self.standardize(windows, level)
        told = self.embed_features(self._features(level, x))
        hidden = self.embed(x.transpose(1, 2)) + told[:, :, None]
        for block in self.blocks:
            hidden = block(hidden)
        hidden = self.norm(hidden.transpose(1, 2))
        forecast = self.forecast_head(hidden[:, -1]).view(len(x), self.config.horizon, -1)
        assert self.class_head is not None
        return self.class_head(hidden.mean(dim=1)), forecast
