"""Overrides that make a run take seconds, with nothing replaced by a stand-in."""

from __future__ import annotations

DATA = ("data.image_size=16",)
MODEL = ("model.latent=8", "model.widths=[8,16]")
TRAINING = (
    "optimizer.batch_size=16",
    "budget.images=96",
    "trainer.log_images=32",
    "trainer.monitor_images=null",
    "trainer.gpus=0",
    "logger=none",
)
METRICS = (
    "metrics.images=10",
    "metrics.real_images=24",
    "metrics.copies_among=0",  # it would take features of all training and held-out images
    "metrics.held_out_images=12",
    "metrics.batch=4",
)
SMALL = (*DATA, *MODEL, *TRAINING, *METRICS)
# A command on a checkpoint takes model, data, optimiser and budget from there.
AGAIN = ("trainer.monitor_images=null", "trainer.gpus=0", "logger=none", *METRICS)
