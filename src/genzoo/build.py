"""Data, tokenizer and model of a run, from its configuration or its checkpoint."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from omegaconf import DictConfig, OmegaConf

from genzoo import distributed, openclip, released, released_clip, saved
from genzoo.check import check_precision, gpu_count
from genzoo.checkpoint import LAST, Checkpoint, find, load_into, read
from genzoo.config import OPENAI, build, plain, target, wrapped
from genzoo.console import Progress, say
from genzoo.contrastive.matcher import CLIPScorer, Matcher
from genzoo.download import sha256_of
from genzoo.errors import UsageError
from genzoo.guidance import Classifier, Scorer
from genzoo.models.base import GenerativeModel, identity
from genzoo.models.clip import CLIP, CLIPMatcher
from genzoo.models.unclip import UnCLIP, trained_parts
from genzoo.noise import split_seed
from genzoo.precision import Precision
from genzoo.text.bpe import BPETokenizer
from genzoo.text.stored import read_tokenizer
from genzoo.text.tokenizer import Tokenizer

if TYPE_CHECKING:
    from genzoo.data.dataset import TextImageData

# What torch says of sizes that cannot be allocated, or not even be counted.
NO_MEMORY = ("can't allocate memory", "not enough memory", "out of memory",
             "storage size calculation overflowed", "overflow when unpacking")  # fmt: skip


def build_data(cfg: DictConfig) -> TextImageData:
    """The captioned images, drawn into the cache if they are not there yet."""
    node = OmegaConf.to_container(cfg.data, resolve=True)
    assert isinstance(node, dict)
    with Progress("drawing the images", None) as progress:
        data: TextImageData = build(
            {str(k): v for k, v in node.items()},
            progress=lambda done, total: progress.at(done, note=f"of {total:,}"),
        )
    splits = ", ".join(f"{name} {count:,}" for name, count in data.splits.items())
    say(f"{data.name}: {len(data):,} captioned images ({splits}), {data.image_size} px")
    if data.skipped:
        say(f"  {data.skipped} images were skipped, see {data.report}")
    return data


def build_tokenizer(
    cfg: DictConfig, data: TextImageData, checkpoint: Checkpoint | None
) -> Tokenizer:
    """The checkpoint's tokenizer, that of the CLIP to build on, or one of the training's own."""
    source, base = checkpoint, cfg.get("clip")
    if source is None and base is not None:  # one tokenizer for CLIP and what is built on it
        if is_pair(base):
            return released_clip.tokenizer(_pair(base, cfg.weights_dir).text.parent)
        source = read(Path(base))
    if source is not None:
        return read_tokenizer(source.about["tokenizer"])
    return BPETokenizer.train(
        data.texts("train"), vocab_size=cfg.text.vocab_size, context=cfg.text.context
    )


def build_model(cfg: DictConfig) -> GenerativeModel:
    """The model with the initial weights that belong to the seed."""
    seed = split_seed(cfg.seed, "initial weights")
    seed_everything(seed)
    node = OmegaConf.to_container(cfg.model, resolve=True)
    assert isinstance(node, dict)
    with _memory_enough(cfg.model.name):
        model: GenerativeModel = build({str(k): v for k, v in node.items()})
        model = model.to(memory_format=torch.channels_last)
    sampler = build_sampler(cfg)
    if sampler is not None:
        model.sampler = sampler
    return model


@contextlib.contextmanager
def _memory_enough(name: str) -> Iterator[None]:
    """Networks that no memory holds, told in one line."""
    try:
        yield
    except (RuntimeError, TypeError, MemoryError) as error:
        said = str(error).lower()
        if isinstance(error, MemoryError) or any(words in said for words in NO_MEMORY):
            raise UsageError(
                f"the networks of this model={name} need more memory than there is",
                "write smaller numbers for the keys of its networks (model.*)",
            ) from error
        raise


def check_beginning(cfg: DictConfig, model: GenerativeModel, checkpoint: Checkpoint) -> None:
    """Refuse typed keys that say where a training begins, for one that goes on.

    What they set is kept in the checkpoint, whose value would win in silence.

    Args:
        cfg: the prepared configuration.
        model: built by it, with the checkpoint's weights.
        checkpoint: that is continued.

    Raises:
        UsageError: names the keys.
    """
    own, saved = plain(cfg), checkpoint.config["model"]
    before = dict(_leaves(saved, "model."))
    typed = [key for key, value in _leaves(own["model"], "model.") if before.get(key) != value]
    if not typed:
        return
    begun = build_model(wrapped({**own, "model": saved})).state_dict()
    wanted, held = build_model(cfg).state_dict(), model.state_dict()
    for name, value in wanted.items():
        if not torch.equal(value, begun[name]) and not torch.equal(value, held[name]):
            raise UsageError(
                f"{', '.join(typed)}: the training in {checkpoint.path} has begun with another "
                f"{name}, and goes on from what became of it",
                "leave it away, or train anew",
            )


def _leaves(tree: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def take_over(cfg: DictConfig, model: GenerativeModel) -> str | None:
    """Give a new unCLIP its CLIP, and the parts that were trained before it.

    Returns:
        Whose they are; None where nothing is taken over.

    Raises:
        UsageError: where their shapes differ.
    """
    if not isinstance(model, UnCLIP) or cfg.get("clip") is None:
        return None
    if is_pair(cfg.clip):
        theirs = released_clip.load(_pair(cfg.clip, cfg.weights_dir))
        model.clip.load_state_dict(theirs.model.state_dict())
        return theirs.name
    source = read(Path(cfg.clip))
    own = source.config["model"]
    if own["name"] == "clip":
        load_into(model.clip, source.ema, path=source.path)
        return source.name
    parts = {"clip": model.clip, "prior": model.prior, "decoder": model.decoder}
    for name in ("clip", *trained_parts(own["stage"], own["before"])):
        below = {k.partition(".")[2]: v for k, v in source.ema.items() if k.startswith(f"{name}.")}
        load_into(parts[name], below, path=source.path)
    return source.name


def build_sampler(cfg: DictConfig) -> Any:
    """How samples are drawn, for models that take many steps; None for the others."""
    return _chosen(cfg.sampler, None)


def build_guidance(cfg: DictConfig) -> Any:
    """What steers the samples, for the argument `guidance` of `GenerativeModel.sample`.

    Raises:
        UsageError: for a scorer that is none, another one than was asked for, or a noise-aware one
            of images of another size.
    """
    if cfg.guidance.name != "classifier":
        return _chosen(cfg.guidance, identity)
    word, asked, size = cfg.guidance.checkpoint, cfg.guidance.scorer, cfg.data.image_size
    judge: object = load_judge(word, output=cfg.output, weights_dir=cfg.weights_dir)
    found = "clip" if isinstance(judge, Matcher) else "noisy_classifier"
    scorer = CLIPScorer(judge) if isinstance(judge, Matcher) else judge
    if not isinstance(scorer, Scorer):
        raise UsageError(
            f"guidance.checkpoint={word} judges no images",
            "train one that does: model=noisy_classifier or model=clip",
        )
    if asked not in ("auto", found):
        raise UsageError(
            f"guidance.scorer={asked} was asked for, and guidance.checkpoint={word} is a {found}",
            "name another checkpoint, or leave guidance.scorer away",
        )
    own = judge.image_size  # type: ignore[attr-defined]
    if scorer.noise_aware and own != size:
        raise UsageError(
            f"guidance.checkpoint={word} judges noisy images of {own} px, "
            f"and the model draws {size} px",
            f"train one with data.image_size={size}",
        )
    judge.to(device(cfg))  # type: ignore[attr-defined]
    return Classifier(scorer, float(cfg.guidance.scale))


def build_matcher(word: str, cfg: DictConfig) -> Matcher:
    """The CLIP that a configuration names, on the device to use.

    Args:
        word: as for `find_judge`.
        cfg: the prepared configuration.

    Raises:
        UsageError: for something else than a CLIP.
    """
    judge = load_judge(word, output=cfg.output, weights_dir=cfg.weights_dir)
    if not isinstance(judge, Matcher):
        raise UsageError(
            f"{word} is no CLIP but a {type(judge).__name__}",
            "name another, or train one: model=clip",
        )
    return judge.to(device(cfg))


def find_judge(word: str, *, output: str | Path, weights_dir: str | Path | None) -> str:
    """What a word for a classifier or a CLIP means: a file, a folder, or the word where it lasts.

    What has to be fetched for `openai` is fetched.

    Args:
        word: as for `checkpoint.find`; `openai` for GLIDE's CLIP, a folder that holds such a
            CLIP's two files, or `open_clip/<model>/<pretrained tag or file>`.
        output: where runs are written.
        weights_dir: where OpenAI's files lie; None to have them fetched.

    Raises:
        UsageError: where there is none.
        GenzooError: where it cannot be fetched.
    """
    if openclip.is_named(word):
        openclip.check(word)
        return word
    if is_pair(word):
        released_clip.vocabulary(_pair(word, weights_dir).text.parent)
        return word if word == OPENAI else str(Path(word).expanduser().resolve())
    return str(find(word, output=output))


def load_judge(
    word: str, *, output: str | Path, weights_dir: str | Path | None
) -> Matcher | GenerativeModel:
    """A CLIP with its tokenizer, or whatever other model a checkpoint holds, on the CPU.

    Raises:
        UsageError, GenzooError: where there is none, or it cannot be read.
    """
    if openclip.is_named(word):
        return openclip.load(word)
    if is_pair(word):
        return released_clip.load(_pair(word, weights_dir))
    path = find(word, output=output)
    if (half := released_clip.kind_of(path)) is not None:
        raise UsageError(
            f"{path} is the {half} encoder of a CLIP of OpenAI's make, and no more",
            f"name the folder that holds both encoders: {path.parent}",
        )
    checkpoint = read(path)
    own = saved.configuration(checkpoint.config, path=path)
    model = _with_averaged_weights(own, checkpoint)
    if not isinstance(model, CLIP):
        return model
    tokenizer = read_tokenizer(checkpoint.about["tokenizer"])
    return CLIPMatcher(model, tokenizer, checkpoint.name, sha256_of(checkpoint.path))


def judge_sha256(word: str, *, output: str | Path, weights_dir: str | Path | None) -> str:
    """What tells the weights of a classifier or a CLIP from all others, in hexadecimal.

    Raises:
        UsageError, GenzooError: where there is none, or it cannot be read.
    """
    if openclip.is_named(word):
        return openclip.load(word).sha256
    if is_pair(word):
        return _pair(word, weights_dir).sha256
    return sha256_of(find(word, output=output))


def is_pair(word: str) -> bool:
    """Whether a word means a CLIP of OpenAI's make: a folder with its two files, or `openai`."""
    if word == OPENAI:
        return True
    folder = Path(word).expanduser()
    return released_clip.holds_weights(folder) and not (folder / LAST).is_file()


def _pair(word: str, weights_dir: str | Path | None) -> released_clip.Files:
    if word == OPENAI:
        return released_clip.published(weights_dir)
    return released_clip.in_folder(Path(word).expanduser())


def guidance_words(cfg: DictConfig) -> str:
    """The guidance and its scale, as stamps and pictures name them; of a prior, too."""
    scale = f" {cfg.guidance.scale}" if "scale" in cfg.guidance else ""
    interval = list(cfg.guidance.get("interval", [0.0, 1.0]))
    part = "" if interval == [0.0, 1.0] else f" between {interval[0]:g} and {interval[1]:g}"
    if cfg.guidance.get("checkpoint") is not None:
        digest = judge_sha256(
            cfg.guidance.checkpoint, output=cfg.output, weights_dir=cfg.weights_dir
        )
        part += f" by {digest[:12]}"
    if "prior" in cfg.model:  # of unCLIP, which has a guidance of its own
        prior = cfg.model.prior
        part += f"; prior {prior.scale}, {prior.steps} steps, best of {prior.draws}"
    return f"{cfg.guidance.name}{scale}{part}"


def _chosen(section: DictConfig, nothing: Any) -> Any:
    node = OmegaConf.to_container(section, resolve=True)
    assert isinstance(node, dict)
    return build({str(k): v for k, v in node.items()}) if "_target_" in node else nothing


def load_checkpoint(cfg: DictConfig) -> Checkpoint | None:
    """The checkpoint that an unfinished run goes on from, or that the configuration names."""
    word = OmegaConf.select(cfg, "run.resume") or cfg.checkpoint
    return None if word is None else read(Path(word))


def trained_model(cfg: DictConfig) -> tuple[GenerativeModel, Checkpoint]:
    """The model of a checkpoint with its averaged weights, ready to sample.

    Raises:
        UsageError: where no checkpoint is named.
    """
    checkpoint = load_checkpoint(cfg)
    if checkpoint is None:
        raise UsageError(
            f"task={cfg.task.name} needs a trained model",
            "name it: checkpoint=last, checkpoint=<run folder> or checkpoint=<file>",
        )
    model = _with_averaged_weights(cfg, checkpoint)
    compiled(cfg, model)
    return model, checkpoint


def _with_averaged_weights(cfg: DictConfig, checkpoint: Checkpoint) -> GenerativeModel:
    model = build_model(cfg)
    load_into(model, checkpoint.ema, path=checkpoint.path)
    return model.eval().requires_grad_(False)


def compiled(cfg: DictConfig, *models: GenerativeModel) -> None:
    """Have the networks of models compiled at their first call if `trainer.compile` says so.

    They are compiled in place: weights keep their names, and checkpoints fit either way.

    Raises:
        UsageError: for a family without such networks, or where the CPU's compiler is missing.
    """
    if not cfg.trainer.compile:
        return
    networks = [network for model in models for network in model.compilable()]
    if not networks:
        raise UsageError(
            f"model={cfg.model.name} has no network that can be compiled",
            "leave trainer.compile away",
        )
    compilers = (os.environ.get("CXX", "g++"), "clang++")
    if gpu_count(cfg.trainer.gpus) == 0 and not any(map(shutil.which, compilers)):
        raise UsageError(
            "trainer.compile=true needs a C++ compiler on the CPU, and there is none",
            "install g++, or leave trainer.compile away",
        )
    for network in networks:
        network.compile()
    say("networks are compiled when they are first used, which takes a minute or so")


def trained_upsampler(
    cfg: DictConfig, base: Checkpoint
) -> tuple[GenerativeModel, Checkpoint] | None:
    """What enlarges the base's samples, if the command asks for it.

    Raises:
        UsageError: where it is no upsampler, or one for images of another size.
    """
    word = cfg.upsampler
    if word is None:
        return None
    if word == OPENAI:
        kind = released.Kind("upsample", inpaint=cfg.task.name == "inpaint")
        path = released.published(kind, cfg.weights_dir)
    else:
        path = find(word, output=cfg.output)
    checkpoint = read(path)
    own = saved.configuration(checkpoint.config, path=path)
    size = base.config["data"]["image_size"]
    if own.model.get("stage") != "upsample":
        raise UsageError(
            f"upsampler={word} is no upsampler", "train one: model=glide model.stage=upsample"
        )
    if own.model.low_size != size:
        raise UsageError(
            f"upsampler={word} enlarges {own.model.low_size} px, and the base draws {size} px",
            f"train one with model.low_size={size}",
        )
    own.sampler = {
        "_target_": "genzoo.diffusion.sampling.Sampling",
        "name": "ddim",
        "method": "ddim",
        "steps": cfg.upsampler_steps,
        "temperature": 0.997,  # by which the reference's notebooks scale x_T
    }
    own.trainer = cfg.trainer  # this command's
    model = _with_averaged_weights(own, checkpoint)
    compiled(own, model)
    return model, checkpoint


def device(cfg: DictConfig) -> torch.device:
    """Where this process computes."""
    if gpu_count(cfg.trainer.gpus) == 0:
        return torch.device("cpu")
    return torch.device("cuda", distributed.local_rank())


def precision(cfg: DictConfig) -> Precision:
    """How the networks of a command compute, in training and when they draw.

    Raises:
        UsageError: for a precision that cannot be.
    """
    check_precision(cfg)
    gpus = gpu_count(cfg.trainer.gpus)
    return Precision.choose(cfg.trainer.precision, gpu=gpus > 0, tf32=cfg.trainer.tf32)


def stated_precision(cfg: DictConfig) -> str:
    """In which precision the model computes, for stamps: one that is `exact` takes no other.

    Raises:
        UsageError: for a precision that cannot be.
    """
    chosen = precision(cfg)
    alone = cfg.get("upsampler") is None  # which draws as chosen, whatever its base does
    exact = getattr(target(cfg.model._target_), "exact", False)
    return "32-true" if exact and alone else str(chosen)


def seed_everything(seed: int) -> None:
    """Seed the global generators, for what draws without being told from where."""
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002 - the global one is what is meant
    torch.manual_seed(seed)
