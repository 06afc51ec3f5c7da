"""The table: every key of configs/ with what may stand there.

A key of the section `model` is looked up by its last two words or its last one, which means the
same in every family of genzoo's; of other people's classes nothing is known. A key without a rule
is a person's own; tests see to it that those in configs/ have one.
"""

from __future__ import annotations

from dataclasses import replace
from fnmatch import fnmatchcase

from genzoo.config.schema.rule import (
    FLAG,
    NULL,
    SHARE,
    Rule,
    custom,
    listed,
    number,
    text,
    whole,
    word,
)

COUNT = whole(1)
POSITIVE = number(above=0)
CAPTION = text("a caption", empty=True) | NULL
PATH = text("a path")
NAME = text("a name")
STEPS = (
    r"fast27|ddim[1-9]\d*|[2-9]|[1-9]\d+|[1-9]\d*(,[1-9]\d*)+"  # see diffusion.schedule.respace
)


def _whole_or_reciprocal(value: float) -> bool:
    ratio = value if value >= 1 else 1 / value if value > 0 else 0.5
    return abs(ratio - round(ratio)) < 1e-9 * ratio


KEYS: dict[str, Rule] = {
    "*._target_": NAME,
    "*.name": NAME,
    "seed": whole(0),
    "checkpoint": PATH | NULL,
    "clip": PATH | NULL,
    "weights_dir": PATH | NULL,
    "output": PATH,
    "overwrite": FLAG,
    "debug": word("traceback") | NULL,
    # Of commands.
    "batch": COUNT,
    "captions": PATH | NULL,
    "columns": COUNT | NULL,
    "count": COUNT,
    "end": PATH | NULL,
    "end_prompt": CAPTION,
    "file": PATH,
    "given": text("what they were generated from, such as nothing") | NULL,
    "image": PATH | NULL,
    "images": PATH,
    "label": whole(0) | NULL,
    "mask": PATH | NULL,
    "max_skipped": SHARE,
    "name": NAME | NULL,
    "prompt": CAPTION,
    "real": PATH | NULL,
    "resize": COUNT | NULL,
    "runs": replace(listed(PATH, least=1) | PATH, words="run folders with commas between"),
    "source": CAPTION,
    "steps": whole(2),
    "strength": SHARE,
    "target": CAPTION,
    "task.distributed": FLAG,
    "upsampler": PATH | NULL,
    "upsampler_steps": whole(2) | text('a number of steps, or "fast27"', like=STEPS),
    # Training.
    "budget.images": COUNT | NULL,
    "budget.minutes": POSITIVE | NULL,
    "ema.halflife_images": POSITIVE,
    "ema.ramp": number(least=0),
    "optimizer.accumulate": COUNT,
    "optimizer.batch_size": COUNT,
    "optimizer.betas": listed(number(least=0, below=1), length=2),
    "optimizer.clip": POSITIVE | NULL,
    "optimizer.discriminator.lr": number(least=0),
    "optimizer.discriminator.steps": custom(
        "a whole number such as 4, or one of its reciprocals such as 0.25",
        _whole_or_reciprocal,
        why="cannot be played in turns",
    ),
    "optimizer.lr": number(least=0),
    "optimizer.warmup_images": whole(0),
    "optimizer.weight_decay": number(least=0),
    "trainer.checkpoint_minutes": number(least=0),
    "trainer.compile": FLAG,
    "trainer.gpus": whole(0) | word("auto"),
    "trainer.log_images": COUNT,
    "trainer.monitor_images": COUNT | NULL,
    "trainer.nodes": COUNT,
    "trainer.precision": text("a precision such as bf16-mixed"),
    "trainer.processes": COUNT,
    "trainer.tf32": FLAG,
    "trainer.validation_images": COUNT,
    # The machine and the dashboard.
    "cpu.keep_memory": FLAG,
    "cpu.spin": whole(0) | NULL,
    "cpu.threads": COUNT | NULL,
    "cpu.wait_policy": word("passive", "active") | NULL,
    "logger.entity": NAME | NULL,
    "logger.mode": word("auto", "online", "offline", "disabled"),
    "logger.project": NAME | NULL,
    # Data and their captions.
    "data.cache": PATH | NULL,
    "data.image_size": COUNT,
    "data.max_skipped": SHARE,
    "data.root": PATH | NULL,
    "data.source.count": COUNT,
    "data.source.download": FLAG,
    "data.source.held_out": listed(text()),
    "data.source.lines": word("joined", "separate"),
    "data.source.max_pixels": COUNT,
    "data.source.root": PATH | NULL,
    "data.source.seed": whole(0),
    "data.templates": listed(
        text("text with {} in it once", like=r"(?s)((?!\{\}).)*\{\}((?!\{\}).)*"), least=1
    ),
    "data.validation": number(least=0, below=1),
    "data.workers": whole(0),
    "text.context": COUNT,
    "text.vocab_size": whole(257),
    # Drawing.
    "guidance.checkpoint": PATH | NULL,
    "guidance.interval": listed(SHARE, length=2, check="rising"),
    "guidance.scale": number() | word("tuned"),
    "guidance.scorer": word("auto", "clip", "noisy_classifier"),
    "sampler.eta": SHARE,
    "sampler.method": word("ddpm", "ddim", "dpm_solver", "heun"),
    "sampler.quantile": number(above=0, most=1),
    "sampler.steps": whole(2) | text("a choice such as 27, fast27 or ddim50", like=STEPS),
    "sampler.temperature": number(least=0),
    "sampler.threshold": word("static", "dynamic", "none"),
    # Measuring.
    "metrics.batch": COUNT,
    "metrics.caption_split": NAME,
    "metrics.clip": PATH | NULL,
    "metrics.copies_among": whole(0) | NULL,
    "metrics.density_neighbours": COUNT,
    "metrics.during": listed(COUNT | text("minutes such as 5min", like=r"\d+(\.\d+)?min")),
    "metrics.during_images": whole(2),
    "metrics.extractors": listed(
        word("efficientnet_lite0", "inception", "dinov2", "clip", "domain")
    ),
    "metrics.held_out_images": COUNT,
    "metrics.images": whole(2),
    "metrics.keep_samples": FLAG,
    "metrics.neighbour_images": whole(2) | NULL,
    "metrics.neighbours": COUNT,
    "metrics.real_images": whole(2) | NULL,
    "metrics.real_split": NAME,
    "metrics.seed": whole(0),
    "metrics.splits": COUNT,
    "metrics.subset_size": whole(2),
    "metrics.subsets": COUNT,
    "metrics.tuning.between": listed(number(), length=2, check="rising"),
    "metrics.tuning.images": whole(2),
    "metrics.tuning.trials": whole(2),
    "metrics.weights.*": PATH | NULL,
}

MODEL: dict[str, Rule] = {
    "process.steps": whole(2),
    "prior.steps": whole(2),
    "attention": listed(
        custom("a power of two", lambda n: n in {2**k for k in range(16)}, why="no level has")
    ),
    "before": listed(word("prior", "decoder")),
    "beta": number(least=0),
    "bound": POSITIVE,
    "bound_weight": number(least=0),
    "blocks": COUNT | listed(COUNT, least=1),
    "chunk": COUNT | NULL,
    "context": COUNT,
    "couplings": whole(0),
    "crop": number(above=0, most=1),
    "draws": COUNT,
    "drop": SHARE,
    "drop_embedding": SHARE,
    "dropout": number(least=0, below=1),
    "embedding": whole(0),
    "expansion": COUNT,
    "features": COUNT,
    "final_norm": FLAG,
    "free_bits": number(least=0),
    "gradient_penalty": number(least=0),
    "group": COUNT,
    "groups": COUNT,
    "head_channels": COUNT | NULL,
    "heads": COUNT,
    "heads_up": COUNT | NULL,
    "hidden": COUNT,
    "image_size": COUNT,
    "images": COUNT,
    "inpaint": FLAG,
    "labels": whole(0),
    "largest": POSITIVE,
    "latent": COUNT,
    "layers": COUNT | listed(COUNT, least=1),
    "learned_variance": FLAG,
    "levels": COUNT,
    "likelihood_steps": whole(2),
    "loss": word("relativistic", "non_saturating", "hinge", "least_squares", "wasserstein"),
    "low_size": COUNT,
    "mean": number(),
    "mismatched": number(least=0),
    "mode": word("none", "fixed", "adaptive"),
    "multiples": listed(COUNT, least=1),
    "noise_aware": FLAG,
    "noise_std": number(least=0),
    "padding": FLAG,
    "patch": COUNT,
    "patch_dropout": number(least=0, below=1),
    "penalty_share": number(above=0, most=1),
    "prediction": word("eps", "x0", "v", "flow"),
    "probability": SHARE,
    "r1": number(least=0),
    "r2": number(least=0),
    "recompute": FLAG,
    "resample": word("block", "conv"),
    "rho": POSITIVE,
    "scale": number(),
    "scale_shift": FLAG,
    "schedule": word("linear", "squaredcos_cap_v2"),
    "shift": POSITIVE,
    "sigma_data": POSITIVE,
    "size": NAME,
    "smallest": POSITIVE,
    "spread": POSITIVE,
    "stage": word("base", "upsample", "prior", "decoder", "both"),
    "steps": COUNT,
    "target": number(least=-1, most=1),
    "temperature": number(least=0),
    "truncation": POSITIVE | NULL,
    "upsample": FLAG,
    "vocab_size": COUNT,
    "width": COUNT,
    "widths": listed(COUNT, least=1),
}

MODEL_SECTIONS = (
    "arch", "augmentation", "clip", "decoder", "dequantisation", "discriminator", "generator",
    "image", "network", "prior", "process", "text", "unet",
)  # fmt: skip
OPTIONAL = {  # by section: what configs/ leaves to Python's defaults; added with +
    "text": ("padding", "final_norm"),
    "unet": ("dropout", "heads", "heads_up", "recompute", "resample", "scale_shift"),
}
WITHOUT = ("model.text", "model.decoder.text")  # sections that may be null

# Keys that name what scores images.
SCORERS = ("guidance.checkpoint", "metrics.clip", "metrics.weights.clip")


def rule_of(key: str) -> Rule | None:
    """The rule of a dotted key, if it has one."""
    if key in KEYS:
        return KEYS[key]
    for pattern, rule in KEYS.items():
        if "*" in pattern and fnmatchcase(key, pattern):
            return rule
    section, *rest = key.split(".")
    if section != "model":
        return None
    return MODEL.get(".".join(rest[-2:])) or MODEL.get(".".join(rest[-1:]))


def is_section(key: str) -> bool:
    """Whether a dotted key holds other keys."""
    section, _, rest = key.partition(".")
    if section == "model":
        return not rest or rest.rpartition(".")[2] in MODEL_SECTIONS
    return any(known.startswith(f"{key}.") for known in KEYS)
