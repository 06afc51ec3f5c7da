"""What goes with what: conditions on several keys at once, each with its remedy.

No family is named here. Networks are recognised by their keys: what has a width and heads shares
the one out to the other, wherever in a model it stands.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Conflict = tuple[str, str]  # the problem and its remedy
Tree = Mapping[str, Any]


def conflicts(cfg: Tree, *, samples: bool) -> Iterator[Conflict]:
    """All that does not go together in a resolved configuration.

    Args:
        cfg: as plain data.
        samples: whether the model generates images, which are what most metrics measure.
    """
    for key, node in _nodes(cfg["model"], "model"):
        yield from _heads(key, node)
        yield from _unet(key, node)
        yield from _padding(key, node, cfg)
        if cfg["task"]["name"] == "fit" and cfg["checkpoint"] is None:
            yield from _tokens(key, node, cfg["text"])
        if isinstance(node.get("arch"), Mapping):
            yield from _condition(key, node)
    yield from _process(cfg)
    if samples and cfg["task"]["name"] in ("fit", "evaluate"):
        yield from _metrics(cfg["metrics"])
    if cfg["guidance"].get("scale") == "tuned":
        yield from _tuning(cfg)
    if cfg["task"]["name"] == "fit":
        yield from _training(cfg)


def _nodes(node: Tree, key: str) -> Iterator[tuple[str, Tree]]:
    yield key, node
    for name, inner in node.items():
        if isinstance(inner, Mapping):
            yield from _nodes(inner, f"{key}.{name}")


def _heads(key: str, node: Tree) -> Iterator[Conflict]:
    width, heads = node.get("width"), node.get("heads")
    if width is not None and heads is not None and "multiples" not in node and width % heads:
        yield (
            f"{key}.width={width} cannot be divided into {key}.heads={heads}",
            f"write a width that {heads} divides, such as {_nearest(width, heads)}",
        )


def _unet(key: str, node: Tree) -> Iterator[Conflict]:
    if "multiples" not in node or "width" not in node:
        return
    width, multiples = node["width"], node["multiples"]
    blocks, groups, per_head = (node.get(name) for name in ("blocks", "groups", "head_channels"))
    if isinstance(blocks, list) and len(blocks) != len(multiples):
        yield (
            f"{key}.blocks has {len(blocks)} entries and {key}.multiples {len(multiples)}",
            "give one a level, or one number for all",
        )
    channels = [multiple * width for multiple in multiples]
    odd = [count for count in channels if groups and count % groups]
    if groups and odd:
        yield (
            f"{key}.width={width} gives {odd[0]} channels, which cannot be normalised in "
            f"{key}.groups={groups}",
            f"write a width that {groups} divides, such as {_nearest(width, groups)}",
        )
    levels = {level for level in range(len(channels)) if 2**level in node.get("attention", ())}
    attending = [channels[level] for level in sorted({*levels, len(channels) - 1})]
    odd = [count for count in attending if per_head and count % per_head]
    if per_head and odd:
        yield (
            f"{key}.width={width} gives {odd[0]} channels, which cannot be divided into heads "
            f"of {key}.head_channels={per_head}",
            f"write a width that {per_head} divides, such as {_nearest(width, per_head)}",
        )


def _padding(key: str, node: Tree, cfg: Tree) -> Iterator[Conflict]:
    text, guidance = node.get("text"), cfg["guidance"]
    if "drop" not in node or not isinstance(text, Mapping) or text.get("padding", True):
        return
    guided = guidance["name"] == "classifier_free" and guidance["scale"] != 1
    if guided or (cfg["task"]["name"] == "fit" and node["drop"]):
        yield (
            f"{key}.text.padding=false lets an empty caption look like the one it stands for, so "
            "that guidance has nothing to compare with",
            f"leave it away, or write {key}.drop=0 guidance=none",
        )


def _tokens(key: str, node: Tree, tokenizer: Tree) -> Iterator[Conflict]:
    """A new tokenizer is trained as the section `text` says, and networks read what it writes."""
    text = node.get("text")
    if not isinstance(text, Mapping) or "context" not in text:
        return
    context, words = text["context"], text["vocab_size"]
    if context != tokenizer["context"]:
        yield (
            f"{key}.text.context={context} is not text.context={tokenizer['context']}, which the "
            "tokenizer writes",
            f"write text.context={context}",
        )
    if words < tokenizer["vocab_size"]:
        yield (
            f"{key}.text.vocab_size={words} is below text.vocab_size={tokenizer['vocab_size']}",
            f"write text.vocab_size={words}"
            if words > 256
            else f"leave {key}.text.vocab_size away",
        )


def _condition(key: str, node: Tree) -> Iterator[Conflict]:
    features, text = node["arch"].get("features"), node.get("text")
    if isinstance(text, Mapping) and features not in (None, text["width"]):
        yield (
            f"{key}.arch.features={features} is not {key}.text.width={text['width']}, whose "
            "features these are",
            f"leave {key}.arch.features away",
        )


def _process(cfg: Tree) -> Iterator[Conflict]:
    model, sampler = cfg["model"], cfg.get("sampler") or {}
    decoder = model.get("decoder") or {}
    process = model.get("process") or decoder.get("process") or {}
    prior = model.get("prior") or {}
    wanted = [
        ("sampler.steps", sampler.get("steps"), process),
        ("model.prior.steps", prior.get("steps"), prior.get("process") or {}),
    ]
    if process.get("learned_variance") or process.get("prediction") != "x0":  # it has a bound
        wanted.append(("model.likelihood_steps", model.get("likelihood_steps"), process))
    for key, steps, of in wanted:
        whole = of.get("steps")
        if isinstance(steps, int) and isinstance(whole, int) and steps > whole:
            yield (
                f"{key}={steps} are more than the process has, which is {whole}",
                f"write {key}={whole} or fewer",
            )


def _metrics(metrics: Tree) -> Iterator[Conflict]:
    if not metrics["extractors"]:
        return
    images, real = metrics["images"], metrics["real_images"]
    nearest, wide = metrics["neighbours"], metrics["density_neighbours"]
    needed = {"splits": metrics["splits"], "neighbours": nearest + 1}
    key, least = max(needed.items(), key=lambda item: item[1])
    counted = {"images": images}
    if metrics.get("during"):
        counted["during_images"] = metrics["during_images"]
    for name, count in counted.items():
        if count < least:
            yield (
                f"metrics.{name}={count} are too few for metrics.{key}={metrics[key]}",
                f"write metrics.{name}={least} or more",
            )
    key = "neighbours" if nearest > wide else "density_neighbours"
    if real is not None and real <= metrics[key]:
        yield (
            f"metrics.real_images={real} are too few for metrics.{key}={metrics[key]}",
            f"write metrics.real_images={metrics[key] + 1} or more",
        )


def _tuning(cfg: Tree) -> Iterator[Conflict]:
    task, metrics = cfg["task"]["name"], cfg["metrics"]
    if task not in ("fit", "evaluate"):
        yield (
            f"guidance.scale=tuned is found by task=evaluate, and this is task={task}",
            "give a number, such as the one that results.json of the evaluation has",
        )
    if task == "fit" and metrics["during"]:
        yield (
            "guidance.scale=tuned is found after the training, and metrics.during measures in it",
            "leave one of them away",
        )
    low, high = metrics["tuning"]["between"]
    if low == high:
        yield f"metrics.tuning.between={low},{high} is one scale", "write two: [1,8]"
    if metrics["tuning"]["images"] <= metrics["neighbours"]:
        yield (
            f"metrics.tuning.images={metrics['tuning']['images']} are too few for "
            f"metrics.neighbours={metrics['neighbours']}",
            "write more",
        )


def _training(cfg: Tree) -> Iterator[Conflict]:
    images, minutes = cfg["budget"]["images"], cfg["budget"]["minutes"]
    if images is None and minutes is None:
        yield "there is no end to the training", "give budget.images= or budget.minutes="
    batch, parts = cfg["optimizer"]["batch_size"], cfg["optimizer"]["accumulate"]
    if images is not None and images <= batch * (parts - 1):
        yield (
            f"budget.images={images} is used up before the first step, which takes "
            f"optimizer.accumulate={parts} batches of {batch}",
            f"write budget.images={batch * parts} or more, or a smaller optimizer.accumulate=",
        )


def _nearest(value: int, unit: int) -> int:
    """The multiple that is nearest, and not 0."""
    return max(1, round(value / unit)) * unit
