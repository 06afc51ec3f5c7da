"""Words that name released weights where a checkpoint is named."""

from __future__ import annotations

OPENAI = "openai"  # GLIDE's released weights, or those of its CLIP
OPEN_CLIP = "open_clip/"  # prefix of the words for that package's models
RELEASED = (OPENAI,)  # words that name a file, fetched on first use
FETCHED = (*RELEASED, OPEN_CLIP)  # beginnings of words that may need the network
FOR_GUIDANCE = OPENAI  # suggested where a checkpoint's own word is refused
