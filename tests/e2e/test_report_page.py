"""The page as a reader gets it: one file, nothing from elsewhere, nothing executed."""

from __future__ import annotations

import base64
import io
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image

from genzoo.core.errors import GenzooError
from genzoo.report.write import write_comparison
from tests.fake_runs import FRECHET, edit_json, metric, write_failed, write_run

HOSTILE = (
    '"><script>alert(1)</script><img src=x onerror=alert(2)> {{ 7*7 }} \u202e ' + "long " * 80
)
LOADS = {"src", "href", "srcset", "poster", "data", "action", "xlink:href", "background"}


class Page(HTMLParser):
    """Tags, attributes and text of a page; fails on tags that are not closed in order."""

    VOID = frozenset({"meta", "img", "br", "wbr", "link", "input", "hr"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len({name for name, _ in attrs}) == len(attrs), f"an attribute twice in {tag}"
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join("".join(self.words).split())


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    for model in ("autoencoder", "vae"):
        for seed in (0, 1):
            metrics = metric(FRECHET, float(len(model) + seed)) | metric(
                "precision/efficientnet_lite0", 0.5 + 0.01 * seed, better="higher"
            )
            write_run(
                tmp_path / "sweep" / f"{model}-{seed}", model=model, seed=seed, metrics=metrics
            )
    write_failed(tmp_path / "sweep" / "vae-2", "<b>exploded</b> & burnt; use less")
    return tmp_path / "sweep"


def page_of(folder: Path, out: Path) -> tuple[Page, str]:
    write_comparison([folder], out, command="python -m genzoo -m 'a=<1>'")
    text = (out / "comparison.html").read_text(encoding="utf-8")
    return Page(text), text


def test_everything_is_inside(sweep: Path, tmp_path: Path) -> None:
    page, text = page_of(sweep, tmp_path / "out")
    loads = [v for _, attributes in page.tags for k, v in attributes.items() if k in LOADS]
    assert loads
    assert all(value.startswith("data:image/png;base64,") for value in loads)
    names = {tag for tag, _ in page.tags}
    assert not names & {"script", "iframe", "object", "embed", "link", "base", "form"}
    assert "url(" not in text
    assert "@import" not in text
    policy = next(a["content"] for t, a in page.tags if t == "meta" and "content" in a
                  and "http-equiv" in a)  # fmt: skip
    assert "default-src 'none'" in policy
    for value in loads:
        Image.open(io.BytesIO(base64.b64decode(value.partition(",")[2]))).load()


def test_what_the_issue_asks_for_is_there(sweep: Path, tmp_path: Path) -> None:
    page, text = page_of(sweep, tmp_path / "out")
    for words in (
        "Fréchet distance", "Precision", "2 trainings", "red heart", "flying saucer", "Parameters",
        "1,234", "1.5 min", "1.00 GiB", "Against wall time", "Against images seen",
        "CC BY-SA 4.0", "python -m genzoo -m 'a=<1>'", "python -m genzoo model=vae seed=1",
        "1 run without results", "<b>exploded</b> & burnt; use less", "real",
    ):  # fmt: skip
        assert words in page.text, words
    assert "<b>exploded" not in text
    alts = [a["alt"] for t, a in page.tags if t == "img"]
    assert "real image: red heart" in alts
    assert "vae, sample: red heart" in alts
    assert "vae, reconstruction: red heart" in alts
    assert all(alts)
    stamps = [a["title"] for t, a in page.tags if t == "td" and "title" in a]
    assert len(stamps) == 4
    assert all("extractor: efficientnet_lite0" in stamp for stamp in stamps)
    marked = [a["class"].split() for t, a in page.tags if t == "td" and "class" in a]
    assert sum("best" in each for each in marked) == 1, (
        "precision is equal, Fréchet distance is not"
    )


def test_real_images_come_first_and_columns_agree(sweep: Path, tmp_path: Path) -> None:
    page, _ = page_of(sweep, tmp_path / "out")
    alts = [a["alt"] for t, a in page.tags if t == "img"][:9]
    captions = ["red heart", "flying saucer", "woman biking"]
    assert alts == [
        f"{row}: {caption}"
        for row in ("real image", "autoencoder, sample", "vae, sample")
        for caption in captions
    ]


def test_nothing_from_a_run_becomes_markup(tmp_path: Path) -> None:
    folder = write_run(
        tmp_path / "runs" / "a", model=HOSTILE, captions=(HOSTILE, "b"), attribution=HOSTILE,
        metrics=metric(f"m/{HOSTILE}", 1.0, extractor=HOSTILE),
    )  # fmt: skip
    write_run(tmp_path / "runs" / "b", captions=(HOSTILE, "b"),
              metrics=metric(f"m/{HOSTILE}", 2.0))  # fmt: skip
    edit_json(folder / "results.json", command=HOSTILE, provenance={HOSTILE: HOSTILE})
    (folder / "curves.jsonl").write_text('{"images": 1, "seconds": 1, "train/<script>": 2}\n')
    write_failed(tmp_path / "runs" / "c", HOSTILE)
    page, text = page_of(tmp_path / "runs", tmp_path / "out")
    assert not {tag for tag, _ in page.tags} & {"script", "x"}
    assert not [a for _, attributes in page.tags for a in attributes if a.startswith("on")]
    assert "{{ 7*7 }}" in page.text
    assert "<script" not in text
    note = (tmp_path / "out" / "comparison.md").read_text().replace("\\<script", "")
    shown = [line for line in note.splitlines() if not line.startswith("    ")]  # no code
    assert "<script" not in "\n".join(shown)


def test_the_same_runs_give_the_same_bytes(sweep: Path, tmp_path: Path) -> None:
    for out in ("one", "two"):
        write_comparison([sweep], tmp_path / out, command="x")
    names = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert names == [f"comparison.{kind}" for kind in ("html", "json", "md", "png")]
    for name in names:
        content = (tmp_path / "one" / name).read_bytes()
        assert content == (tmp_path / "two" / name).read_bytes()
        assert str(tmp_path).encode() not in content, "where the runs lie is nobody's business"


def test_a_model_without_a_seed_or_an_item_shows_a_gap(tmp_path: Path) -> None:
    write_run(tmp_path / "runs" / "0", model="a", seed=0)
    write_run(tmp_path / "runs" / "1", model="b", seed=1)
    write_run(tmp_path / "runs" / "2", model="c", seed=1, captions=("elsewhere",))
    page, _ = page_of(tmp_path / "runs", tmp_path / "out")
    assert "Seed 0 (1 of 3 models)" in page.text
    assert "not every model has all" in page.text
    assert "n/a" in page.text
    with Image.open(tmp_path / "out" / "comparison.png") as picture:
        assert picture.height > 4 * 40, "a row for the real images and one for each model"


def test_the_picture_has_real_images_first(tmp_path: Path) -> None:
    write_run(tmp_path / "runs" / "0", reconstruct=False)
    write_comparison([tmp_path / "runs"], tmp_path / "out")
    with Image.open(tmp_path / "out" / "comparison.png") as image:
        picture = image.convert("RGB")
    colours = [picture.getpixel((picture.width - 60, y)) for y in range(picture.height)]
    real, sample = (80, 0, 0), (80, 80, 0)
    assert real in colours
    assert colours.index(real) < colours.index(sample)


@pytest.mark.parametrize("content", [b"", b"GIF89a", b"\x89PNG\r\n\x1a\n broken"])
def test_a_broken_picture_is_one_line(tmp_path: Path, content: bytes) -> None:
    folder = write_run(tmp_path / "runs" / "0")
    (folder / "gallery" / "sample-1.png").write_bytes(content)
    with pytest.raises(GenzooError, match=r"sample-1\.png .*; evaluate that run again"):
        write_comparison([folder], tmp_path / "out")


def test_no_pictures_and_no_curves_make_a_page_too(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "runs" / "0")
    (folder / "gallery" / "gallery.json").unlink()
    (folder / "curves.jsonl").unlink()
    page, _ = page_of(tmp_path / "runs", tmp_path / "out")
    assert "Learning curves" not in page.text
    assert not (tmp_path / "out" / "comparison.png").exists()


def test_only_failures_make_a_page_too(tmp_path: Path) -> None:
    write_failed(tmp_path / "runs" / "0")
    page, _ = page_of(tmp_path / "runs", tmp_path / "out")
    assert "out of memory" in page.text


def test_an_unwritable_folder_is_one_line(sweep: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(GenzooError, match="cannot be written"):
        write_comparison([sweep], tmp_path / "file" / "out")
