"""particlegan: the library's default recipe (losses, penalty, optimisers, learned latent points).

The library brings no networks for images; it gets those of the DCGAN here, at our GAN's size. Its
table of latent points comes on top of that and is counted in its parameters.
"""

from __future__ import annotations

from collections.abc import Mapping

from omegaconf import DictConfig
from torch import Tensor, nn

from bench.peers import dcgan
from bench.peers.arena import Clock, Sampler, Stream, count, our_size, sized
from genzoo.core.image import to_float, to_uint8

LATENT = dcgan.LATENT


class FlatGenerator(nn.Sequential):
    """A generator from flat latent points."""

    def forward(self, z: Tensor) -> Tensor:
        images: Tensor = super().forward(z[:, :, None, None])
        return images


class ParticleGAN:
    batch = 64
    dequantisation = None

    def __init__(self, features: int, *, seed: int) -> None:
        from particlegan import GANTrainer, get_recipe, init

        g = FlatGenerator(*dcgan.generator(features))
        d = nn.Sequential(*dcgan.discriminator(features), nn.Flatten(0))
        init.deterministic_orthogonal_(g, seed=seed)  # as its examples begin
        init.deterministic_orthogonal_(d, seed=seed + 1)
        # Its rates are constant: the number of steps is a limit that the clock sets here.
        recipe = get_recipe(z_dim=LATENT, batch_size=self.batch, total_steps=10**7)
        prior = init.deterministic_orthogonal_(recipe.make_prior())
        self.trainer = GANTrainer(recipe, g, d, prior=prior, seed=seed)
        self.parameters = count(g, d, prior)

    def train(self, images: Stream, clock: Clock) -> None:
        batches = images.batches(self.batch)
        while clock.left():
            real, _ = next(batches)
            self.trainer.step(to_float(real))
            clock.saw(len(real))

    def variants(self) -> Mapping[str, Sampler]:
        return {"last weights": lambda n: to_uint8(self.trainer.sample(n))}

    def bits_per_dim(self, images: Tensor, labels: Tensor) -> None:
        return None


def same_size(cfg: DictConfig) -> ParticleGAN:
    target = our_size(cfg, "gan")
    features = sized(target, range(8, 129), dcgan._parameters)
    made = ParticleGAN(features, seed=cfg.seed)
    print(f"our GAN has {target:,} parameters, particlegan with nf={features} {made.parameters:,}")
    return made
