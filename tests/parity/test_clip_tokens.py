"""CLIP's tokens equal to the reference's for every string."""

from __future__ import annotations

import pytest
import torch

from genzoo.text.clip_bpe import CLIPTokenizer
from genzoo.text.stored import read_tokenizer
from tests.parity.golden_cases import Case, cases

pytestmark = pytest.mark.parity


@pytest.mark.parametrize("case", cases("tokenizer_clip"))
def test_tokens(case: Case) -> None:
    (file,) = (case.path.parent / name for name in case.about["vocab_files"])
    longest = 2 + max(len(entry["tokens"]) for entry in case.about["entries"])
    tokenizer = CLIPTokenizer.from_file(file, context=longest)
    assert tokenizer.vocab_size == case.about["n_vocab"]
    assert tokenizer.start == case.about["start_token"]
    assert tokenizer.end == case.about["end_token"]
    shorter: dict[str, CLIPTokenizer] = {}
    for entry in case.about["entries"]:
        tokens, mask = tokenizer.encode([entry["text"]])
        assert tokens[0][mask[0]].tolist()[1:-1] == entry["tokens"], entry["text"]
        assert tokenizer.lengths([entry["text"]]) == [len(entry["tokens"]) + 2]
        assert tokenizer.decode(tokens) == [entry["decoded"]]
        for length, expected in entry["padded"].items():
            if length not in shorter:
                shorter[length] = CLIPTokenizer.from_file(file, context=int(length))
            got, kept = shorter[length].encode([entry["text"]])
            assert torch.equal(got, torch.tensor([expected["tokens"]])), entry["text"]
            assert kept.sum() == expected["len"]
            assert kept[0, : expected["len"]].all()


@pytest.mark.parametrize("case", cases("tokenizer_clip"))
def test_there_and_back(case: Case) -> None:
    """What a checkpoint keeps of it is the same tokenizer."""
    (file,) = (case.path.parent / name for name in case.about["vocab_files"])
    tokenizer = CLIPTokenizer.from_file(file, context=16)
    again = read_tokenizer(tokenizer.to_json())
    texts = [entry["text"] for entry in case.about["entries"]]
    assert isinstance(again, CLIPTokenizer)
    assert torch.equal(again.encode(texts)[0], tokenizer.encode(texts)[0])
