"""Captions in files of every make, and captions that are longer than what is read."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from genzoo.config.composition import compose
from genzoo.core.errors import UsageError
from genzoo.data.dataset import TextImageData
from genzoo.data.folder import Folder
from genzoo.tasks.captions import caption_of, captions_of, read_captions, report_truncation
from genzoo.text.bpe import BPETokenizer
from genzoo.text.clip_bpe import CLIPTokenizer
from genzoo.text.gpt2 import GPT2Tokenizer
from genzoo.text.length import tokens_cut
from genzoo.text.tokenizer import Tokenizer

TWO = ["ein rotes Herz", "größer, blau"]

FILES = {
    "plain": "ein rotes Herz\ngrößer, blau\n".encode(),
    "no last newline": "ein rotes Herz\ngrößer, blau".encode(),
    "Windows": "ein rotes Herz\r\ngrößer, blau\r\n".encode(),
    "old Macintosh": "ein rotes Herz\rgrößer, blau\r".encode(),
    "mark": "\ufeffein rotes Herz\ngrößer, blau\n".encode(),
    "UTF-16": "ein rotes Herz\r\ngrößer, blau\r\n".encode("utf-16"),
    "UTF-16 big": b"\xfe\xff" + "ein rotes Herz\ngrößer, blau\n".encode("utf-16-be"),
    "UTF-32": "ein rotes Herz\ngrößer, blau\n".encode("utf-32"),
    "blank": "\n\n  ein rotes Herz  \n \t \n\ngrößer, blau\n\n".encode(),
}


@pytest.mark.parametrize("name", FILES)
def test_captions_are_read_from_any_text_file(name: str, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(FILES[name])
    assert read_captions(tmp_path / "a.txt") == TWO


def test_a_caption_keeps_separators_that_end_no_line(tmp_path: Path) -> None:
    """`str.splitlines` would make four of it."""
    (tmp_path / "a.txt").write_text("a\u2028b\x0bc\x85d\n", encoding="utf-8")
    assert read_captions(tmp_path / "a.txt") == ["a\u2028b\x0bc\x85d"]


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path: path.write_bytes(b""), "has no captions"),
        (lambda path: path.write_bytes(b"\xef\xbb\xbf\r\n \n"), "has no captions"),
        (lambda path: path.write_bytes(b"a\nb\xff\n"), "line 2 is not utf-8"),
        (lambda path: path.write_bytes("ab\n".encode("utf-16-le")), "null characters"),
        (lambda path: path.write_bytes(b"\xff\xfea"), "is not utf-16"),
        (lambda path: path.write_text("x\n" + "a" * 10_001), "line 2 .* 10,001 characters"),
        (lambda path: path.mkdir(), "is a folder|a folder"),
        (os.mkfifo, "no plain file"),
        (lambda path: path.symlink_to(path), "symbolic links"),
        (lambda path: path.symlink_to("nowhere"), "no such file"),
    ],
)
def test_what_holds_no_captions_is_one_line(
    make: Callable[[Path], object], reason: str, tmp_path: Path
) -> None:
    make(tmp_path / "a.txt")
    with pytest.raises(UsageError, match=reason) as error:
        captions_of(tmp_path / "a.txt", key="prompt")
    assert "\n" not in str(error.value)
    assert "a.txt" in str(error.value)


def test_a_file_too_large_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "a.txt").open("wb") as file:
        file.truncate(100 * 2**20)  # takes no room
    with pytest.raises(UsageError, match="too many"):
        captions_of(tmp_path / "a.txt", key="prompt")


def test_a_caption_or_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for caption in ("a red heart", "reads readme.txt", "x" * 5000 + " .txt", "a\0 .txt", "7"):
        assert captions_of(caption, key="prompt") == [caption]
    assert captions_of(7, key="prompt") == ["7"]
    with pytest.raises(UsageError, match=r"prompt=prompts\.txt .* there is none"):
        captions_of("prompts.txt", key="prompt")
    assert capsys.readouterr().out == ""
    Path("reads readme.txt").write_text("one\n")
    Path("two.TXT").write_text("one\ntwo\n")
    assert captions_of("reads readme.txt", key="prompt") == ["one"]
    assert capsys.readouterr().out == "prompt= reads 1 caption from reads readme.txt\n"
    assert captions_of("two.TXT", key="prompt") == ["one", "two"]
    assert capsys.readouterr().out == "prompt= reads 2 captions from two.TXT\n"
    assert caption_of(None, key="source") is None
    assert caption_of("reads readme.txt", key="source") == "one"
    with pytest.raises(UsageError, match="has 2 captions, and source= takes one"):
        caption_of("two.TXT", key="source")


def tokenizers(context: int) -> dict[str, Tokenizer]:
    """Each kind, of one token a letter or nearly."""
    alphabet = [chr(c) for c in range(33, 127)]
    return {
        "bpe": BPETokenizer.train(["ab"], vocab_size=257, context=context),
        "clip": CLIPTokenizer([], context=context),
        "gpt2": GPT2Tokenizer(
            {name: k for k, name in enumerate([*alphabet, "Ġ", "<|endoftext|>"])},
            [],
            context=context,
        ),
    }


@pytest.mark.parametrize("kind", ["bpe", "clip", "gpt2"])
def test_every_tokenizer_says_what_it_cuts(kind: str) -> None:
    """As many tokens as a longer context would have read in addition."""
    short, long = tokenizers(6)[kind], tokenizers(40)[kind]
    texts = ["", "a", "abcd", "abcde", "abcdef", "abcdefgh", "abc abc abc"]
    _, read = short.encode(texts)
    _, whole = long.encode(texts)
    missing = (whole.sum(1) - read.sum(1)).tolist()
    assert tokens_cut(texts, short) == missing
    assert tokens_cut(texts, long) == [0] * len(texts)
    assert 0 in missing
    assert max(missing) > 0


def test_a_cut_caption_is_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    tokenizer = tokenizers(6)["bpe"]
    # A space stands before the first word.
    assert report_truncation(tokenizer, prompt="abcde") == {"prompt_tokens_cut": "0"}
    assert capsys.readouterr().out == ""
    assert report_truncation(tokenizer, prompt="abcdefgh", end_prompt=None) == {
        "prompt_tokens_cut": "3", "end_prompt_tokens_cut": "0",
    }  # fmt: skip
    out = capsys.readouterr().out
    said = 'the caption has 9 tokens, and 6 are read: it is cut after "...abcde"'
    assert out == f"prompt: {said}\n"
    report_truncation(tokenizer, prompt=["abcdefgh", "a", "abcdefgh", "abcdefghij"])
    out = capsys.readouterr().out
    assert out == (
        "prompt: 2 of 3 captions are longer than the 6 tokens that are read, and cut by up to 5\n"
    )


def test_the_share_of_the_data_is_counted_with_all_wordings(tmp_path: Path) -> None:
    from PIL import Image

    for k, caption in enumerate(["abc", "abcdefgh", "abcdefgh", ""]):
        Image.new("RGB", (4, 4), (k, 0, 0)).save(tmp_path / f"{k}.png")
        (tmp_path / f"{k}.txt").write_text(caption)
    data = TextImageData(
        Folder(root=tmp_path, max_pixels=100), image_size=4, validation=0.0, max_skipped=0.0,
        cache=tmp_path / "cache", templates=("{}", "a {} b"),
    )  # fmt: skip
    cut = data.cut(tokenizers(6)["bpe"])
    # "abcdefgh" twice in both wordings (9 and 13 tokens), "a abc b" once (8).
    assert (cut.captions, cut.of, cut.most, cut.context) == (5, 8, 7, 6)
    assert cut.share == 5 / 8
    assert "5 of 8 captions (62.50%) are longer than the 6 tokens" in str(cut)
    assert data.cut(tokenizers(40)["bpe"]).captions == 0


def test_the_default_context_holds_the_default_captions() -> None:
    assert compose().text.context == 32
    assert torch.tensor(tokens_cut(["a red heart"], tokenizers(32)["bpe"])).sum() == 0
