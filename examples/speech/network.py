"""The speech enhancement network of LC-TTFS, section V-B: waveform to waveform, of any length."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ttfs_convert.training.torch import ReLU1, Residual

SAMPLES, STRIDE = 20, 10  # of the encoder's filters
DILATIONS = tuple(2**power for power in range(10))
GAIN = 4.0  # of the encoder at the start, undone by the decoder: a neuron's current from speech is then a share of its range


class Enhancer(nn.Module):
    """y = decoder(w sigmoid(mask(body(w)))), w = encoder(x): what is noise is masked in the encoder's coefficients.

    x, y: (n, 1, samples). The body, a 1 x 1 convolution and ten dilated ones with residual sums, all with ReLU1, is what spikes; it reads
    the signed coefficients as analog currents, and the mask reads potentials, as in the paper. Channels: `filters` of the encoder, the
    mask and the decoder, `width` of the body; in the paper both are 128.
    """

    def __init__(self, width: int = 128, filters: int = 128):
        super().__init__()
        self.encoder = nn.Conv1d(1, filters, SAMPLES, STRIDE, padding=STRIDE, bias=False)
        self.body = nn.Sequential(
            nn.Conv1d(filters, width, 1),
            ReLU1(),
            *(Residual(nn.Conv1d(width, width, 3, padding=dilation, dilation=dilation)) for dilation in DILATIONS),
        )
        self.mask = nn.Conv1d(width, filters, 1)
        self.decoder = nn.ConvTranspose1d(filters, 1, SAMPLES, STRIDE, padding=STRIDE, bias=False)
        self._initialise()

    def _initialise(self) -> None:
        """The untrained network lets half of everything through, so that it begins as good as its input: the encoder is orthogonal, each
        sample lies in two windows and the mask is 1/2."""
        nn.init.orthogonal_(self.encoder.weight.data.view(-1, SAMPLES), GAIN)
        self.decoder.weight.data = self.encoder.weight.data / GAIN**2
        nn.init.normal_(self.body[0].weight, 0, 3 / len(self.encoder.weight) ** 0.5)
        nn.init.constant_(self.body[0].bias, 0.3)
        for block in self.body[2:]:
            nn.init.normal_(block.branch.weight, 0, 0.5 / block.branch.weight[0].numel() ** 0.5)
            nn.init.zeros_(block.branch.bias)
        nn.init.normal_(self.mask.weight, 0, 0.1 / self.mask.in_channels**0.5)
        nn.init.zeros_(self.mask.bias)

    def forward(self, x: Tensor) -> Tensor:
        """x: (n, 1, samples), samples a multiple of 10, or what is over is lost."""
        w = self.encoder(x)
        return self.decoder(w * torch.sigmoid(self.mask(self.body(w))))
