"""task=score: images that any other program generated, measured as task=evaluate measures."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig

import genzoo
from genzoo.core.conditions import NOTHING
from genzoo.core.digest import of_items
from genzoo.core.errors import UsageError
from genzoo.core.files import write_whole
from genzoo.data.dataset import TextImageData
from genzoo.data.image_set import RESIZING, ImageSet, Resized, batches, check_skipped
from genzoo.machine import provenance
from genzoo.machine.console import Progress, status
from genzoo.machine.track import Tracker
from genzoo.metrics.stamp import Plain
from genzoo.report.runs import is_run
from genzoo.run import devices
from genzoo.tasks import measuring
from genzoo.tasks.evaluate import report
from genzoo.tasks.image_captions import captions_of_images
from genzoo.tasks.image_gallery import ImageGallery
from genzoo.tasks.image_measures import ImageMeasures
from genzoo.tasks.kept_samples import REMEDY, Kept, has_kept, read_kept
from genzoo.tasks.measuring import Entry
from genzoo.tasks.score_reference import NOT_KNOWN, Reference, build_reference, open_images
from genzoo.tasks.seen_images import Seen

NAMED, SHOWN = 1000, 3  # skipped images named in results.json, and on the terminal
# What only a person can say of images: the key of the stamp, in words, and where it is said.
STATED = {
    "given": ("what they were generated from", "given"),
    "precision": ("in which precision", "trainer.precision"),
}


def run(cfg: DictConfig) -> dict[str, float]:
    """Measure the images named by `images=` and write results.json and a gallery."""
    devices.check_precision(cfg)
    kept = _kept(cfg)
    images = _images(cfg, kept)
    captions = None if kept is None else kept.captions
    if cfg.captions is not None:
        captions = captions_of_images(cfg.captions, images)
    _report_images(images)
    reference = build_reference(cfg, devices.device(cfg))
    _check_data(kept, reference)
    with Tracker(cfg) as tracker:
        tensors = None if kept is None else kept.tensors
        measures = ImageMeasures(cfg, reference, captions, tensors=tensors)
        seen, gallery = Seen(), ImageGallery(len(images))
        with Progress("measuring the images", len(images)) as progress:
            for batch in batches(images, cfg.metrics.batch):
                measures.update(batch)
                seen.update(batch)
                gallery.update(batch)
                progress.at(seen.count)
        _check(cfg, images, seen)
        about = _about(cfg, images, reference, seen, captions)
        about |= {} if kept is None else kept.stamp
        entries = measures.entries(about, seen.count)
        real = measures.real(entries, seen.count)
        name = images.name if kept is None else f"{kept.name}, kept samples"
        _write_results(cfg, images, name, seen, entries, measures.missing, real)
        gallery.write(Path(cfg.run.folder) / "gallery", captions)
        tracker.summary({name: entry["value"] for name, entry in entries.items()})
    _report_seen(images, measures.missing, about)
    report(cfg, entries)
    return {name: float(entry["value"]) for name, entry in entries.items()}


def _about(
    cfg: DictConfig,
    images: ImageSet,
    reference: Reference,
    seen: Seen,
    captions: Mapping[str, str] | None,
) -> dict[str, Plain]:
    """The part of stamps that says what was measured, as far as anybody knows."""
    precision = cfg.trainer.precision
    return {
        **reference.about,
        "generated_images": seen.count,
        **_about_captions(cfg, reference.data, captions, seen.count),
        "given": cfg.given or NOT_KNOWN,
        "precision": NOT_KNOWN if precision == "auto" else precision,
        "image_size": seen.size,
        "images_resized": _resized(images),
        "training_seed": None,
        "sample_seed": None,
        "evaluation_seed": cfg.metrics.seed,
        "guidance": NOT_KNOWN,
        "sampler": NOT_KNOWN,
        "version": genzoo.__version__,
        "git": provenance.git_revision(),
    }


def _about_captions(
    cfg: DictConfig,
    data: TextImageData | None,
    captions: Mapping[str, str] | None,
    count: int,
) -> dict[str, Plain]:
    """Which captions the images show, as stamps of task=evaluate say it, as far as that is known.

    Images that were generated from nothing at all would be the same for any captions, and so also
    for those that task=evaluate takes.
    """
    given = None if captions is None else list(captions.values())
    if data is None or (given is None and cfg.given != NOTHING):
        known = None if given is None else of_items((), given)
        return {"caption_split": NOT_KNOWN, "captions": known or NOT_KNOWN}
    rows = measuring.shown(data, measuring.caption_order(cfg, data), range(count))
    wanted = data.texts_of(rows)
    if given is None or given == wanted:
        split, captions_hash = str(cfg.metrics.caption_split), of_items(rows, wanted)
        return {"caption_split": split, "captions": captions_hash}
    return {"caption_split": _split_of(data, given, cfg), "captions": of_items((), given)}


def _split_of(data: TextImageData, captions: Sequence[str], cfg: DictConfig) -> str:
    """The split that has all captions."""
    own = cfg.metrics.caption_split
    for split in (own, *(name for name in data.splits if name != own)):
        if set(data.texts(split)).issuperset(captions):
            return str(split)
    return f"not of {data.name}"


def _kept(cfg: DictConfig) -> Kept | None:
    """The samples of a run, if its folder is named."""
    folder = Path(cfg.images).expanduser()
    if has_kept(folder):
        for key in ("captions", "given"):
            if cfg[key] is not None:
                raise UsageError(
                    f"{key}= is known of the samples of {folder}", f"leave {key}= away"
                )
        return read_kept(folder)
    if is_run(folder):
        raise UsageError(f"the run in {folder} has kept no samples", REMEDY)
    return None


def _images(cfg: DictConfig, kept: Kept | None) -> ImageSet:
    if kept is None:
        return open_images(cfg.images, size=cfg.resize)
    return kept.images if cfg.resize is None else Resized(kept.images, cfg.resize)


def _check_data(kept: Kept | None, reference: Reference) -> None:
    """Refuse to measure a run's samples on other data than it was measured on."""
    data = reference.data
    if kept is None or data is None or data.fingerprint == kept.data["data_fingerprint"]:
        return
    name, size = kept.data["data"], kept.data["image_size"]
    raise UsageError(
        f"these samples are for captions of {name} at {size} px, and other data are chosen",
        f"write data={name} data.image_size={size} and what else the run had, or name real=",
    )


def _resized(images: ImageSet) -> str | None:
    if isinstance(images, Resized) and images.changed:
        return f"{RESIZING}, {images.changed} of {len(images)} images"
    return None


def _check(cfg: DictConfig, images: ImageSet, seen: Seen) -> None:
    check_skipped(images, most=cfg.max_skipped)
    if seen.count < 2:
        raise UsageError(f"{images.path} has 1 image, which cannot be measured", "give 2 or more")


def _write_results(
    cfg: DictConfig,
    images: ImageSet,
    name: str,
    seen: Seen,
    entries: Mapping[str, Entry],
    missing: Mapping[str, str],
    real: Mapping[str, Any],
) -> None:
    """Write results.json as `tasks.results` does, without what only a training has."""
    device = devices.device(cfg)
    results = {
        "schema": 1,
        "model": {"name": cfg.name or name},
        "seed": cfg.seed,
        "images": {
            "count": seen.count,
            "sizes": {f"{w} x {h}": count for (w, h), count in sorted(seen.sizes.items())},
            "digest": seen.digest,
            "others": images.others,
            "skipped": len(images.skipped),
            "named": dict(list(images.skipped.items())[:NAMED]),
        },
        "metrics": entries,
        "not_measured": missing,
        **real,
        "command": cfg.run.command,
        "provenance": {
            **provenance.software(),
            "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        },
        "attribution": None,
    }
    text = json.dumps(results, indent=1, ensure_ascii=False) + "\n"
    write_whole(Path(cfg.run.folder) / "results.json", text)


def _report_images(images: ImageSet) -> None:
    several = f", and {images.others:,} files that are no images"
    beside = {0: "", 1: ", and 1 file that is no image"}.get(images.others, several)
    status(f"{images.path}: {len(images):,} images{beside}")


def _report_seen(images: ImageSet, missing: Mapping[str, str], about: Mapping[str, Plain]) -> None:
    """What was skipped, what could not be measured, and what is not known."""
    for key, reason in list(images.skipped.items())[:SHOWN]:
        status(f"  skipped: {key} ({reason})")
    if len(images.skipped) > SHOWN:
        status(f"  {len(images.skipped):,} images were skipped in all, see results.json")
    by_reason: dict[str, list[str]] = {}
    for name, reason in missing.items():
        by_reason.setdefault(reason, []).append(name)
    for reason, names in by_reason.items():
        status(f"  not measured: {', '.join(names)} ({reason})")
    unknown = [
        f"{what} ({key}=)" for stamp, (what, key) in STATED.items() if about[stamp] == NOT_KNOWN
    ]
    if unknown:
        status(f"  not ranked with samples of models, as nobody says {' and '.join(unknown)}")
