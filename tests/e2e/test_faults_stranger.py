"""What a stranger's file may do: draw pictures, and nothing else."""

from __future__ import annotations

import ast
import re
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from PIL import Image

import genzoo
from genzoo.config.composition import compose
from genzoo.config.keys import keys
from genzoo.config.paths import groups
from genzoo.config.values import plain
from genzoo.core.errors import printable
from genzoo.weights.saved import SLOTS, classes
from tests.hostile import checkpoint
from tests.shell import Result
from tests.small import SMALL

Shell = Callable[..., Result]

SECRET = "the-secret-of-this-machine"
VARIABLES = {"GENZOO_TEST_SECRET": SECRET}
ASKS = "${oc.env:GENZOO_TEST_SECRET}"
DRAW = ("task=sample", "count=1", "sampler=ddim", "sampler.steps=2", "trainer.gpus=0")
DRAWN = (*DRAW, "prompt=a red heart", "logger=none", "hydra.run.dir=out")


def refused(result: Result, *words: str, status: int = 2) -> None:
    lines = [line for line in result.err.splitlines() if line.strip()]
    assert len(lines) == 1, result.err
    assert lines[0].startswith("genzoo: ")
    for word in words:
        assert word in lines[0]
    assert result.status == status


def told(folder: Path, result: Result) -> bool:
    """Whether the secret stands anywhere: on the terminal or in a file."""
    files = [file for file in folder.rglob("*") if file.is_file()]
    inside = any(SECRET.encode() in file.read_bytes() for file in files)
    return inside or SECRET in result.out + result.err


@pytest.fixture
def server() -> Iterator[tuple[str, list[str]]]:
    """An address, and the paths that were asked for there."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.send_header("Content-Length", "4")
            self.end_headers()
            self.wfile.write(b"evil")

        def log_message(self, *_: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as http:
        thread = threading.Thread(target=http.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{http.server_port}", asked
        http.shutdown()
        thread.join()


def test_the_persons_own_interpolations_are_resolved(shell: Shell, tmp_path: Path) -> None:
    """The null model: what looks for the secret below finds one that is told."""
    file = checkpoint(tmp_path / "good.ckpt")
    result = shell(*DRAWN, f"checkpoint={file}", f"metrics.caption_split={ASKS}", env=VARIABLES)
    assert result.status == 0, result.err
    assert told(tmp_path / "out", result)


TEXTS = {
    "data__name": ASKS,
    "data__templates": [f"{{}} {ASKS}", "{} ${now:%Y}", "{} ${label:fit,a,null}"],
    "data__root": f"http://127.0.0.1:9/{ASKS}",
    "model__size": f"${{oc.env:${{label:fit,x,null}}}} {ASKS}",
    "sampler__name": ASKS,
    "guidance__name": ASKS,
    "text__name": ASKS,
    "text__more": ["a", {"b": ASKS}],
}


@pytest.mark.parametrize("ending", ["ckpt", "safetensors"])
def test_no_interpolation_in_a_saved_configuration_is_resolved(
    shell: Shell, tmp_path: Path, ending: str
) -> None:
    file = checkpoint(tmp_path / f"asks.{ending}", of="glide_16", **TEXTS)
    own = (f"checkpoint={file}", "hydra.run.dir=first", "logger=none")
    result = shell(*DRAW, *own, env=VARIABLES)
    assert not told(tmp_path / "first", result)
    assert result.status in (0, 2), result.err  # a guidance of this name does not exist
    result = shell(*DRAWN, "guidance=none", f"checkpoint={file}", env=VARIABLES)
    assert result.status == 0, result.err
    assert not told(tmp_path / "out", result)
    kept = yaml.safe_load((tmp_path / "out" / "config.yaml").read_text())
    assert kept["data"]["name"] == ASKS
    assert kept["data"]["templates"] == TEXTS["data__templates"]
    assert kept["text"]["more"] == ["a", {"b": ASKS}]


def test_where_a_number_is_due_an_interpolation_is_refused(shell: Shell, tmp_path: Path) -> None:
    file = checkpoint(tmp_path / "asks.ckpt", optimizer__lr=ASKS, data__validation=ASKS)
    result = shell(*DRAWN, f"checkpoint={file}", env=VARIABLES)
    refused(result, "optimizer.lr", "data.validation")
    assert SECRET not in result.err


@pytest.mark.parametrize("key", [ASKS, "a.b", "${data.name}"])
def test_keys_are_text_too(shell: Shell, tmp_path: Path, key: str) -> None:
    file = checkpoint(tmp_path / "asks.ckpt", **{"ema": {key: 1, "ramp": 0.1}})
    result = shell(*DRAWN, f"checkpoint={file}", env=VARIABLES)
    assert result.status == 0, result.err
    assert not told(tmp_path / "out", result)
    kept = yaml.safe_load((tmp_path / "out" / "config.yaml").read_text())
    assert kept["ema"] == {key: 1, "ramp": 0.1}


def test_ranks_resolve_nothing_either(shell: Shell, tmp_path: Path) -> None:
    """They read what the first process wrote."""
    templates = ["{}", f"{{}} {ASKS}"]
    file = checkpoint(tmp_path / "asks.ckpt", data__templates=templates)
    own = ("task=evaluate", "sampler=ddim", "sampler.steps=2", "trainer.processes=2", "seed=1")
    measured = (
        "metrics.images=8",
        "metrics.real_images=8",
        "metrics.copies_among=0",
        "metrics.held_out_images=8",
        "metrics.splits=2",
    )
    result = shell(
        *own, *measured, "trainer.gpus=0", "logger=none", f"checkpoint={file}",
        "hydra.run.dir=out", env=VARIABLES, timeout=600,
    )  # fmt: skip
    assert result.status == 0, result.err
    assert not told(tmp_path / "out", result)


DATA = ("data=shapes", "data.source.count=96")
BESIDE = {
    "clip=": ("clip_16", ["model=unclip", *SMALL[:1], "logger=none", "trainer.gpus=0"]),
    "metrics.clip=": (
        "clip_16",
        ["task=evaluate", "checkpoint=zoo/diffusion_16", *DATA, "logger=none", "trainer.gpus=0"],
    ),
    "guidance.checkpoint=": (
        "clip_16",
        [*DRAWN, "checkpoint=zoo/diffusion_16", "guidance=classifier"],
    ),
    "upsampler=": ("glide_16", [*DRAWN, "checkpoint=zoo/diffusion_16"]),
}


@pytest.mark.parametrize("door", [*BESIDE, "checkpoint="])
@pytest.mark.parametrize("ending", ["ckpt", "safetensors"])
def test_classes_are_refused_at_every_door(
    shell: Shell, tmp_path: Path, server: tuple[str, list[str]], door: str, ending: str
) -> None:
    address, asked = server
    model, arguments = BESIDE.get(door, ("diffusion_16", list(DRAWN)))
    attack = {
        "_target_": "genzoo.machine.download.fetch",
        "url": f"{address}/{ASKS}",
        "path": str(tmp_path / "written"),
        "sha256": None,
        "remedy": "",
    }
    changed = {"model__stage": "upsample", "model__low_size": 16} if door == "upsampler=" else {}
    file = checkpoint(tmp_path / f"evil.{ending}", of=model, model__text=attack, **changed)
    result = shell(*arguments, f"{door}{file}", env=VARIABLES, timeout=400)
    refused(result, "evil", "at model.text", "where none belongs")
    assert not asked
    assert not (tmp_path / "written").exists()
    assert not told(tmp_path, result)


EVIL = "os.mkdir"
PARTS = ("model.arch", "model.dequantisation", "model.process", "model.prior.process")
ELSEWHERE = ("model.unet", "model.size", "text", "optimizer.extra", "model.list[0]")


@pytest.mark.parametrize("slot", [*SLOTS, *PARTS, *ELSEWHERE])
def test_classes_are_genzoos_where_one_belongs_and_nowhere_else(
    shell: Shell, tmp_path: Path, slot: str
) -> None:
    values: dict[str, Any] = {f"{slot.replace('.', '__')}__": EVIL}
    if slot.endswith("[0]"):
        values = {"model__list": [{"_target_": EVIL, "path": "made"}]}
    file = checkpoint(tmp_path / "evil.ckpt", **values)
    where = "which is not one of genzoo's" if slot in (*SLOTS, *PARTS) else "where none belongs"
    arguments = [a for a in DRAWN if not a.startswith("sampler")]
    refused(shell(*arguments, f"checkpoint={file}"), f"at {slot}", where, EVIL)


@pytest.mark.parametrize(
    "named", [7, None, ["genzoo.models.vae.VAE"], "genzoo.config.objects.build"]
)
def test_other_words_for_classes(shell: Shell, tmp_path: Path, named: Any) -> None:
    file = checkpoint(tmp_path / "evil.ckpt", model__process={"_target_": named})
    refused(shell(*DRAWN, f"checkpoint={file}"), "at model.process", "not one of genzoo's")


def _targets(tree: Any, place: str = "") -> Iterator[tuple[str, str]]:
    for key in keys(tree):
        section, _, name = key.rpartition(".")
        if name == "_target_":
            node: Any = tree
            for part in key.split("."):
                node = node[part]
            yield section, node


OPTIONS = [
    ("model", "glide", "model/size", size) for size in groups()["model/size"] if size != "auto"
] + [
    ("model", "flow", "model/arch", "tarflow"),
    ("model", "flow", "model/dequantisation", "uniform"),
    *(("model", "diffusion", "model/process", one) for one in groups()["model/process"]),
    *(("model", name, "seed", "0") for name in groups()["model"]),
    *(("data", name, "seed", "0") for name in groups()["data"]),
    *(("sampler", name, "seed", "0") for name in groups()["sampler"]),
    *(("guidance", name, "seed", "0") for name in groups()["guidance"]),
]


@pytest.mark.parametrize(("group", "option", "inner", "choice"), OPTIONS)
def test_every_class_of_our_own_files_may_be_saved(
    group: str, option: str, inner: str, choice: str
) -> None:
    inner = "model/size@model" if inner == "model/size" else inner
    cfg = plain(compose(f"{group}={option}", f"{inner}={choice}"))
    sections = {name: cfg[name] for name in ("model", "data", "text", "sampler", "guidance")}
    found = dict(_targets(sections))
    assert {"model", "data", "data.source"} <= found.keys()
    for place, named in found.items():
        assert named in classes(place), f"{named} at {place}: see genzoo.weights.saved.SLOTS"


def test_there_is_one_door() -> None:
    """Plain data becomes a configuration in one file, and comes out of checkpoints in another."""
    made: set[str] = set()
    for file in Path(genzoo.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Attribute) and node.attr in ("create", "load"):
                owner = node.value
                if isinstance(owner, ast.Name) and owner.id == "OmegaConf":
                    made.add(file.name)
    assert made == {"values.py", "typed.py"}  # the latter reads what was typed
    text = "".join(file.read_text() for file in Path(genzoo.__file__).parent.rglob("*.py"))
    assert len(re.findall(r"\bAdmitted\(", text)) == 1
    assert len(re.findall(r"\bcomposed\(", text)) == 6  # its definition, and five of one's own


OWN = """
from genzoo.models.ae import Autoencoder

class Mine(Autoencoder):
    pass
"""


def test_somebodys_own_class_is_theirs_to_name(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "mypkg").mkdir()
    (tmp_path / "mypkg" / "__init__.py").write_text(OWN)
    path = {"PYTHONPATH": f"{tmp_path}:{Path(genzoo.__file__).parents[1]}"}
    shorter = [a for a in SMALL if not a.startswith(("budget", "trainer.log"))]
    short = (*shorter, "budget.images=16", "trainer.log_images=16")
    typed = ("model=autoencoder", "model._target_=mypkg.Mine")
    result = shell(*typed, *short, "hydra.run.dir=run", env=path, fresh=True)
    assert result.status == 0, result.err
    again = ("task=evaluate", "checkpoint=run", "logger=none", "trainer.gpus=0", *SMALL[-4:])
    refused(shell(*again, env=path), "mypkg.Mine", "not one of genzoo's", "name it")
    result = shell(*again, typed[1], env=path)
    assert result.status == 0, result.err
    folder = tmp_path / "own" / "model"
    folder.mkdir(parents=True)
    text = (Path(genzoo.__file__).parents[2] / "configs/model/autoencoder.yaml").read_text()
    text = text.replace("genzoo.models.ae.Autoencoder", "mypkg.Mine")
    (folder / "mine.yaml").write_text(text.replace("name: autoencoder", "name: mine"))
    theirs = ("--config-dir", str(tmp_path / "own"), "model=mine")
    result = shell(*theirs, *short, "hydra.run.dir=other", env=path)
    assert result.status == 0, result.err
    more = ("checkpoint=other", "budget.images=32", "logger=none", "trainer.gpus=0", *SMALL[-4:])
    refused(shell(*more, env=path), "mypkg.Mine", "name it")
    result = shell(*theirs, *more, "hydra.run.dir=other2", env=path)
    assert result.status == 0, result.err


HOSTILE: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "no configuration": ({"model": 3}, ("no section model",)),
    "another kind of name": ({"model__name": "a\nb"}, ("has the name 'a\\nb'",)),
    "a size that is text": ({"data__image_size": "16"}, ("whole numbers",)),
    "a seed that is text": ({"seed": ASKS}, ("whole numbers",)),
    "no data": ({"data": {"name": "shapes", "image_size": 16}}, ("names no model or no data",)),
    "a CLIP out of the network": (
        {"guidance": {"name": "classifier", "checkpoint": "openai", "scorer": "auto", "scale": 1}},
        ("has to be downloaded", "guidance.checkpoint=openai"),
    ),
    "another CLIP out of the network": (
        {
            "guidance": {
                "name": "classifier",
                "checkpoint": "open_clip/hf-hub:evil/ViT-B-32/x",
                "scorer": "auto",
                "scale": 1,
            }
        },
        ("has to be downloaded",),
    ),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_sections_end_in_one_line(shell: Shell, tmp_path: Path, case: str) -> None:
    changes, words = HOSTILE[case]
    file = checkpoint(tmp_path / "evil.ckpt", **changes)
    refused(shell(*DRAWN, f"checkpoint={file}", env=VARIABLES), *words)


def test_a_configuration_without_end(shell: Shell, tmp_path: Path) -> None:
    loop: list[Any] = []
    loop.append(loop)
    file = checkpoint(tmp_path / "loop.ckpt", data__templates=loop)
    refused(shell(*DRAWN, f"checkpoint={file}"), "nested too deep")
    wide: list[Any] = ["x"] * 50
    for _ in range(6):
        wide = [wide] * 50
    file = checkpoint(tmp_path / "wide.ckpt", data__templates=wide)
    refused(shell(*DRAWN, f"checkpoint={file}"), "wide.ckpt")


def test_a_saved_configuration_decides_nothing_outside_its_sections(
    shell: Shell, tmp_path: Path, server: tuple[str, list[str]]
) -> None:
    """Where is written, what is fetched and who is told: a saved configuration says none of it."""
    address, asked = server
    place = tmp_path / "elsewhere"
    file = checkpoint(
        tmp_path / "evil.ckpt",
        output=str(place / "output"),
        hydra={"run": {"dir": str(place / "hydra")}},
        run={"folder": str(place / "run"), "command": ASKS},
        logger={"name": "wandb", "mode": "online", "project": ASKS, "entity": address},
        task={"_target_": EVIL, "name": "sample"},
        metrics={"weights": {"inception": str(place)}, "clip": "openai"},
        trainer={"compile": True},
        strategy={"name": "deepspeed"},
        weights_dir=str(place),
        clip="openai",
        upsampler="openai",
        checkpoint="openai",
        debug="traceback",
        cpu={"threads": 1000},
        data__cache=str(place / "cache"),
    )
    arguments = [a for a in DRAWN if not a.startswith("prompt=")]
    result = shell(*arguments, f"checkpoint={file}", env=VARIABLES)
    assert result.status == 0, result.err
    assert not place.exists()
    assert not asked
    assert not told(tmp_path / "out", result)
    assert "data.cache" in result.out + result.err  # it is said that the folder is not used
    typed = tmp_path / "typed"
    result = shell(*arguments, f"checkpoint={file}", f"data.cache={typed}", "overwrite=true")
    assert result.status == 0, result.err
    assert list(typed.rglob("images.u8"))


CAPTIONS = ["${oc.env:GENZOO_TEST_SECRET}", "${seed}", "a ${now:%Y} heart", r"\${x} \\${y}", "${"]


@pytest.mark.parametrize("caption", CAPTIONS[:3])
def test_captions_are_text(shell: Shell, tmp_path: Path, caption: str) -> None:
    arguments = [a for a in DRAWN if not a.startswith("prompt=")]
    own = ("checkpoint=zoo/diffusion_16", f"prompt={caption}")
    result = shell(*arguments, *own, env=VARIABLES)
    assert result.status == 0, result.err
    with Image.open(tmp_path / "out" / "samples" / "00000.png") as picture:
        assert picture.text["caption"] == caption  # type: ignore[attr-defined]
    kept = yaml.safe_load((tmp_path / "out" / "config.yaml").read_text())
    assert kept["prompt"] == caption
    assert not told(tmp_path / "out", result)


BELL = "1\nFAKE \x1b[31mred\u202e"


@pytest.mark.parametrize("about", [{"format": 7, "version": BELL}, {"version": BELL}])
@pytest.mark.parametrize("key", [f"foo{BELL}", "foo"])
def test_what_a_file_says_stays_within_its_line(
    shell: Shell, tmp_path: Path, about: dict[str, Any], key: str
) -> None:
    file = checkpoint(tmp_path / "odd.ckpt", about=about, model__foo={key: {"_target_": BELL}})
    refused(result := shell(*DRAWN, f"checkpoint={file}"), "genzoo: ", "odd.ckpt")
    assert result.err[:-1].isprintable()


def test_so_does_a_name_in_a_sweep_and_on_the_terminal(shell: Shell, tmp_path: Path) -> None:
    file = checkpoint(tmp_path / "odd\x1b[31m.ckpt", data__cache=f"{BELL}")
    result = shell(*DRAWN, f"checkpoint={file}")
    assert result.status == 0, result.err
    result = shell("-m", *DRAWN[:-1], "hydra.sweep.dir=s", f"checkpoint='{file}'", "count=1,2",
                   "label=3")  # fmt: skip
    assert result.status == 2, result.err
    assert len(result.err.splitlines()) == 2
    assert all(line.isprintable() for line in result.err.splitlines())


def test_messages_keep_what_people_write() -> None:
    for text in ("a cat, ü 猫", "\U0001f469\u200d\U0001f680", "a\u00a0b\u3000c"):
        assert printable(text) == text
    assert printable("a\nb\x1b\u202e\x9b\u2028") == r"a\nb\x1b\u202e\x9b\u2028"


@pytest.mark.parametrize(
    "state",
    [
        None,
        {},
        {"ema.model.a": "text"},
        {1: torch.zeros(1)},
        [torch.zeros(1)],
        torch.zeros(3),
    ],
    ids=lambda state: type(state).__name__,
)
@pytest.mark.parametrize("entry", ["state_dict", "averages"])
def test_what_holds_no_weights_is_refused(
    shell: Shell, tmp_path: Path, state: object, entry: str
) -> None:
    file = checkpoint(tmp_path / "odd.ckpt")
    content = torch.load(file, weights_only=True)
    del content["state_dict"]
    torch.save(content if state is None else {**content, entry: state}, file)
    refused(shell(*DRAWN, f"checkpoint={file}"), "odd.ckpt holds no weights")


TOOL = """
from pathlib import Path

def run(**arguments):
    Path(arguments["out"]).write_text("called")
"""


def test_what_lies_in_a_folder_of_ones_own_is_not_a_strangers_to_call(
    shell: Shell, tmp_path: Path
) -> None:
    """A class counts for a file only where the command chooses it, whatever the folder holds."""
    for name, text in {
        "mypkg/__init__.py": "",
        "mypkg/tool.py": TOOL,
        "own/sampler/tool.yaml": "name: tool\n_target_: mypkg.tool.run\n",
        "own/model/process/tool.yaml": "_target_: mypkg.tool.run\n",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    written = tmp_path / "written"
    evil = {"name": "none", "_target_": "mypkg.tool.run", "out": str(written)}
    arguments = ("--config-dir=own", "task=sample", 'prompt="a"', "count=1", "trainer.gpus=0")
    for number, change in enumerate(({"sampler": evil}, {"model__process": evil})):
        file = checkpoint(tmp_path / f"{number}.ckpt", **change)
        result = shell(*arguments, f"checkpoint={file}", env={"PYTHONPATH": str(tmp_path)})
        refused(result, "mypkg.tool.run", "not one of genzoo's")
        assert not written.exists()


@pytest.mark.parametrize("text", ["- a list\n", "a: [\n"])
def test_an_odd_file_in_a_folder_of_ones_own(shell: Shell, tmp_path: Path, text: str) -> None:
    (tmp_path / "own" / "model").mkdir(parents=True)
    (tmp_path / "own" / "model" / "odd.yaml").write_text(text)
    file = checkpoint(tmp_path / "a.ckpt")
    result = shell("--config-dir=own", "task=sample", f"checkpoint={file}", *DRAWN)
    if text.startswith("-"):  # names no class, and is nobody's model
        assert result.status == 0, result
    else:
        refused(result, "odd.yaml")


def test_a_key_of_any_length_is_no_place_for_a_class(shell: Shell, tmp_path: Path) -> None:
    file = checkpoint(tmp_path / "a.ckpt", **{f"model__{'k' * 300}": {"_target_": "a.B"}})
    refused(shell("task=sample", f"checkpoint={file}", *DRAWN), "where none belongs")
