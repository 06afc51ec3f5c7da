"""Tokenizers as checkpoints keep them."""

from __future__ import annotations

import json

from genzoo.text import gpt2
from genzoo.text.bpe import BPETokenizer
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
    return GPT2Tokenizer.from_json(text) if kind == gpt2.KIND else BPETokenizer.from_json(text)
