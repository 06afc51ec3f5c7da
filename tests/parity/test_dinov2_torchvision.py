"""Our DINOv2 against torchvision's Vision Transformer, with the same random weights."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor

from genzoo.metrics.dinov2 import INPUT_SIZE, VisionTransformer, network_of, positions
from genzoo.metrics.extractors import build_extractor
from genzoo.metrics.resize import resize_pillow

pytestmark = pytest.mark.parity

WIDTH, DEPTH, PATCH, TRAINED = (
    128,
    3,
    14,
    37,
)  # two heads; trained on 37 x 37 patches, as published


def random_state(
    *, seed: int = 0, width: int = WIDTH, depth: int = DEPTH, grid: int = TRAINED
) -> dict[str, Tensor]:
    """Weights by the names and shapes of the published file."""
    generator = torch.Generator().manual_seed(seed)
    network = VisionTransformer(width=width, depth=depth, patch=PATCH, grid=grid)
    state = {
        name: torch.randn(value.shape, generator=generator) * 0.1 + value.detach()
        for name, value in network.state_dict().items()
    }
    return state | {"mask_token": torch.zeros(1, width)}


def theirs(
    state: Mapping[str, Tensor], *, width: int = WIDTH, depth: int = DEPTH
) -> torch.nn.Module:
    """torchvision's network with these weights, the layer scale multiplied in: it has none."""
    from torchvision.models.vision_transformer import VisionTransformer as Theirs

    network = Theirs(
        image_size=INPUT_SIZE, patch_size=PATCH, num_layers=depth, num_heads=width // 64,
        hidden_dim=width, mlp_dim=4 * width,
    )  # fmt: skip
    network.heads = torch.nn.Identity()
    own = {
        "class_token": state["cls_token"],
        "conv_proj.weight": state["patch_embed.proj.weight"],
        "conv_proj.bias": state["patch_embed.proj.bias"],
        "encoder.pos_embedding": positions(state["pos_embed"], grid=INPUT_SIZE // PATCH),
        "encoder.ln.weight": state["norm.weight"],
        "encoder.ln.bias": state["norm.bias"],
    }
    for k in range(depth):
        a, b = f"blocks.{k}.", f"encoder.layers.encoder_layer_{k}."
        for kind in ("weight", "bias"):
            own[f"{b}ln_1.{kind}"] = state[f"{a}norm1.{kind}"]
            own[f"{b}ln_2.{kind}"] = state[f"{a}norm2.{kind}"]
            own[f"{b}self_attention.in_proj_{kind}"] = state[f"{a}attn.qkv.{kind}"]
            own[f"{b}mlp.0.{kind}"] = state[f"{a}mlp.fc1.{kind}"]
            for name, layer, scale in (
                ("self_attention.out_proj", "attn.proj", "ls1"),
                ("mlp.3", "mlp.fc2", "ls2"),
            ):
                gamma, value = state[f"{a}{scale}.gamma"], state[f"{a}{layer}.{kind}"]
                own[f"{b}{name}.{kind}"] = (
                    gamma[:, None] * value if kind == "weight" else gamma * value
                )
    network.load_state_dict(own)
    return network.eval()


def test_the_network_gives_torchvisions_class_token(tmp_path: Path) -> None:
    state = random_state()
    save_file(state, tmp_path / "dinov2.safetensors")
    ours = build_extractor("dinov2", weights=tmp_path / "dinov2.safetensors")
    generator = torch.Generator().manual_seed(1)
    images = torch.randint(0, 256, (3, 3, 224, 224), dtype=torch.uint8, generator=generator)
    mean = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
    deviation = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
    with torch.no_grad():
        expected = theirs(state)((images / 255 - mean) / deviation)
    found = ours(images).pooled
    assert expected.std(0).mean() > 0.01  # images differ
    assert ((found - expected).norm() / expected.norm()).item() < 1e-5


def cubic(distance: np.ndarray, a: float = -0.75) -> np.ndarray:
    """Keys' kernel (1981) with the a of PyTorch's bicubic interpolation."""
    x = np.abs(distance)
    near = (a + 2) * x**3 - (a + 3) * x**2 + 1
    far = a * (x**3 - 5 * x**2 + 8 * x - 4)
    return np.where(x <= 1, near, np.where(x < 2, far, 0.0))


def test_positions_are_resized_as_the_reference_does() -> None:
    """16 of 37 patches a side lie in steps of 37 / 16.1, not of 37 / 16."""
    generator = torch.Generator().manual_seed(0)
    column = torch.randn(TRAINED, generator=generator)
    grid = column.view(TRAINED, 1).expand(TRAINED, TRAINED).reshape(1, -1, 1)
    found = positions(torch.cat([torch.full((1, 1, 1), -1.0), grid], dim=1), grid=16)
    assert found.shape == (1, 257, 1)
    assert found[0, 0, 0] == -1
    for step, same in ((TRAINED / 16.1, True), (TRAINED / 16, False)):
        at = (np.arange(16) + 0.5) * step - 0.5
        around = np.floor(at)[:, None].astype(int) + np.arange(-1, 3)
        values = column.numpy()[around.clip(0, TRAINED - 1)]
        expected = (values * cubic(at[:, None] - around)).sum(1)
        assert np.allclose(found[0, 1:, 0].view(16, 16)[:, 0], expected, atol=1e-4) == same


@pytest.mark.parametrize("shape", [(32, 32), (224, 224), (300, 224), (333, 500)])
def test_resizing_is_pillows(shape: tuple[int, int]) -> None:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (1, 3, *shape), dtype=torch.uint8, generator=generator)
    own = Image.fromarray(images[0].permute(1, 2, 0).numpy())
    expected = np.asarray(own.resize((INPUT_SIZE, INPUT_SIZE), Image.Resampling.BICUBIC))
    gap = (resize_pillow(images, INPUT_SIZE)[0].permute(1, 2, 0).numpy() - expected).__abs__()
    assert gap.max() <= 1  # of 255: Pillow's weights are fixed-point numbers
    assert (gap > 0).mean() < 0.01


def test_a_network_of_the_published_size_has_the_published_number_of_weights() -> None:
    with torch.device("meta"):
        network = VisionTransformer(width=1024, depth=24, patch=PATCH, grid=TRAINED)
    count = sum(value.numel() for value in network.state_dict().values())
    # The file of 1,217,586,395 bytes: float32 numbers, a mask token and some kilobytes of names.
    assert 0 < 1_217_586_395 - 4 * (count + 1024) < 200_000


def test_state_of_another_width_is_read_too() -> None:
    network = network_of(random_state(width=64, depth=1, grid=16), source="x")
    assert network.pos_embed.shape == (1, 257, 64)
