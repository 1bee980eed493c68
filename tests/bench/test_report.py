"""What the benchmark says of what it measured."""

from bench.contest import Figures, Operation, play_round
from bench.contestants import APP, DJANGO
from bench.load import Sample
from bench.report import _side_by_side


def an_operation(aim: float) -> Operation:
    async def fast(_seconds: float) -> Figures:
        return Figures(rps=300, p50=50, p99=90, cpu=3)

    async def slow(_seconds: float) -> Figures:
        return Figures(rps=100, p50=150, p99=200, cpu=12)

    return Operation("List", "SQLite", {APP: fast, DJANGO: slow}, {DJANGO: aim})


async def test_a_ratio_is_formed_in_each_round_and_its_median_is_held_against_the_aim() -> None:
    met, missed = an_operation(aim=2.5), an_operation(aim=3.5)
    for number in range(3):
        await play_round([met, missed], number, seconds=0)
    met.rounds[0][APP] = missed.rounds[0][APP] = Figures(rps=900)

    page = _side_by_side([met, missed])

    assert met.ratios(DJANGO) == [9, 3, 3]
    assert "| **3.00** (3.00 to 9.00) | 4.00 (3.00, 12.00 ms) | ≥ 2.5 | yes |" in page
    assert "| **3.00** (3.00 to 9.00) | 4.00 (3.00, 12.00 ms) | ≥ 3.5 | **no** |" in page


def test_figures_come_from_all_that_was_answered_after_the_warm_up() -> None:
    sample = Sample(seconds=2, answers=5, latencies=[0.004, 0.001, 0.002, 0.003])

    assert Figures.of(sample, cpu_seconds=0.01) == Figures(rps=2, p50=3, p99=4, cpu=2)
