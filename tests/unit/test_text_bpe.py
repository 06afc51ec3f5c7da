"""The byte-pair tokenizer: GLIDE's padding and mask, and nothing lost."""

import json
import subprocess
import sys

import pytest
import torch

from genzoo.core.errors import GenzooError, UsageError
from genzoo.text.bpe import END, BPETokenizer

CAPTIONS = ["red heart", "blue heart", "waving hand dark skin tone", "waving hand", "Åland"] * 3


def trained(captions=CAPTIONS, vocab_size=300, context=8):
    return BPETokenizer.train(captions, vocab_size=vocab_size, context=context)


def test_text_first_then_the_end_token():
    tokens, mask = trained().encode(["red heart", ""])
    assert tokens.shape == mask.shape == (2, 8)
    assert (tokens.dtype, mask.dtype) == (torch.int64, torch.bool)
    count = int(mask[0].sum())
    assert 0 < count < 8
    assert mask[0].tolist() == [True] * count + [False] * (8 - count)
    assert (tokens[0, :count] != END).all()
    assert (tokens[0, count:] == END).all()


def test_the_empty_caption_is_padding_alone():
    tokens, mask = trained().encode([""])
    assert (tokens == END).all()
    assert not mask.any()


def test_a_long_text_is_cut():
    tokenizer = trained(context=5)
    tokens, mask = tokenizer.encode(["red heart " * 20])
    assert tokens.shape == (1, 5)
    assert mask.all()
    assert ("red heart " * 20).startswith(tokenizer.decode(tokens)[0])


def test_frequent_words_become_single_tokens():
    tokenizer = trained()
    assert int(tokenizer.encode(["heart"])[1].sum()) < len("heart")
    assert int(tokenizer.encode(["qzxjk"])[1].sum()) == len(" qzxjk")


def test_a_word_is_the_same_tokens_wherever_it_stands():
    tokenizer = trained()
    first, second = (tokenizer.encode([text])[0][0].tolist() for text in ("heart", "red heart"))
    word = [token for token in first if token != END]
    assert len(word) == 1
    assert word[0] in second


@pytest.mark.parametrize("text", [" heart", "  heart ", "heart", " ", "\n heart"])
def test_spaces_are_kept(text):
    tokenizer = trained(context=20)
    assert tokenizer.decode(tokenizer.encode([text])[0]) == [text]


def test_a_tokenizer_stored_without_the_first_space_reads_as_it_did():
    content = json.loads(trained().to_json())
    content["pairs"]["normalizer"] = None
    content["pairs"]["decoder"] = {**content["pairs"]["decoder"]["decoders"][0]}
    tokenizer = BPETokenizer.from_json(json.dumps(content))
    tokens, mask = tokenizer.encode(["qzxjk"])
    assert int(mask.sum()) == len("qzxjk")
    assert tokenizer.decode(tokens) == ["qzxjk"]


def test_the_vocabulary_is_an_upper_bound():
    captions = [f"{a}{b}{c}" for a in "abcdef" for b in "ghijkl" for c in "mnopqr"]
    tokenizer = trained(captions, vocab_size=280)
    assert tokenizer.vocab_size == 280
    tokens, _ = tokenizer.encode(captions)
    assert int(tokens.max()) <= 279
    assert int(tokens.max()) > 256  # pairs were learned
    assert trained(["a"], vocab_size=5000).vocab_size == 5000


def test_no_text_is_read_as_the_end_token():
    tokenizer = trained(context=40)
    texts = ["<|endoftext|>", "[PAD]", "\0", "</s>"]
    tokens, mask = tokenizer.encode(texts)
    assert (tokens[mask] != END).all()
    assert tokenizer.decode(tokens) == texts


def test_the_order_of_the_captions_does_not_matter():
    assert trained(CAPTIONS[::-1]).to_json() == trained().to_json()


def test_another_process_learns_the_same():
    code = (
        "from genzoo.text.bpe import BPETokenizer; import sys, json;"
        "t = BPETokenizer.train(json.loads(sys.argv[1]), vocab_size=300, context=8);"
        "sys.stdout.write(t.to_json())"
    )
    command = [sys.executable, "-c", code, json.dumps(CAPTIONS)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == trained().to_json()


def test_stored_and_read_again():
    tokenizer = trained()
    again = BPETokenizer.from_json(tokenizer.to_json())
    assert (again.vocab_size, again.context) == (300, 8)
    assert again.to_json() == tokenizer.to_json()
    for one, two in zip(tokenizer.encode(CAPTIONS), again.encode(CAPTIONS), strict=True):
        assert (one == two).all()


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", '{"kind": "other"}', trained().to_json().replace('"merges"', '"m"')]
)
def test_something_else_is_refused_in_one_line(text):
    with pytest.raises(GenzooError, match="stored tokenizer cannot be read") as error:
        BPETokenizer.from_json(text)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("vocab_size", "context"), [(256, 8), (0, 8), (300, 0)])
def test_impossible_sizes_are_refused(vocab_size, context):
    with pytest.raises(UsageError, match=r"text\."):
        trained(vocab_size=vocab_size, context=context)


def test_every_byte_fits_the_smallest_vocabulary():
    tokenizer = trained(vocab_size=257, context=40)
    text = "ÿ\u0001 🫠 漢字"
    tokens, _ = tokenizer.encode([text])
    assert int(tokens.max()) <= 256
    assert tokenizer.decode(tokens) == [text]
