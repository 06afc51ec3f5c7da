"""One peer in a process of its own: `python -m bench.peers.one NAME FOLDER OVERRIDE ...`."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path

from bench.peers.contestants import CONTESTANTS
from genzoo.command.parser import Parser
from genzoo.config.composition import compose


def main(name: str, folder: Path, overrides: list[str]) -> None:
    from genzoo.machine import cpu

    cfg = compose(*overrides)
    # Before torch is imported, as in genzoo's own processes.
    print("cpu:", ", ".join(cpu.apply(cfg.cpu)), flush=True)
    assert "torch" not in sys.modules
    module, function = str(CONTESTANTS[name].build).split(":")

    import torch

    from bench.peers import arena, measure
    from genzoo.core.image import grid, save_png
    from genzoo.core.noise import split_seed
    from genzoo.run import build

    data = build.build_data(cfg)
    build.seed_everything(split_seed(cfg.seed, name))
    peer = getattr(importlib.import_module(f"bench.peers.{module}"), function)(cfg)
    print(f"{name}: {peer.parameters:,} parameters, batches of {peer.batch}", flush=True)
    clock = arena.Clock(60 * cfg.budget.minutes)
    peer.train(arena.Stream.of(data, seed=cfg.seed), clock)
    print(f"trained {clock.images_seen:,} images in {clock.spent:.1f} s", flush=True)
    torch.manual_seed(split_seed(cfg.seed, name, "samples"))
    chosen, measured = measure.best(lambda sampler: measure.samples(cfg, data, sampler), peer)
    taken = measured[chosen]
    record = {
        "metrics": taken.entries | measure.likelihood(cfg, data, peer),
        "parameters": peer.parameters,
        "batch": peer.batch,
        "dequantisation": peer.dequantisation,
        "images_seen": clock.images_seen,
        "training_seconds": clock.spent,
        "samples_per_second": 1 / max(taken.seconds_per_image, 1e-9),
        "drawn": chosen,
        "variants": {n: m.entries[measure.FRECHET]["value"] for n, m in measured.items()},
    }
    save_png(folder / "samples.png", grid(taken.images, columns=measure.SHOWN))
    (folder / "record.json").write_text(json.dumps(record))


if __name__ == "__main__":
    parser = Parser(prog="python -m bench.peers.one", description=__doc__)
    parser.add_argument("name", choices=tuple(CONTESTANTS))
    parser.add_argument("folder", type=Path, help="for the record and the images")
    parser.add_argument("overrides", nargs="*", help="as of python -m genzoo")
    arguments = parser.parse_args()
    if not arguments.folder.is_dir():
        parser.error(f"there is no folder {arguments.folder}")
    main(arguments.name, arguments.folder, arguments.overrides)
