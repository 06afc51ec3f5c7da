"""Words that name released weights where a checkpoint is named."""

from __future__ import annotations

OPENAI = "openai"  # GLIDE's released weights, or those of its CLIP
OPEN_CLIP = "open_clip/"  # begins the words for the models of that package
RELEASED = (OPENAI,)  # words that name a file, fetched on first use
FETCHED = (*RELEASED, OPEN_CLIP)  # how words begin that may reach for the network
FOR_GUIDANCE = OPENAI  # the one to type where a checkpoint's own word is not followed
