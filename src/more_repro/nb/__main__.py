"""The commands: those of the pipeline, and lab, use, doctor, lock for people. Each imports what it needs."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from more_repro.nb.project.terminal import tell, warn

USAGE_ERROR = 2


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(prog="python -m more_repro.nb", description="Run the project's notebooks.")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    run = commands.add_parser("run", help="execute a notebook as a stage")
    run.add_argument("notebook", type=Path)
    run.add_argument("--stage", required=True, help="name of the stage; @ becomes - in file names")
    run.add_argument("-p", dest="parameters", action="append", default=[], metavar="NAME=VALUE")
    run.add_argument("--lock-wait", type=float, default=30.0, metavar="S", help="seconds to wait for the same stage")
    run.add_argument("--no-facts", action="store_true", help="write no run JSON (for a stage that reads all of them)")
    digest = commands.add_parser("digest", help="write the digest of each notebook's code")
    digest.add_argument("notebooks", type=Path, nargs="+")
    digest.add_argument("--out-dir", type=Path, required=True)
    commands.add_parser("prune", help="delete outputs of bases and schemes that the params no longer ask for")
    commands.add_parser(
        "inputs", help="write what each stage reads of the params, the digests of local files, the judge"
    )
    publish = commands.add_parser("publish", help="write the reading copy of the report to report.folder")
    publish.add_argument("--site", type=Path, metavar="FOLDER", help="the whole report, into this folder")
    commands.add_parser("lab", help="open the notebooks in JupyterLab")
    use = commands.add_parser("use", help="make a preset the active params.yaml")
    use.add_argument("profile")
    use.add_argument("--force", action="store_true", help="drop edits of params.yaml (params.yaml.bak keeps them)")
    doctor = commands.add_parser("doctor", help="look at the machine and the environment")
    doctor.add_argument("--locked", action="store_true", help="only whether the environment equals the lock")
    commands.add_parser("lock", help="write requirements.lock from this environment")
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status: 0, 1 (something is wrong with what was looked at or run), 2 (wrong call or params)."""
    from more_repro.nb.project.checkout import check_checkout
    from more_repro.nb.project.errors import expected_errors

    chosen = parser().parse_args(arguments)
    try:
        if chosen.command in _PIPELINE:
            check_checkout()
        return _COMMANDS[chosen.command](chosen)
    except expected_errors() as error:
        warn(f"error: {error}")
        return USAGE_ERROR
    except KeyboardInterrupt:
        warn("interrupted")
        return 130


def _run(chosen: argparse.Namespace) -> int:
    from more_repro.nb.runner.run import run_stage

    return run_stage(
        chosen.notebook,
        chosen.stage,
        chosen.parameters,
        facts=not chosen.no_facts,
        lock_wait_s=chosen.lock_wait,
    )


def _digest(chosen: argparse.Namespace) -> int:
    from more_repro.nb.pipeline.notebook_source import write_digests

    write_digests(chosen.notebooks, chosen.out_dir)
    return 0


def _prune(chosen: argparse.Namespace) -> int:
    from more_repro.nb.pipeline.prune import prune
    from more_repro.params import load_params
    from more_repro.paths import Paths

    params = load_params()
    for path in prune(params, Paths(params.profile)):
        warn(f"deleted {path}: not in params.yaml (DVC's cache keeps it)")
    return 0


def _inputs(chosen: argparse.Namespace) -> int:
    from more_repro.nb.pipeline.inputs import write_inputs, write_judge
    from more_repro.nb.pipeline.settings import write_settings
    from more_repro.params import load_params
    from more_repro.paths import Paths

    params = load_params()
    for write in (write_settings, write_inputs, write_judge):
        write(params, Paths(params.profile))
    return 0


def _publish(chosen: argparse.Namespace) -> int:
    from more_repro.params import load_params
    from more_repro.paths import Paths
    from more_repro.report.page.publish import publish_reading_copy, publish_site

    params = load_params()
    if chosen.site is None:
        publish_reading_copy(params, Paths(params.profile))
    else:
        publish_site(params, Paths(params.profile), chosen.site)
        tell(f"read: {chosen.site / 'index.html'}")
    return 0


def _lab(chosen: argparse.Namespace) -> int:
    from more_repro.nb.runner.kernel import prepare

    paths = [prepare(Path.cwd())["JUPYTER_PATH"], *filter(None, [os.environ.get("JUPYTER_PATH")])]
    command = [sys.executable, "-m", "jupyterlab", "--LabApp.default_url=/lab/tree/notebooks"]
    os.execve(sys.executable, command, os.environ | {"JUPYTER_PATH": os.pathsep.join(paths)})  # noqa: S606


def _use(chosen: argparse.Namespace) -> int:
    from more_repro.nb.project.use import use_preset

    return use_preset(chosen.profile, force=chosen.force)


def _doctor(chosen: argparse.Namespace) -> int:
    from more_repro.nb.project.doctor import examine, is_locked

    return int(not is_locked()) if chosen.locked else examine()


def _lock(chosen: argparse.Namespace) -> int:
    from more_repro.nb.project.requirements import write_lock

    return write_lock(Path("requirements.lock"))


_PIPELINE = ("run", "digest", "prune", "inputs", "publish")
_COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "run": _run,
    "digest": _digest,
    "prune": _prune,
    "inputs": _inputs,
    "publish": _publish,
    "lab": _lab,
    "use": _use,
    "doctor": _doctor,
    "lock": _lock,
}

if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    sys.exit(status) if status != 130 else os._exit(status)
