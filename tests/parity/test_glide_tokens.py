"""Tokens equal to the reference's for every string."""

from __future__ import annotations

import pytest
import torch

from genzoo.text.gpt2 import GPT2Tokenizer
from tests.parity.golden_cases import Case, cases

pytestmark = pytest.mark.parity


@pytest.mark.parametrize("case", cases("tokenizer_glide"))
def test_tokens(case: Case) -> None:
    vocabulary, merges = (case.path.parent / name for name in case.about["vocab_files"])
    longest = max(1, *(len(entry["tokens"]) for entry in case.about["entries"]))
    tokenizer = GPT2Tokenizer.from_files(vocabulary, merges, context=longest)
    assert tokenizer.vocab_size == case.about["n_vocab"]
    assert tokenizer.end == case.about["end_token"]
    shorter: dict[str, GPT2Tokenizer] = {}
    for entry in case.about["entries"]:
        tokens, mask = tokenizer.encode([entry["text"]])
        assert tokens[0][mask[0]].tolist() == entry["tokens"], entry["text"]
        assert tokenizer.decode(tokens) == [entry["decoded"]]
        for length, expected in entry["padded"].items():
            if length not in shorter:
                shorter[length] = GPT2Tokenizer.from_files(vocabulary, merges, context=int(length))
            got, kept = shorter[length].encode([entry["text"]])
            assert torch.equal(got, torch.tensor([expected["tokens"]])), entry["text"]
            assert torch.equal(kept, torch.tensor([expected["mask"]])), entry["text"]
