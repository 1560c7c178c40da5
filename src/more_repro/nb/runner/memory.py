"""The most memory a stage had at one time, its workers included."""

import os
import shutil
import subprocess
import threading
from types import TracebackType

import psutil

MIB = 1024 * 1024


class PeakMemory:
    """Looks at the children of this process every `every_s` seconds, in a thread of its own.

    peak_rss_mib: most resident memory of all children together; pages that workers share count once for each.
    peak_gpu_mib: most memory in use on all visible GPUs above what was in use at the start; None without a GPU.
    Short peaks between two looks are missed, which for minutes of training is a small error.
    """

    def __init__(self, every_s: float = 0.25) -> None:
        self.peak_rss_mib = 0.0
        self.peak_gpu_mib: float | None = None
        self._every_s = every_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._query = shutil.which("nvidia-smi")

    def __enter__(self) -> "PeakMemory":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join(timeout=5)

    def _watch(self) -> None:
        before = self._gpu()
        looks = 0
        while not self._stop.wait(self._every_s):
            self.peak_rss_mib = max(self.peak_rss_mib, _children_rss() / MIB)
            looks += 1
            # A look at the GPUs starts a process: sixteen times as rare.
            if before is not None and looks % 16 == 1:
                now = self._gpu()
                if now is not None:
                    self.peak_gpu_mib = max(self.peak_gpu_mib or 0.0, now - before)

    def _gpu(self) -> float | None:
        if self._query is None:
            return None
        command = [self._query, "--query-gpu=memory.used", "--format=csv,noheader,nounits"]
        try:
            text = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout
            return float(sum(float(line) for line in text.split()))
        except (OSError, subprocess.SubprocessError, ValueError):
            return None


def _children_rss() -> int:
    total = 0
    for process in psutil.Process(os.getpid()).children(recursive=True):
        try:
            total += process.memory_info().rss
        except psutil.Error:
            continue  # it ended meanwhile
    return total
