"""What a kernel process runs: an IPython kernel in the project's folder that ends with whoever started it."""

import os
import sys
import warnings

from more_repro.workers import die_with_parent


def main() -> None:
    """Start the kernel. A runner that is killed takes the kernel, and the kernel its workers, with it."""
    die_with_parent()
    # `python -m` puts the project's folder on the path; its folders (data, own) must not pass for packages.
    if sys.path[0] in ("", os.getcwd()):
        del sys.path[0]
    os.chdir(sys.argv[1])  # JupyterLab starts a kernel where its notebook lies
    # tqdm misses the widgets, which a page could not show anyway.
    warnings.filterwarnings("ignore", message="IProgress not found")
    from ipykernel.kernelapp import IPKernelApp

    settings = ["--log-level=ERROR", "--HistoryManager.enabled=False", "--InteractiveShellApp.ignore_cwd=True"]
    IPKernelApp.launch_instance(argv=[*sys.argv[2:], *settings])


if __name__ == "__main__":
    main()
