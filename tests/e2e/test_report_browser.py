"""The page in a browser, wide and narrow, light and dark, on paper; what the check would find."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from genzoo.report.write import write_comparison
from tests.fake_runs import FRECHET, edit_json, metric, write_json, write_run

api = pytest.importorskip("playwright.sync_api", reason="needs genzoo[browser]")
CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome")
     if (path := shutil.which(name))),
    None,
)  # fmt: skip
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium here"),
]

WIDE, NARROW = 1400, 390
HEAD = "<!doctype html><meta name='viewport' content='width=device-width'><title>t</title>"
PIXEL = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAC"
    "hwGA60e6kgAAAABJRU5ErkJggg=="
)
MODELS = ("autoencoder", "diffusion", "flow", "gan", "glide", "a_name_without_any_gap" * 4, "vae")
CAPTIONS = ("red heart", "赤い風船", "قلب أحمر", "unbreakable" * 12, *map(str, range(12)))


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with api.sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-gpu"]  # a container's root has no sandbox
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of everything that a page can have: seven models, real images, pairs, steps and scales."""
    folder = tmp_path_factory.mktemp("browser")
    for k, model in enumerate(MODELS):
        _with_everything(folder / "runs" / str(k), model, k)
    for k, scale in enumerate((1.0, 3.0, 8.0)):
        guidance = {"name": "classifier_free", "scale": scale}
        _with_everything(folder / "runs" / f"s{k}", "unclip", k, {"guidance": guidance})
    write_comparison([folder / "runs"], folder / "out", command="python -m genzoo -m " + "x" * 300)
    return folder / "out" / "comparison.html"


def _with_everything(
    folder: Path, model: str, k: int, config: dict[str, Any] | None = None
) -> None:
    network = "efficientnet_lite0"
    names = {FRECHET: "lower", f"kernel_distance/{network}": "lower", f"precision/{network}":
             "higher", f"recall/{network}": "higher", "clip_score": "higher"}  # fmt: skip
    metrics = {}
    for n, (name, better) in enumerate(names.items()):
        metrics |= metric(name, 1234.5 + 100 * k + n, better=better, error=30.0)
    run = write_run(folder, model=model, metrics=metrics, captions=CAPTIONS, config=config)
    real = {
        name: {"label": name.replace("_", " "), "images": 1000, "metrics": metrics}
        for name in ("real_held_out", "training_again")
    }
    near = {FRECHET: {"images": 1000, "value": 30.0 + k, "real_held_out": 8.0}}
    edit_json(run / "results.json", references=real, closeness=near,
              sampling={"seconds_per_image": 0.01 * (k + 1)})  # fmt: skip
    place = run / "gallery" / "memorisation"
    place.mkdir()
    pairs = [
        {"sample": f"{n}.png", "training": f"{n}.png", "caption": caption, "ratio": 0.1,
         "training_caption": "another", "near_copy": n < 2}
        for n, caption in enumerate(CAPTIONS[:5])
    ]  # fmt: skip
    for n in range(5):
        Image.new("RGB", (8, 8), "red").save(place / f"{n}.png")
    write_json(place / "memorisation.json", {"share": 0.1, "interval": [0, 1], "pairs": pairs})
    points = "".join(
        f'{{"images": {10 * n}, "seconds": {n}, "train/total": {9 - n}, '
        f'"quality/samples": 8, "quality/{FRECHET}": {90 - n}}}\n'
        for n in range(1, 6)
    )
    (run / "curves.jsonl").write_text(points)


def findings(browser: Any, path: Path, *, width: int, scheme: str = "light") -> list[str]:
    """What is wrong with a page at a width."""
    found: list[str] = []
    view = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    view.on("console", lambda message: found.append(f"console: {message.text}"))
    view.on("pageerror", lambda error: found.append(f"error: {error}"))
    own = path.as_uri()
    view.on(
        "request",
        lambda request: (
            None
            if request.url == own or request.url.startswith("data:")
            else found.append(f"request: {request.url}")
        ),
    )
    view.goto(own, wait_until="load")
    for details in view.query_selector_all("details"):
        details.evaluate("each => each.open = true")
    over = view.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    if over > 0:
        found.append(f"overflow: {over} px")
    empty = "[...document.images].filter(i => !(i.complete && i.naturalWidth > 0)).length"
    if count := view.evaluate(empty):
        found.append(f"images: {count} have not loaded")
    view.close()
    return found


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [NARROW, WIDE])
def test_the_page_is_whole_at_every_width(
    browser: Any, page: Path, width: int, scheme: str
) -> None:
    assert findings(browser, page, width=width, scheme=scheme) == []


def test_no_table_of_metrics_scrolls_and_every_row_has_its_place(browser: Any, page: Path) -> None:
    for width in (NARROW, WIDE):
        view = browser.new_page(viewport={"width": width, "height": 900})
        view.goto(page.as_uri())
        boxes = view.evaluate(
            "[...document.querySelectorAll('.panel')].map(p => [p.scrollWidth - p.clientWidth,"
            " ...[...p.querySelectorAll('.lane')].map(l => l.getBoundingClientRect().width)])"
        )
        assert len(boxes) == 5
        for over, *lanes in boxes:
            assert over <= 0
            assert len(lanes) == 12, "ten models and two rows of real images"
            assert min(lanes) > 60, f"too narrow to read at {width} px"
        view.close()


def test_dark_and_light_differ_and_both_can_be_read(browser: Any, page: Path) -> None:
    grounds = []
    for scheme in ("light", "dark"):
        view = browser.new_page(color_scheme=scheme)
        view.goto(page.as_uri())
        colours = view.evaluate(
            "['color', 'backgroundColor'].map(k => getComputedStyle(document.body)[k]"
            ".match(/\\d+/g).slice(0, 3).reduce((a, b) => a + Number(b), 0))"
        )
        grounds.append(colours[1])
        assert abs(colours[0] - colours[1]) > 450, scheme
        view.close()
    assert grounds[0] > 600 > 150 > grounds[1]


def test_it_prints(browser: Any, page: Path) -> None:
    view = browser.new_page()
    view.goto(page.as_uri())
    paper = view.pdf(format="A4")
    assert paper.startswith(b"%PDF")
    assert 2 <= paper.count(b"/Type /Page\n") <= 40
    view.close()


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("<p>nothing wrong</p>" + f"<img src='{PIXEL}'>", None),
        ("<script>console.log('x')</script>", "console: x"),
        ("<script>nothing()</script>", "error: nothing is not defined"),
        ("<img src='http://127.0.0.1:9/x.png'>", "request: http://127.0.0.1:9/x.png"),
        ("<link rel=stylesheet href='other.css'>", "request: file:"),
        ("<div style='width: 2000px'>x</div>", "overflow: "),
        ("<img src='data:image/png;base64,AAAA'>", "images: 1"),
    ],
)
def test_the_check_finds_what_is_wrong(
    browser: Any, tmp_path: Path, body: str, expected: str | None
) -> None:
    path = tmp_path / "page.html"
    path.write_text(HEAD + body)
    found = findings(browser, path, width=NARROW)
    if expected is None:
        assert found == []
    else:
        assert any(line.startswith(expected) for line in found), found
