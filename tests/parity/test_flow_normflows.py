"""A step of Glow with weights copied over equals normflows' (which trains in its `inverse`)."""

from __future__ import annotations

import normflows
import pytest
import torch
from torch import Tensor, nn

from genzoo.flows.coupling import AffineCoupling
from genzoo.flows.linear import ActNorm, InvertibleConv
from genzoo.flows.transform import Composition, bounded

pytestmark = [
    pytest.mark.parity,
    pytest.mark.filterwarnings("ignore:torch.lu is deprecated"),  # normflows' own
]

CHANNELS, SIZE = 6, 4


class Parameters(nn.Module):
    """Our network with the signs and the interleaving that normflows expects."""

    def __init__(self, coupling: AffineCoupling) -> None:
        super().__init__()
        self.coupling = coupling

    def forward(self, kept: Tensor) -> Tensor:
        shift, raw = self.coupling.net(kept).chunk(2, dim=1)
        return torch.stack([-shift, -bounded(raw, self.coupling.bound)], 2).flatten(1, 2)


@pytest.fixture
def x() -> Tensor:
    return torch.randn(5, CHANNELS, SIZE, SIZE, generator=torch.Generator().manual_seed(0))


def theirs_of_norm(ours: ActNorm) -> nn.Module:
    theirs = normflows.flows.ActNorm((CHANNELS, 1, 1))
    with torch.no_grad():
        theirs.s.copy_(-ours.log_scale[None])
        theirs.t.copy_(ours.shift[None])
    theirs.data_dep_init_done = torch.tensor(1.0)
    return theirs


def theirs_of_conv(ours: InvertibleConv) -> nn.Module:
    theirs = normflows.flows.Invertible1x1Conv(CHANNELS, use_lu=True)
    with torch.no_grad():
        theirs.P.copy_(ours.permutation)
        theirs.L.copy_(ours.lower)
        theirs.U.copy_(ours.upper)
        theirs.log_S.copy_(ours.log_diagonal)
        theirs.sign_S.copy_(ours.sign)
    return theirs


def step() -> tuple[ActNorm, InvertibleConv, AffineCoupling]:
    """One of ours with no weight at its beginning."""
    torch.manual_seed(0)
    parts = (
        ActNorm(CHANNELS),
        InvertibleConv(CHANNELS),
        AffineCoupling(CHANNELS, size=SIZE, width=8),
    )
    with torch.no_grad():
        for part in parts:
            for parameter in part.parameters():
                parameter.add_(0.2 * torch.randn_like(parameter))
    return parts


def same(ours: nn.Module, theirs: nn.Module, x: Tensor) -> None:
    with torch.no_grad():
        z, log_det = ours(x)
        their_z, their_log_det = theirs.inverse(x)
        back, their_back = ours.inverse(z), theirs.forward(their_z)[0]
    torch.testing.assert_close(z, their_z, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(log_det, their_log_det.expand(len(x)), atol=1e-4, rtol=1e-5)
    torch.testing.assert_close(back, their_back, atol=1e-4, rtol=1e-4)


def test_activation_normalisation(x: Tensor) -> None:
    ours, _, _ = step()
    same(ours, theirs_of_norm(ours), x)


def test_its_initialisation(x: Tensor) -> None:
    ours, theirs = ActNorm(CHANNELS), normflows.flows.ActNorm((CHANNELS, 1, 1))
    z = ours.data_dependent_init(3 * x + 1)
    with torch.no_grad():
        their_z, _ = theirs.inverse(3 * x + 1)
    # normflows divides by n - 1 in the variance.
    torch.testing.assert_close(z, their_z, atol=2e-2, rtol=1e-2)


def test_invertible_convolution(x: Tensor) -> None:
    _, ours, _ = step()
    same(ours, theirs_of_conv(ours), x)


def test_a_whole_step(x: Tensor) -> None:
    norm, conv, coupling = step()
    theirs = normflows.flows.GlowBlock(CHANNELS, 8, scale_map="exp")
    theirs.flows[0].flows[1].param_map = Parameters(coupling)
    theirs.flows[1], theirs.flows[2] = theirs_of_conv(conv), theirs_of_norm(norm)
    same(Composition([norm, conv, coupling]), theirs, x)
