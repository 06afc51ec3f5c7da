from __future__ import annotations

import torch
from torch import nn

from genzoo.lit.ema import EMA


def test_the_horizon_grows_with_the_images_seen() -> None:
    ema = EMA(nn.Linear(1, 1), halflife_images=1000, ramp=0.1)
    assert ema.decay(images_seen=0, step_images=10) == 0.0
    assert abs(ema.decay(images_seen=100, step_images=10) - 0.5) < 1e-9
    assert abs(ema.decay(images_seen=10**6, step_images=1000) - 0.5) < 1e-9


def test_it_follows_weights_and_copies_buffers() -> None:
    model = nn.BatchNorm1d(1)
    ema = EMA(model, halflife_images=1000, ramp=0.1)
    with torch.no_grad():
        model.weight.fill_(3.0)
        model.running_mean.fill_(5.0)  # type: ignore[union-attr, operator]
    ema.update(model, images_seen=100, step_images=10)
    assert float(ema.model.weight) == 2.0  # half-way from 1 to 3
    assert float(ema.model.running_mean) == 5.0  # type: ignore[arg-type]
    assert not ema.train().model.training
