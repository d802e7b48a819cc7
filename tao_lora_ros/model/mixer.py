"""The model: an all-linear patched mixer (TSMixer, arXiv 2303.06053; TTM, arXiv 2401.03955)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tao_lora_ros.messages.route import Route
from tao_lora_ros.model.heads import HEADS
from tao_lora_ros.model.layers import DualPathLinear, FullLinear, Int8Linear, QuantizedLinear
from tao_lora_ros.model.mixer_config import MixerConfig
from tao_lora_ros.model.spectrum import FLOOR, PARTS, spectral_basis


def gelu(x: Tensor) -> Tensor:
    """The tanh form (arXiv 1606.08415), which every device computes alike."""
    return F.gelu(x, approximate="tanh")


class _Factory:
    """Makes the layers of one kind of model: to be trained, or quantised."""

    def __init__(self, config: MixerConfig, quantized: bool) -> None:
        self._config = config
        self._quantized = quantized

    def edge(self, inputs: int, outputs: int) -> nn.Module:
        """Embedding, token mixing and heads: few weights, INT8."""
        return Int8Linear(inputs, outputs) if self._quantized else FullLinear(inputs, outputs)

    def core(self, inputs: int, outputs: int) -> nn.Module:
        """Channel mixing: nearly all weights, dual path."""
        if not self._quantized:
            return FullLinear(inputs, outputs)
        return DualPathLinear(inputs, outputs, self._config.rank)


class Block(nn.Module):
    """Token mixing, then channel mixing, each a residual MLP behind a LayerNorm."""

    def __init__(self, config: MixerConfig, make: _Factory) -> None:
        super().__init__()
        d, t, e = config.width, config.tokens, config.expansion
        self.token_norm, self.channel_norm = nn.LayerNorm(d), nn.LayerNorm(d)
        self.token_up, self.token_down = make.edge(t, t * e), make.edge(t * e, t)
        self.channel_up, self.channel_down = make.core(d, d * e), make.core(d * e, d)

    def forward(self, x: Tensor, path: Route) -> Tensor:
        """[B, tokens, d] to [B, tokens, d]."""
        mixed = self.token_norm(x).transpose(1, 2)
        mixed = self.token_down(gelu(self.token_up(mixed, path)), path)
        x = x + mixed.transpose(1, 2)
        mixed = self.channel_up(self.channel_norm(x), path)
        return x + self.channel_down(gelu(mixed), path)


class Mixer(nn.Module):
    """Windows in, class logits and a forecast out.

    Inputs are raw SI values. Each channel is taken about its mean in the window, in units of its
    usual spread within a window, and squashed by asinh, so that an impact of 100 σ stays in range;
    the mean itself and the logarithm of the variance come in beside, as features of the window;
    with `config.segment` also those of two more moments, and of the powers by frequency.
    A NaN (gap, part not reported) counts as the mean. With `config.absolute` rows are taken about
    their usual level instead, and where the window lies is not told beside them.

    Args:
        config: sizes.
        quantized: INT4 / INT8 layers to load, instead of full-precision layers to train.
    """

    level_mean: Tensor
    level_std: Tensor
    spread: Tensor
    class_head: nn.Module | None
    forecast_head: nn.Module
    basis: Tensor

    def __init__(self, config: MixerConfig, quantized: bool = False) -> None:
        super().__init__()
        self.config = config
        make = _Factory(config, quantized)
        # of the windows' means, and the usual standard deviation within a window; SI units, [C]
        self.register_buffer("level_mean", torch.zeros(config.channels))
        self.register_buffer("level_std", torch.ones(config.channels))
        self.register_buffer("spread", torch.ones(config.channels))
        self.embed = make.edge(config.patch * config.channels, config.width)
        self.embed_features = make.edge(config.features * config.channels, config.width)
        if config.segment:
            basis = torch.from_numpy(spectral_basis(config.window, config.segment))
            self.register_buffer("basis", basis.flatten(0, 1), persistent=False)
        self.blocks = nn.ModuleList(Block(config, make) for _ in range(config.blocks))
        self.norm = nn.LayerNorm(config.width)
        for head in HEADS:
            outputs = head.outputs(config)
            setattr(self, head.name, make.edge(config.width, outputs) if outputs else None)

    def level(self, windows: Tensor) -> Tensor:
        """What rows are taken about, [B, 1, C] of raw [B, T, C]; the usual level without a mean."""
        level = torch.nanmean(windows, dim=1, keepdim=True)
        usual = torch.ones_like(level, dtype=torch.bool) if self.config.absolute else level.isnan()
        return torch.where(usual, self.level_mean, level)

    def standardize(self, values: Tensor, level: Tensor) -> Tensor:
        """Squashed standard units of raw values [B, n, C] about a level; 0 where there is none."""
        return torch.asinh(torch.nan_to_num((values - level) / self.spread, nan=0.0))

    def forward(self, windows: Tensor, path: Route) -> tuple[Tensor | None, Tensor]:
        """Infer.

        Args:
            windows: raw values, float32 [B, T, C].
            path: which path to compute.

        Returns:
            Logits [B, L] (None without a class head) and the forecast of the next rows, in squashed
            standard units about the window's level, [B, horizon, C].
        """
        level = self.level(windows)
        x = self.standardize(windows, level)
        b, t, c = x.shape
        features = self._features(level, x)
        x = self.embed(x.reshape(b, t // self.config.patch, -1), path)
        x = x + self.embed_features(features, path)[:, None, :]
        for block in self.blocks:
            x = block(x, path)
        x = self.norm(x)
        logits = self.class_head(x.mean(dim=1), path) if self.class_head is not None else None
        forecast = self.forecast_head(x[:, -1], path).view(b, self.config.horizon, c)
        return logits, forecast

    def _features(self, level: Tensor, x: Tensor) -> Tensor:
        """Of the levels [B, 1, C] and the standardised windows [B, T, C], [B, features * C]."""
        placed = torch.asinh((level[:, 0] - self.level_mean) / self.level_std)
        parts = [placed, torch.log(x.var(dim=1) + 1e-4)]
        if segment := self.config.segment:
            size = x.abs().mean(dim=1), x.square().square().mean(dim=1)
            waves = self.basis @ x.unflatten(1, (-1, segment))
            powers = waves.square().sum(dim=1).unflatten(1, (PARTS, -1)).sum(dim=1)
            parts += [torch.log(part + FLOOR) for part in (*size, powers.flatten(1))]
        return torch.cat(parts, dim=1)

    def prepare(self) -> Mixer:
        """Make a loaded quantised model ready to infer."""
        for layer in self.modules():
            if isinstance(layer, QuantizedLinear):
                layer.prepare()
        return self.eval()
