"""Words that name released weights."""

from __future__ import annotations

OPENAI = "openai"  # names GLIDE's released weights where a checkpoint is named
