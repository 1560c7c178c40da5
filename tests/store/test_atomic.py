"""Files are written whole or not at all, whoever else writes them and however a writer ends."""

import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from more_repro.store.atomic import part_of, replacing, write_bytes, write_text


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_written_with_the_folders_that_it_needs(tmp_path: Path) -> None:
    write_text(tmp_path / "a" / "b.txt", "ü\n")
    assert (tmp_path / "a" / "b.txt").read_bytes() == "ü\n".encode()
    write_bytes(str(tmp_path / "a" / "b.txt"), b"\xff")
    assert (tmp_path / "a" / "b.txt").read_bytes() == b"\xff"
    assert names(tmp_path / "a") == ["b.txt"]


@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt])
def test_a_failure_inside_leaves_the_old_file_and_nothing_else(failure: type[BaseException], tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_text(path, "old")

    def fail() -> None:
        with replacing(path) as part:
            part.write_text("half of the ne")
            assert path.read_text() == "old"
            raise failure

    with pytest.raises(failure):
        fail()
    assert path.read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


def test_text_that_is_no_unicode_leaves_the_old_file(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", "old")
    with pytest.raises(UnicodeEncodeError):
        write_text(tmp_path / "a.txt", "\ud800")
    assert (tmp_path / "a.txt").read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


def test_a_writer_that_is_killed_leaves_the_old_file(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", "old")
    code = (
        "import os, signal, sys\n"
        "from more_repro.store.atomic import replacing\n"
        "with replacing(sys.argv[1]) as part:\n"
        "    part.write_text('half')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "a.txt")], check=False)
    assert done.returncode == -signal.SIGKILL
    assert (tmp_path / "a.txt").read_text() == "old"
    (left,) = [name for name in names(tmp_path) if name != "a.txt"]
    assert left.startswith(".a.txt.")
    assert left.endswith(".part"), "hidden, and taken for no result"


def test_two_writers_do_not_meet_and_the_last_one_to_end_wins(tmp_path: Path) -> None:
    path, begun, ended = tmp_path / "a.txt", threading.Event(), threading.Event()

    def slow() -> None:
        with replacing(path) as part:
            part.write_text("slow, half")
            begun.set()
            assert ended.wait(10)
            part.write_text("slow, whole")

    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(slow)
        assert begun.wait(10)
        write_text(path, "quick")
        assert path.read_text() == "quick"
        ended.set()
        done.result()
    assert path.read_text() == "slow, whole"
    assert names(tmp_path) == ["a.txt"]


def test_many_writers_leave_one_whole_file(tmp_path: Path) -> None:
    texts = [str(number) * 20_000 for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda text: write_text(tmp_path / "a.txt", text), texts))
    assert (tmp_path / "a.txt").read_text() in texts
    assert names(tmp_path) == ["a.txt"]


def test_a_temporary_name_is_of_one_process_and_thread(tmp_path: Path) -> None:
    part = part_of(tmp_path / "a.txt")
    assert part == part_of(tmp_path / "a.txt")
    assert part.parent == tmp_path
    assert part.name == f".a.txt.{os.getpid()}.{threading.get_ident()}.part"
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(part_of, tmp_path / "a.txt").result() != part
