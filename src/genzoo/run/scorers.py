"""What guides samples and scores them: classifiers and CLIPs, whoever trained them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from genzoo.contrastive.matcher import CLIPScorer, Matcher
from genzoo.core.errors import UsageError
from genzoo.diffusion.guidance import Classifier, Scorer
from genzoo.machine.download import sha256_of
from genzoo.models.base import GenerativeModel, identity
from genzoo.models.clip import CLIP, CLIPMatcher
from genzoo.run.build import _chosen
from genzoo.run.devices import device
from genzoo.run.loading import with_averaged_weights
from genzoo.text.stored import read_tokenizer
from genzoo.weights import openai_clip, openclip, saved
from genzoo.weights.checkpoint import find, read
from genzoo.weights.names import OPENAI
from genzoo.weights.openai_clip import is_pair, pair


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
        openai_clip.vocabulary(pair(word, weights_dir).text.parent)
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
        return openai_clip.load(pair(word, weights_dir))
    path = find(word, output=output)
    if (half := openai_clip.kind_of(path)) is not None:
        raise UsageError(
            f"{path} is the {half} encoder of a CLIP of OpenAI's make, and no more",
            f"name the folder that holds both encoders: {path.parent}",
        )
    checkpoint = read(path)
    own = saved.configuration(checkpoint.config, path=path)
    model = with_averaged_weights(own, checkpoint)
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
        return pair(word, weights_dir).sha256
    return sha256_of(find(word, output=output))


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
