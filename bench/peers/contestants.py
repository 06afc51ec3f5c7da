"""Who takes part; a peer's module is imported only in its own process."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Contestant:
    """One row of the table.

    Attributes:
        label: as the table shows it.
        family: contestants of one family are ranked with one another.
        build: module and function that make a peer; None for ours.
        model: genzoo's overrides; None for peers.
        packages: whose versions matter, besides torch's.
        data: name of the data set.
    """

    label: str
    family: str
    build: str | None = None
    model: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    data: str = "fashion_mnist"

    @property
    def ours(self) -> bool:
        return self.build is None


CONTESTANTS = {
    "gan": Contestant("genzoo GAN", "gan", model=("model=gan",)),
    "dcgan": Contestant("DCGAN, our GAN's size", "gan", "dcgan:same_size"),
    "dcgan_classic": Contestant("DCGAN, nf=32", "gan", "dcgan:classic"),
    "gigagan": Contestant(
        "gigagan-pytorch", "gan", "gigagan:same_size", packages=("gigagan-pytorch", "accelerate")
    ),
    "particlegan": Contestant(
        "particlegan", "gan", "particle:same_size", packages=("particlegan",)
    ),
    "flow": Contestant("genzoo flow", "flow", model=("model=flow",)),
    # Without learned dequantisation, to show its share of the lead in bits.
    "flow_uniform": Contestant(
        "genzoo flow, uniform dequantisation",
        "flow",
        model=("model=flow", "model/dequantisation=uniform"),
    ),
    "normflows_glow": Contestant(
        "normflows Glow", "flow", "glow:same_size", packages=("normflows",)
    ),
    "diffusion": Contestant(
        "genzoo diffusion", "diffusion", model=("model=diffusion",), data="openmoji"
    ),
    "ddpm_pytorch": Contestant(
        "denoising-diffusion-pytorch",
        "diffusion",
        "ddpm:same_size",
        packages=("denoising-diffusion-pytorch",),
        data="openmoji",
    ),
}
