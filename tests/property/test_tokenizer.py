"""What holds for the tokenizer whatever the text."""

from functools import cache

from hypothesis import given, settings
from hypothesis import strategies as st

from genzoo.text.bpe import END, BPETokenizer

TEXT = st.text(max_size=30)  # any character that UTF-8 can write


@cache
def tokenizer(context=128):
    captions = ["a small red circle", "two large blue squares", "naïve café", "日本"] * 4
    return BPETokenizer.train(captions, vocab_size=290, context=context)


@given(st.lists(TEXT, max_size=4))
@settings(deadline=None, max_examples=60)
def test_any_text_comes_back_unchanged(texts):
    assert tokenizer().decode(tokenizer().encode(texts)[0]) == texts


@given(TEXT, st.integers(1, 12))
@settings(deadline=None, max_examples=60)
def test_mask_and_padding_agree(text, context):
    tokens, mask = tokenizer(context).encode([text])
    assert ((tokens != END) == mask).all()
    assert (mask[0].int().diff() <= 0).all()  # text first
    assert 0 <= int(tokens.min()) <= int(tokens.max()) < tokenizer().vocab_size
    assert bool(mask.any()) == bool(text)


@given(TEXT, st.integers(1, 12))
@settings(deadline=None, max_examples=60)
def test_a_shorter_context_only_cuts(text, context):
    long, _ = tokenizer().encode([text])
    short, _ = tokenizer(context).encode([text])
    assert (long[:, :context] == short).all()


@given(TEXT, TEXT)
@settings(deadline=None, max_examples=60)
def test_a_text_is_encoded_alike_in_any_company(text, other):
    alone, _ = tokenizer().encode([text])
    together, _ = tokenizer().encode([other, text])
    assert (together[1] == alone[0]).all()
