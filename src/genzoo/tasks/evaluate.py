"""task=evaluate: samples of a trained model, measured; also the second half of task=fit."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from omegaconf import DictConfig

from genzoo.contrastive.image_text import ImageTextModel
from genzoo.data.dataset import TextImageData
from genzoo.machine import distributed
from genzoo.machine.console import status
from genzoo.machine.track import Tracker
from genzoo.metrics.captions import CaptionAccuracy
from genzoo.metrics.interval import SPREADS
from genzoo.metrics.revisions import kind_of
from genzoo.metrics.suite import FeatureMetrics
from genzoo.models.base import GenerativeModel
from genzoo.report.retrieval import draw_retrieval
from genzoo.run import build, devices, loading, scorers
from genzoo.tasks import kept_samples, measuring, references
from genzoo.tasks.captions import report_truncation_in
from genzoo.tasks.clip_score import clip_entries, clip_score
from genzoo.tasks.gallery import write_gallery
from genzoo.tasks.held_out import held_out
from genzoo.tasks.measurable import check_measurable
from genzoo.tasks.measuring import Entry, Measures, Subject
from genzoo.tasks.memorised import write_pairs
from genzoo.tasks.results import Cost, write_results
from genzoo.tasks.tuning import Tuning, tune_scale
from genzoo.text.tokenizer import Tokenizer


class Sampled(NamedTuple):
    """Samples that were measured.

    Attributes:
        seconds: that sampling one image took.
        entries: the metrics by name.
        measures: that gave them.
        image_text: what scored them with their captions, if anything did.
    """

    seconds: float
    entries: dict[str, Entry]
    measures: Measures
    image_text: ImageTextModel | None


def run(cfg: DictConfig) -> dict[str, float]:
    """Measure the model of a checkpoint."""
    model, checkpoint = loading.trained_model(cfg)
    data = build.build_data(cfg)
    check_measurable(cfg, data)
    tokenizer = build.build_tokenizer(cfg, data, checkpoint)
    cost = Cost.of(checkpoint)
    with Tracker(cfg) as tracker:
        tracker.continue_from(checkpoint.run_folder / "curves.jsonl", images=cost.images_seen)
        model = model.to(devices.device(cfg))
        report_truncation_in(model, data, tokenizer)
        return evaluate(cfg, model, data=data, tokenizer=tokenizer, cost=cost, tracker=tracker)


def evaluate(
    cfg: DictConfig,
    model: GenerativeModel,
    *,
    data: TextImageData,
    tokenizer: Tokenizer,
    cost: Cost,
    tracker: Tracker,
) -> dict[str, float]:
    """Measure a model and write results.json and the gallery into the run's folder.

    A scoring model has metrics of its own, and no gallery. Every
    rank samples and measures its share of the images; the first one writes.

    Args:
        cfg: the prepared configuration.
        model: the averaged weights, on the device to use.
        data: what it was trained on.
        tokenizer: its tokenizer.
        cost: what the training took.
        tracker: where the summary goes.

    Returns:
        The metrics by name.
    """
    distributed.join(gpu=devices.device(cfg).type == "cuda")
    device = devices.device(cfg)
    model = model.to(device).eval()
    generates = model.capabilities.sampling is not None
    tuning: Tuning | None = None
    if scorers.is_tuned(cfg):
        cfg, tuning = tune_scale(cfg, model, data, tokenizer)
    guidance = scorers.build_guidance(cfg)
    seconds: float | None = None
    entries: dict[str, Entry] = {}
    real: dict[str, Any] = {}
    measures: Sequence[FeatureMetrics] = ()
    if generates:
        subject = Subject(model.capabilities.given, cost.seed, model, guidance)
        with kept_samples.keeping(cfg) as keep:
            sampled = sample_metrics(cfg, model, data, tokenizer, subject, keep=keep)
        kept_samples.write_about(cfg, data, subject)
        seconds, entries, measures = sampled.seconds, sampled.entries, sampled.measures.features
        real = _real(cfg, data, sampled)
    with devices.precision(cfg)():
        entries |= held_out(cfg, model, data, tokenizer, device, training_seed=cost.seed)
    if distributed.rank() == 0:
        write_results(
            cfg,
            model,
            data,
            entries,
            cost,
            seconds_per_image=seconds,
            cut=data.cut(tokenizer),
            real=real,
            tuning=None if tuning is None else tuning.document(),
        )
        _pictures(cfg, model, data, tokenizer, entries, measures, guidance)
        tracker.summary({name: entry["value"] for name, entry in entries.items()})
        report(cfg, entries)
    distributed.barrier()
    return {name: float(entry["value"]) for name, entry in entries.items()}


def _pictures(
    cfg: DictConfig,
    model: GenerativeModel,
    data: TextImageData,
    tokenizer: Tokenizer,
    entries: Mapping[str, Entry],
    measures: Sequence[FeatureMetrics],
    guidance: Any,
) -> None:
    """The gallery, suspicious pairs and the retrieval curve; an error here loses no results."""
    folder = Path(cfg.run.folder)
    try:
        if model.capabilities.sampling is not None:
            with devices.precision(cfg)():
                write_gallery(
                    model,
                    data,
                    tokenizer,
                    folder=folder / "gallery",
                    seed=cfg.seed,
                    device=devices.device(cfg),
                    guidance=guidance,
                )
                write_pairs(
                    cfg,
                    model,
                    data,
                    tokenizer,
                    measures,
                    folder=folder / "gallery" / "memorisation",
                    guidance=guidance,
                )
        if draw_retrieval(entries, folder / "retrieval.png"):
            status(f"  {folder / 'retrieval.png'}: retrieval against the step of the noise")
    except Exception as error:
        if cfg.debug == "traceback":
            raise
        why = " ".join(f"{type(error).__name__}: {error}".split())
        status(f"  the gallery could not be made ({why[:300]}); the results are kept")


def sample_metrics(
    cfg: DictConfig,
    model: GenerativeModel,
    data: TextImageData,
    tokenizer: Tokenizer,
    subject: Subject,
    *,
    pause: Callable[[], None] = lambda: None,
    keep: kept_samples.Keep = lambda numbers, images: None,
) -> Sampled:
    """Sample `metrics.images` images over all ranks and measure them.

    Args:
        cfg: the prepared configuration.
        model: on its device, in evaluation mode.
        data: with the captions and the real images.
        tokenizer: of these captions.
        subject: what is measured, for the stamps.
        pause: called between batches.
        keep: called with the numbers and the images of each batch.
    """
    device = devices.device(cfg)
    features = measuring.feature_metrics(cfg, data, device)
    captions = (
        None
        if data.ground_truth is None
        else CaptionAccuracy(data.ground_truth.score_caption, data.ground_truth.caption_parts)
    )
    scoring = clip_score(cfg)
    score = None if scoring is None else scoring[0]
    measures = Measures(features, captions, score)
    seconds = measuring.measure_samples(
        cfg,
        model,
        data,
        tokenizer,
        measures,
        device=device,
        guidance=subject.guidance,
        pause=pause,
        keep=keep,
    )
    entries = measuring.feature_entries(cfg, data, features, subject)
    if captions is not None:
        entries |= measuring.caption_entries(cfg, data, captions, subject)
    if scoring is not None:
        entries |= clip_entries(cfg, data, *scoring, subject)
    return Sampled(seconds, entries, measures, None if scoring is None else scoring[1])


def _real(cfg: DictConfig, data: TextImageData, sampled: Sampled) -> dict[str, Any]:
    """What real images score, and how close the samples come to it; of the first process."""
    if distributed.rank() != 0:
        return {}
    rows = references.references(cfg, data, sampled.measures, sampled.image_text)
    near = references.closeness(cfg, sampled.measures.features, sampled.entries, rows)
    return {"references": rows, "closeness": near}


def report(cfg: DictConfig, entries: Mapping[str, Entry]) -> None:
    """Print the metrics, and where they are written."""
    width = max((len(name) for name in entries), default=0)
    for name, entry in entries.items():
        status(f"  {name:<{width}}  {_in_words(name, entry)}  ({entry['better']} is better)")
    if any(entry.get("interval") for entry in entries.values()):
        status("  [ ] is the 95 % interval over samples, or held-out images, of this one training")
    status(f"  {Path(cfg.run.folder) / 'results.json'}")


def _in_words(name: str, entry: Entry) -> str:
    """A number with its interval, and what the literature prints beside it, by its name."""
    parts = [f"{entry['value']:.4g}"]
    if entry.get("interval"):
        low, high = entry["interval"]
        parts.append(f"[{low:.4g}, {high:.4g}]")
    if entry["spread"] is not None:
        over = SPREADS.get(kind_of(name))
        parts.append(f"± {entry['spread']:.2g}{f' over {over}' if over else ''}")
    return " ".join(parts)
