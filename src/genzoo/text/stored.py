"""Tokenizers as checkpoints keep them."""

from __future__ import annotations

import json

from genzoo.text import clip_bpe, gpt2
from genzoo.text.bpe import BPETokenizer
from genzoo.text.clip_bpe import CLIPTokenizer
from genzoo.text.gpt2 import GPT2Tokenizer
from genzoo.text.tokenizer import Tokenizer


def read_tokenizer(text: str) -> Tokenizer:
    """The tokenizer that its `to_json` described, of whichever kind.

    Raises:
        GenzooError: when the text describes something else.
    """
    try:
        kind = json.loads(text).get("kind")
    except (ValueError, AttributeError):
        kind = None
    if kind == gpt2.KIND:
        return GPT2Tokenizer.from_json(text)
    if kind == clip_bpe.KIND:
        return CLIPTokenizer.from_json(text)
    return BPETokenizer.from_json(text)
