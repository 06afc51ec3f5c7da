"""Images/s of one network in a fresh process: `cpu_worker.py extractor|vae keep`."""

from __future__ import annotations

import sys

from genzoo.command.parser import Parser
from genzoo.machine.cpu import keep_freed_memory

parser = Parser(prog="python -m bench.cpu_worker", description=__doc__)
parser.add_argument("what", choices=("extractor", "vae"))
parser.add_argument("keep", choices=("0", "1"), help="whether malloc keeps freed blocks")
arguments = parser.parse_args()
what, keep = arguments.what, arguments.keep == "1"
if keep and not keep_freed_memory():
    sys.exit("this C library has no mallopt")

import torch  # noqa: E402 - after malloc was told

from bench.timing import in_turns  # noqa: E402

if what == "extractor":
    from genzoo.metrics.extractors import build_extractor

    extractor = build_extractor("efficientnet_lite0")
    images = torch.randint(0, 256, (32, 3, 32, 32), dtype=torch.uint8)
    print(32 / in_turns(5, run=lambda: extractor(images))["run"])
else:
    from bench.cases import openmoji
    from genzoo.config.composition import compose
    from genzoo.core.noise import Noise
    from genzoo.run import build

    cfg = compose("model=vae")
    data = openmoji()
    tokenizer = build.build_tokenizer(cfg, data, None)
    model = build.build_model(cfg)
    batch = data.batch(list(range(64)), tokenizer)

    def step() -> None:
        model.losses(batch, noise=Noise.of(0, batch.index)).total.mean().backward()

    print(64 / in_turns(8, run=step)["run"])
