"""What each metric says, in one plain sentence, for somebody who has never heard of it."""

from __future__ import annotations

from genzoo.metrics.revisions import kind_of

SENTENCES = {
    "frechet_distance": "How far the samples as a whole are from real images as a whole, as a "
    "network sees them: both what they look like and how much they vary.",
    "frechet_distance_infinity": "The same distance, estimated for infinitely many samples, so "
    "that it depends less on how many were measured.",
    "kernel_distance": "How easily samples and real images can be told apart, as a network sees "
    "them; about 0 for samples as good as real images, however few there are.",
    "cmmd": "How easily samples and real images can be told apart by a network that was trained "
    "on images with captions; 0 if not at all.",
    "inception_score": "Whether a classifier is sure of what each sample shows, and finds many "
    "different things among them.",
    "precision": "The share of samples that look like some real image: how realistic they are.",
    "recall": "The share of real images that some sample looks like: how little is left out.",
    "density": "How closely real images surround the samples; above 1 the samples keep to what "
    "is most common.",
    "coverage": "The share of real images that have a sample among their nearest neighbours.",
    "vendi": "How many different images the samples amount to: 1 if all are the same.",
    "memorised": "The share of samples that are near-copies of training images, beyond what new "
    "real images would be.",
    "clip_score": "How well each sample goes with its caption, as a network that was trained on "
    "images with captions sees it.",
    "caption_accuracy": "The share of samples that show what their caption says, checked by rule.",
    "bits_per_dim": "How surprised the model is by real images it has not seen: the bits that it "
    "would need to store each of their colour values.",
    "reconstruction_psnr": "How exactly the model gives back a real image that it encoded, in "
    "decibels; some 20 is rough, some 40 hard to see.",
    "recall_at_1": "How often the right partner, of images and captions, comes first.",
    "recall_at_5": "How often the right partner, of images and captions, is among the first five.",
    "accuracy": "How often the classifier names the right class.",
}
ACCURACY = {
    "all": SENTENCES["caption_accuracy"],
    "shuffled": "The share of samples that show what another caption says: the level of chance.",
}


def sentence(metric: str) -> str:
    """What a metric says; empty for one that genzoo does not have itself.

    Args:
        metric: its name as in results.json.
    """
    kind, _, part = metric.partition("/")
    if kind == "caption_accuracy" and part:
        of_part = f"The share of samples whose {part} is what their caption says, checked by rule."
        return ACCURACY.get(part, of_part)
    return SENTENCES.get(kind_of(metric), "")
