"""Errors of Hydra and OmegaConf about a mistyped command, in one line with a remedy."""

from __future__ import annotations

import re
import sys

from genzoo.config.composition import search_path
from genzoo.config.keys import closest
from genzoo.config.merge import FROM_CHECKPOINT
from genzoo.config.paths import config_dir, groups
from genzoo.core.errors import UsageError


def usage_error(error: Exception) -> UsageError | None:
    """An error of Hydra or OmegaConf about the command line, in one line with a remedy."""
    text = re.sub(rf"\+\+(?=({'|'.join(FROM_CHECKPOINT)})\.)", "", str(error))  # see `cli.literal`
    if match := re.search(r"Ambiguous value for argument '([^']*)'", text):
        return UsageError(
            f"{match.group(1)} has a comma", "use -m for a sweep, or brackets for a list: [1,2]"
        )
    if "Only one of --run, --multirun, --cfg" in text:
        return UsageError(
            "--cfg and --info show one job, and a sweep (-m) has several",
            "leave -m away and choose one value for each key",
        )
    if match := re.search(r"Could not find '([\w/]+)/([^'/]*)'", text):
        group, option = match.groups()
        options = groups().get(group, [])
        guess = closest(option, options)
        hint = f"did you mean {group}={guess}? " if guess else ""
        return UsageError(
            f"there is no {group}={option}", f"{hint}there are: {', '.join(options)}"
        )
    if match := re.search(r"Could not override '([^']+)'", text):
        return _unknown_key(match.group(1))
    if match := re.search(r"An item is already at '([^']+)'", text):
        return UsageError(f"there is a key {match.group(1)} already", "leave the + away")
    if match := re.search(r"'([^']+)' does not exist", text):
        return UsageError(f"there is no key {match.group(1)}, to take away", "leave it away")
    if match := re.search(r"Multiple values for (\S+)\.", text):
        return UsageError(f"{match.group(1)}= has a value already", "leave the + away")
    if match := re.search(r"Error merging override (.*)", text):
        return UsageError(
            f"{match.group(1)} is not accepted by Hydra there",
            "see its keys with: python -m genzoo --cfg hydra",
        )
    if match := re.search(r"Missing mandatory value: (\S+)", text):
        return UsageError(f"{match.group(1)} is missing", f"give it: {match.group(1)}=...")
    if isinstance(error, RuntimeError) and "home directory" in text:
        return UsageError(
            "a path begins with ~, and there is no such home folder",
            "write the whole path, or ./~ for a file that is called so",
        )
    name = type(error).__name__
    if name in ("OverrideParseException", "ConfigCompositionException"):
        first = next((line.strip() for line in text.splitlines() if line.strip()), name)
        return UsageError(
            first,
            "write key=value; text with spaces or commas needs quotes: 'key=\"a, b\"'",
        )
    if isinstance(error, OSError) and error.filename:
        return UsageError(
            f"cannot use {error.filename}: {error.strerror}",
            "choose another place with output=... or hydra.run.dir=..., or free this one",
        )
    if name in (
        "ValidationError",
        "InterpolationKeyError",
        "ConfigAttributeError",
        "ConfigKeyError",
    ):
        return UsageError(text.splitlines()[0], "see all keys with: python -m genzoo --cfg job")
    return None


def _unknown_key(key: str) -> UsageError:
    from hydra import compose, initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra
    from omegaconf import OmegaConf

    from genzoo.config.keys import closest_key, keys

    found = groups()
    if key in found:
        return UsageError(
            f"{key}= does not belong to the other choices",
            f"choose the {key.split('/')[0]}= it is for",
        )
    GlobalHydra.instance().clear()
    section = key.rpartition(".")[0]
    searched = [section.partition(".")[0]] if section.partition(".")[0] in found else []
    of: dict[str, list[str]] = {}
    with initialize_config_dir(str(config_dir()), version_base="1.3"):

        def known(*choices: str) -> list[str]:
            composed = compose("config", [*choices, *search_path()])
            tree = OmegaConf.to_container(composed, resolve=False)
            return list(keys(tree))  # type: ignore[arg-type]

        for choice in [f"{g}={o}" for g in searched or ("task", "model") for o in found[g]]:
            for one in known(choice):
                of.setdefault(one, []).append(choice)
        typed = [a for a in sys.argv[1:] if re.fullmatch(r"(task|model|data|sampler)=\w+", a)]
        own = known(*typed)
    if key in of:
        there = [k.rpartition(".")[2] for k in own if k.rpartition(".")[0] == section and section]
        there = [word for word in there if word not in ("_target_", "name")]
        return UsageError(
            f"{key} is a key of {', '.join(of[key])}, and not of the choices here",
            f"choose one of these, or write one of {section}.*: {', '.join(there)}"
            if there
            else "choose one of these",
        )
    guess = closest_key(key, own) or closest_key(key, sorted(of))
    hint = f"did you mean {guess}? " if guess else ""
    return UsageError(f"there is no key {key}", f"{hint}see all with: python -m genzoo --cfg job")
