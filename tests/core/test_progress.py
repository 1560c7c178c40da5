"""Progress lines: few, informative, and one at the end."""

from more_repro.progress import Progress


def test_quick_work_prints_one_last_line() -> None:
    lines: list[str] = []
    progress = Progress("train", 100, write=lines.append)
    for _ in range(100):
        progress.step(note="loss 0.5")
    assert len(lines) == 1
    assert lines[0].startswith("train 100/100 (100%)")
    assert lines[0].endswith("loss 0.5")


def test_slow_work_prints_about_twenty_lines() -> None:
    lines: list[str] = []
    progress = Progress("train", 1000, every_s=0.0, write=lines.append)
    for _ in range(1000):
        progress.step()
    assert 15 <= len(lines) <= 21
    assert "left" in lines[0]


def test_resumed_work_counts_only_its_own_rate() -> None:
    lines: list[str] = []
    progress = Progress("train", 10, write=lines.append)
    progress.resume_at(8)
    progress._started -= 2.0
    progress.step()
    progress.step()
    assert "10/10" in lines[-1]
    assert ", 1 steps/s" in lines[-1]
