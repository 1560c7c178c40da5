"""The kernel's surroundings: a kernelspec for this interpreter, folders of the project's own, a fixed environment.

A user's `python3` kernelspec, IPython start-up files and matplotlibrc would otherwise change, or break, a run.
"""

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from more_repro.params import Params
from more_repro.store.atomic import write_text

KERNEL_NAME = "python3"
HOME = Path(".scratch") / ".jupyter"


def prepare(root: Path) -> dict[str, str]:
    """Write the project's kernelspec and empty settings; returns the environment variables that point to them."""
    home = (root / HOME).resolve()
    spec = {
        "argv": [
            *(sys.executable, "-m", "more_repro.nb.runner.kernel_main", str(root.resolve())),
            *("-f", "{connection_file}"),
        ],
        "display_name": "Python 3",
        "language": "python",
    }
    for folder in ("config", "runtime", "ipython"):
        (home / folder).mkdir(parents=True, exist_ok=True)
    # Stages of a pool write the same files at the same time.
    write_text(home / "kernels" / KERNEL_NAME / "kernel.json", json.dumps(spec, indent=1))
    write_text(home / "matplotlibrc", "")
    return {
        "JUPYTER_PATH": str(home),
        "JUPYTER_DATA_DIR": str(home),
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
        "JUPYTER_NO_CONFIG": "1",
        "IPYTHONDIR": str(home / "ipython"),
        "MATPLOTLIBRC": str(home / "matplotlibrc"),
    }


def environment(params: Params) -> dict[str, str]:
    """Variables of every stage: offline unless the params name a hub, no telemetry, one hash seed, fixed backends.

    The number of threads is left to the machine: workers set one thread each, and a kernel alone may use all cores.
    """
    locations = [base.model for base in params.bases.values() if not base.is_folder]
    locations += [source.location for source in params.sources.values()]
    locations += [params.align.instructions.location] if params.align.instructions is not None else []
    fixed = {
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "DO_NOT_TRACK": "1",
        "DVC_NO_ANALYTICS": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "PYTHONHASHSEED": "0",
        "PYTHONUNBUFFERED": "1",
        "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
    }
    return fixed if any(locations) else fixed | {"HF_HUB_OFFLINE": "1"}


def apply(variables: Mapping[str, str]) -> None:
    """Set variables of this process, from which the kernel and its workers inherit them."""
    os.environ.update(variables)
