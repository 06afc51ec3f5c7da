"""The command line: Hydra underneath, one clear line for everything that can go wrong.

Nothing here imports torch; the task that is run does.
"""

from __future__ import annotations

import logging
import os
import re
import sys
import time
from typing import NoReturn

from genzoo.command import job
from genzoo.command.hydra_errors import usage_error
from genzoo.config.composition import ENCODERS, SIZE
from genzoo.config.merge import FROM_CHECKPOINT
from genzoo.config.paths import config_dir, groups, use_own
from genzoo.config.typed import RULE, as_typed, is_sweep, own_folders
from genzoo.core.errors import GenzooError, UsageError, printable
from genzoo.core.files import full, is_full
from genzoo.machine import distributed, signals
from genzoo.machine.signals import Interrupted

HELP = """\
genzoo: families of image generators, trained on the same captions and compared.

  python -m genzoo                                   train {model} on {data}, then evaluate it
  python -m genzoo model=autoencoder budget.minutes=5
  python -m genzoo -m model=autoencoder,vae seed=0,1 a sweep, then a comparison
  python -m genzoo task=sample checkpoint=last prompt="a red heart" count=16
  python -m genzoo task=vary checkpoint=last image=a.png count=8
  python -m genzoo task=interpolate checkpoint=last image=a.png end=b.png
  python -m genzoo task=textdiff checkpoint=last image=a.png source="a cat" target="a dog"
  python -m genzoo task=evaluate checkpoint=outputs/...
  python -m genzoo task=export checkpoint=outputs/... file=mine.safetensors
  python -m genzoo task=compare runs=outputs/...
  python -m genzoo task=score images=samples name=other    measure images of any other program

Choose one of each (group=option):
{groups}

Often used (key=value):
  seed=0                        of training and of sampling
  budget.images= budget.minutes=    images seen or minutes of training, whichever comes first
  data.image_size=32            pixels; data.root= a folder where the data needs one
  prompt=                       a caption, or a text file of captions: prompt=captions.txt
  checkpoint=                   a file, a run folder, `last`, or zoo/<name>; task=fit continues
                                from it
  trainer.gpus=8                or auto, or 0 for the CPU; trainer.processes=2 on the CPU
  hydra.run.dir=                where this run is written. The same command again goes on with a
                                run there that has not finished; a finished one is not touched
  overwrite=true                remove what an earlier run wrote there, and begin anew
  debug=traceback               show where an error came from

{values}
Exit status: 0 all went well, 1 it failed, 2 it was typed wrongly, 130 it was interrupted.

All keys with their values: python -m genzoo --cfg job
Hydra's own switches:       python -m genzoo --hydra-help
"""


def main() -> None:
    """Run the command line and exit.

    With 0, 1 (it failed), 2 (it was typed wrongly), or after a signal 128 and its number: 130
    for Ctrl-C, 143 for SIGTERM.
    """
    try:
        use_own(own_folders(sys.argv[1:]))
        arguments = sys.argv[1:] = literal(sys.argv[1:])
    except UsageError as error:
        explain(error)
    if any(argument in ("--help", "-h") for argument in arguments):
        print(help_text())  # noqa: T201 - the one place whose output is the result
        return
    if arguments == ["--version"]:
        from genzoo import __version__

        print(__version__)  # noqa: T201
        return
    traceback = "debug=traceback" in arguments
    os.environ["HYDRA_FULL_ERROR"] = "1"  # let errors through to the lines below
    try:
        with signals.listening():
            status = _run()
    except BaseException as error:
        _failed(signals.after(error), traceback=traceback)
    sys.exit(status)


def literal(arguments: list[str]) -> list[str]:
    """The arguments as Hydra is to read them: text quoted, and a checkpoint's keys let through.

    What a value means is said in `genzoo.config.typed`.

    Hydra knows the keys of the model that is typed or the default. With a checkpoint, and in a
    sweep over models, other ones' are meant, so they are let through here and looked up when the
    checkpoint is read or the job is composed.
    """
    # A group of the configuration, typed as the key that it sets.
    arguments = [re.sub(r"^model[./]size=", f"{SIZE}=", a) for a in arguments]
    arguments = [re.sub(r"^model/encoders=", f"{ENCODERS}=", a) for a in arguments]
    typed = {key: value for key, _, value in (argument.partition("=") for argument in arguments)}
    sweep = is_sweep(arguments, experiments=config_dir() / "experiment")
    one_model = re.fullmatch(r"\w+", typed.get("model", "")) is not None
    if typed.get("checkpoint", "null") != "null" or (sweep and not one_model):
        known = {"model"} if one_model else set()  # to Hydra
        known |= typed.keys() - {"model"}
        sections = tuple(f"{name}." for name in FROM_CHECKPOINT if name not in known)
        arguments = [f"++{a}" if a.startswith(sections) else a for a in arguments]
    return arguments if sweep else [as_typed(argument) for argument in arguments]


def _run() -> int:
    import hydra

    _check_switches()

    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # it tells of fonts and folders
    job.failures.clear()
    hydra.main(version_base="1.3", config_path=str(config_dir()), config_name="config")(job.job)()
    if job.failures.error is not None:
        raise job.failures.error
    return job.failures.status


def _check_switches() -> None:
    """Refuse what Hydra's parser would answer with its usage."""
    from hydra._internal.utils import get_args_parser

    def complain(message: str) -> NoReturn:
        raise UsageError(message, "see: python -m genzoo --help, or --hydra-help")

    parser = get_args_parser()
    parser.error = complain
    parser.parse_args(sys.argv[1:])


def _failed(error: BaseException, *, traceback: bool) -> NoReturn:
    if isinstance(error, Interrupted):
        name = "" if str(error) == "SIGINT" else f" by {error}"
        fail(f"interrupted{name}", status=error.status)
    if isinstance(error, KeyboardInterrupt):
        fail("interrupted", status=130)
    if traceback or not isinstance(error, Exception):
        raise error
    explain(error)


def help_text() -> str:
    """What ``--help`` prints, with the groups as they lie in configs/."""
    found = groups()
    width = max(len(name) for name in found)
    lines = "\n".join(
        f"  {name:<{width}}  {' | '.join(options)}" for name, options in found.items() if options
    )
    defaults = (config_dir() / "config.yaml").read_text()
    chosen = {
        group: match.group(1)
        for group in ("model", "data")
        if (match := re.search(rf"^  - {group}: (\w+)", defaults, re.MULTILINE))
    }
    return HELP.format(groups=lines, values=RULE, **chosen)


def explain(error: Exception) -> NoReturn:
    """One line for an error, then exit.

    Of the processes that torchrun starts on a machine the first one says what was typed wrongly:
    all of them see it.
    """
    known: GenzooError | None
    if isinstance(error, GenzooError):
        known = error
    elif is_full(error):
        named = error.filename if isinstance(error, OSError) and error.filename else "a file"
        known = full(named)
    else:
        known = usage_error(error)
    if known is None:
        text = " ".join(str(error).split())
        fail(f"{type(error).__name__}: {text[:400]}; add debug=traceback to see where", status=1)
    if isinstance(known, UsageError) and distributed.follows_another():
        time.sleep(1)  # once one process has ended, torchrun ends those that are still to speak
        sys.exit(known.status)
    fail(str(known), status=known.status)


def fail(line: str, *, status: int) -> NoReturn:
    """Print the line to stderr and exit."""
    sys.stdout.flush()
    print(f"genzoo: {printable(line)}", file=sys.stderr)  # noqa: T201
    sys.exit(status)
