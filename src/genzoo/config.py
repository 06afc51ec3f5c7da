"""From a composed configuration to objects, and from a checkpoint back to its configuration."""

from __future__ import annotations

import difflib
import importlib
import inspect
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NewType

import yaml
from omegaconf import DictConfig, OmegaConf

from genzoo.errors import UsageError
from genzoo.schema.keys import OPTIONAL
from genzoo.typed import CAPTIONS, unresolved
from genzoo.typed import escaped as escaped_text

# What a checkpoint decides unless the command line says otherwise; all else (task, trainer,
# logger, metrics ...) belongs to the command at hand.
FROM_CHECKPOINT = (
    "model",
    "data",
    "text",
    "optimizer",
    "ema",
    "budget",
    "seed",
    "sampler",
    "guidance",
)

TEMPLATES = "templates"  # of data: more captions

# Sections of a checkpoint's configuration that went through `saved.admitted`.
Admitted = NewType("Admitted", dict[str, Any])

SIZE = "model/size@model"  # what Hydra calls model.size=
ENCODERS = "model/encoders@model"  # ... and model/encoders=
OPENAI = "openai"  # names GLIDE's released weights where a checkpoint is named


def _label(task: str, model: str, checkpoint: str | None) -> str:
    """What a run's folder is called; a checkpoint's model is known only once it is read."""
    return f"{task}-{model}" if task == "fit" and checkpoint is None else task


OmegaConf.register_new_resolver("label", _label, replace=True)


def config_dir() -> Path:
    """Where the YAML files lie: inside the package (a wheel) or at the repository's top."""
    inside = Path(__file__).parent / "configs"
    return inside if inside.is_dir() else Path(__file__).parents[2] / "configs"


def zoo_dir() -> Path:
    """Where the small trained models lie that come with genzoo: found as the YAML files are."""
    return config_dir().with_name("zoo")


def groups() -> dict[str, list[str]]:
    """The configuration groups and the options of each, by their files; `a/b` lies within `a`."""
    root = config_dir()
    return {
        folder.relative_to(root).as_posix(): sorted(file.stem for file in folder.glob("*.yaml"))
        for folder in sorted(root.rglob("*"))
        if folder.is_dir()
    }


def escaped(values: Any) -> Any:
    """Plain data of which OmegaConf takes no part for an interpolation: `${` stays text."""
    return _each_text(escaped_text, values)


def _each_text(change: Callable[[str], str], values: Any) -> Any:
    if isinstance(values, Mapping):
        return {key: _each_text(change, value) for key, value in values.items()}
    if isinstance(values, list | tuple):
        return [_each_text(change, value) for value in values]
    return change(values) if isinstance(values, str) else values


def wrapped(values: Mapping[str, Any]) -> DictConfig:
    """Plain data as a configuration, every text in it as it is."""
    return composed(escaped(values))


def composed(values: Any) -> DictConfig:
    """A configuration of the person's own out of its parts, interpolations and all."""
    cfg = OmegaConf.create(values)
    assert isinstance(cfg, DictConfig)
    return cfg


def copied(cfg: DictConfig) -> DictConfig:
    """A configuration with the same interpolations, to which keys can be added."""
    return composed(OmegaConf.to_container(cfg, resolve=False))


def with_literal_captions(cfg: DictConfig) -> DictConfig:
    """A command's configuration in which captions are free text: `${` in them is no interpolation.

    Args:
        cfg: what Hydra composed.
    """
    tree = OmegaConf.to_container(cfg, resolve=False)
    assert isinstance(tree, dict)
    data = tree.get("data")  # taken away, or a value, it is complained of later
    sections = [data] if isinstance(data, dict) else []
    for section, key in (*((tree, key) for key in CAPTIONS), *((s, TEMPLATES) for s in sections)):
        if key in section:
            section[key] = _each_text(unresolved, section[key])
    return composed(tree)


def read(path: Path) -> DictConfig:
    """The configuration of a run, as `genzoo.runfolder.save` wrote it; no text in it is resolved.

    Raises:
        OSError, yaml.YAMLError: where it cannot be read.
    """
    return wrapped(yaml.safe_load(path.read_text(encoding="utf-8")))


def plain(cfg: DictConfig) -> dict[str, Any]:
    """The configuration as resolved plain data, as checkpoints and run folders keep it."""
    resolved = OmegaConf.to_container(cfg, resolve=True, throw_on_missing=True)
    assert isinstance(resolved, dict)
    return {str(key): value for key, value in resolved.items()}


def check_keys(
    cfg: DictConfig,
    overrides: Sequence[str],
    *,
    but: Sequence[str] = (),
    own_groups: Collection[str] = (),
    arguments: bool = False,
) -> None:
    """Make sure that keys which Hydra was made to take or to drop mean something.

    Args:
        cfg: of the job.
        overrides: of its command line, as Hydra lists them: `+key=value`, `++key=value`, `~key`.
        but: sections that are looked at elsewhere.
        own_groups: of the person's own folder of configurations.
        arguments: whether to look at keys beside a `_target_` of genzoo's as well. What it takes
            is known once it is imported, and torch with it.

    Raises:
        UsageError: names the first one that does not.
    """
    changed = [o for o in overrides if o[:1] in "+~" and o[1:2] != "("]
    chosen = {*groups(), *own_groups}  # one that is taken away may be what a run reads
    changed = [o for o in changed if o[0] == "~" or _key(o).partition("@")[0] not in chosen]
    changed = [o for o in changed if _key(o).partition(".")[0] not in (*but, "hydra")]
    if not changed:
        return
    rest = compose(*(override for override in overrides if override not in changed))
    composed = OmegaConf.to_container(rest, resolve=False)
    assert isinstance(composed, dict)
    tree = {str(name): value for name, value in composed.items()}
    known = sorted({*keys(tree), *_optional(tree)})
    for override in changed:
        key = _key(override)
        node = _beside(tree, key)
        if "_target_" in node and key not in known and not override.startswith("~"):
            of = str(node["_target_"])
            if not of.startswith("genzoo.") or not arguments:
                continue  # of somebody's own class nobody knows the arguments
            section = key.rpartition(".")[0]
            known = sorted({*known, *(f"{section}.{name}" for name in _defaults(of))})
        group, _, package = key.partition("@")
        if override.startswith("~") and (package or group.replace("/", ".")) in known:
            raise UsageError(f"~{key} takes away what a run reads", f"write another {key}=")
        if key not in known and group not in chosen:
            guess = closest_key(key, known)
            raise UsageError(
                f"with model={cfg.model.name} there is no key {key}",
                f"did you mean {guess}?" if guess else "see: python -m genzoo --cfg job",
            )


def _key(override: str) -> str:
    return override.lstrip("+~").partition("=")[0]


def _optional(tree: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Keys that could stand in a network's section, but are left to Python's defaults."""
    for name, value in tree.items():
        if isinstance(value, Mapping):
            for key in OPTIONAL.get(name, ()):
                yield f"{prefix}{name}.{key}"
            yield from _optional(value, f"{prefix}{name}.")


def _beside(tree: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """The section that a dotted key stands in, or would; empty where there is none."""
    node: Any = tree
    for name in key.split(".")[:-1]:
        node = node.get(name) if isinstance(node, Mapping) else None
    return node if isinstance(node, Mapping) else {}


def _defaults(path: str) -> list[str]:
    """The arguments of a class of genzoo's that have a number, a word or a switch by default.

    Not `channels`: images have three.
    """
    parameters = inspect.signature(target(path)).parameters.values()
    plain = [p.name for p in parameters if isinstance(p.default, bool | int | float | str)]
    return [name for name in plain if name != "channels"]


def compose(*overrides: str) -> DictConfig:
    """The configuration that a command line would give, interpolations unresolved."""
    import hydra
    from hydra.core.global_hydra import GlobalHydra

    if GlobalHydra.instance().is_initialized():  # inside a running command
        cfg: DictConfig = hydra.compose("config", list(overrides))
        return cfg
    with hydra.initialize_config_dir(str(config_dir()), version_base="1.3"):
        cfg = hydra.compose("config", list(overrides))
        return cfg


def keys(tree: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Every key of a nested mapping, dotted."""
    for key, value in tree.items():
        yield f"{prefix}{key}"
        if isinstance(value, Mapping):
            yield from keys(value, f"{prefix}{key}.")


def closest(word: str, words: Sequence[str]) -> str | None:
    """The known word that was probably meant."""
    found = difflib.get_close_matches(word, words, n=1, cutoff=0.5)
    return found[0] if found else None


def closest_key(key: str, known: Sequence[str]) -> str | None:
    """The known dotted key that was probably meant, of the section that was."""
    section, dot, rest = key.partition(".")
    sections = sorted({one.partition(".")[0] for one in known})
    meant = section if section in sections else closest(section, sections)
    if meant is None:
        return closest(key, known)
    within = {one.partition(".")[2]: one for one in known if one.startswith(f"{meant}.")}
    inner = closest(rest, list(within)) if dot else None
    return within[inner] if inner else closest(f"{meant}{dot}{rest}", known)


def build(node: Mapping[str, Any], **extra: Any) -> Any:
    """Call the `_target_` of a configuration node with its other keys; nested nodes first.

    Any class is called: what came out of a file has been through `saved.admitted`.

    Raises:
        UsageError: for a target that does not exist, or keys that it does not take.
    """
    path = str(node["_target_"])
    called = target(path)
    values = {k: _built(v) for k, v in node.items() if k not in ("_target_", "name")} | extra
    try:
        inspect.signature(called).bind(**values)
    except TypeError as error:
        raise UsageError(
            f"{path} cannot be made of these keys ({error})", "see: python -m genzoo --cfg job"
        ) from error
    return called(**values)


def _built(value: Any) -> Any:
    """A node with a target called, in any depth; all else as it is."""
    if not isinstance(value, Mapping):
        return value
    if "_target_" in value:
        return build(value)
    return {key: _built(inner) for key, inner in value.items()}


def target(path: str) -> Any:
    """The callable that a dotted path names.

    Raises:
        UsageError: where there is none.
    """
    module, _, name = path.rpartition(".")
    try:
        found: Any = importlib.import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError, ValueError) as error:
        raise UsageError(
            f"_target_ {path!r} does not exist ({error})", "check its spelling"
        ) from error
    return found


def with_size(cfg: DictConfig, *, gpus: int, typed: Sequence[str]) -> DictConfig:
    """`model.size=auto` decided: small with a GPU, tiny without; what was typed stays.

    Args:
        cfg: what Hydra composed.
        gpus: that the run uses.
        typed: overrides as Hydra lists them.
    """
    if cfg.model.get("size") != "auto":
        return cfg
    rest = [override for override in typed if not override.startswith(SIZE)]
    chosen = compose(*rest, f"{SIZE}={'small' if gpus else 'tiny'}")
    merged = copied(cfg)
    merged.model = chosen.model
    return merged


def from_checkpoint(cfg: DictConfig, saved: Admitted, overrides: Sequence[str]) -> DictConfig:
    """The configuration of a command that names a checkpoint.

    Args:
        cfg: what Hydra composed for the command.
        saved: the configuration inside the checkpoint.
        overrides: what was typed, as Hydra lists it.

    Returns:
        `cfg` with the sections of `FROM_CHECKPOINT` taken from the checkpoint, and what was typed
        on top of them.

    Raises:
        UsageError: when another model or another size of images is typed than the checkpoint's,
            or a key that its configuration does not have.
    """
    merged, typed = copied(cfg), typed_keys(overrides)
    wanted, found = typed.get("model"), saved["model"]["name"]
    if wanted is not None and wanted != found:
        raise UsageError(
            f"the checkpoint holds model={found}, not model={wanted}",
            f"leave model= away or write model={found}",
        )
    known = sorted(keys(saved))
    for section in FROM_CHECKPOINT:
        if section in saved and (section not in typed or section == "model"):
            OmegaConf.update(merged, section, escaped(saved[section]), merge=False, force_add=True)
    if "data" not in typed:
        merged.data.cache = escaped(cfg.data.get("cache"))  # where this command writes
    size, own = typed.get("data.image_size"), saved["data"]["image_size"]
    if size not in (None, str(own)):
        raise UsageError(
            f"the model in the checkpoint is one of {own} px, not of data.image_size={size}",
            "leave data.image_size= away, or train another model",
        )
    merged.data.image_size = own  # also where other data are typed
    for key in typed:
        _check_option(cfg, saved, key)
        section = key.partition(".")[0]
        decided = section not in typed or section == "model"
        if "." in key and section in FROM_CHECKPOINT and decided:
            if key not in known:
                guess = closest(key, known)
                raise UsageError(
                    f"the checkpoint's {section} has no key {key}",
                    f"did you mean {guess}?" if guess else "see config.yaml in its run folder",
                )
            value = escaped(_selected(cfg, key))
            OmegaConf.update(merged, key, value, merge=False, force_add=True)
    own_source = "data" in typed or "data.source.root" in typed
    if "data.root" in typed and not own_source and "root" in saved["data"]["source"]:
        merged.data.source.root = escaped(merged.data.root)  # as the files in configs/data have it
    return merged


def _selected(cfg: DictConfig, key: str) -> Any:
    """A value or a section, resolved, as plain data."""
    value = OmegaConf.select(cfg, key)
    return OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value


def typed_keys(overrides: Sequence[str]) -> dict[str, str]:
    """What was typed, by its key; as Hydra lists it."""
    return dict(override.lstrip("+~").split("=", 1) for override in overrides if "=" in override)


def _check_option(cfg: DictConfig, saved: Mapping[str, Any], key: str) -> None:
    """Refuse an option of a group within a section, such as model/process=edm, that differs."""
    group = key.partition("@")[0]
    path = group.replace("/", ".")
    if "/" not in group or path.partition(".")[0] not in FROM_CHECKPOINT:
        return
    if OmegaConf.select(cfg, path) != OmegaConf.select(wrapped(saved), path):
        raise UsageError(
            f"the checkpoint's {path} is not what {group}= asks for",
            "leave it away, or train another model",
        )
