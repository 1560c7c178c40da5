import pytest
from report_params import ODD_SOURCES, SMALL, odd_params
from synthetic_study import study

from more_repro.params import load_params
from more_repro.report.run_tables import Study


@pytest.fixture(scope="session")
def full_study() -> Study:
    return Study(load_params(SMALL), study())


@pytest.fixture(scope="session")
def odd_study() -> Study:
    tables = study(ODD_SOURCES, ("only",), ("mine",), (0,), align=ODD_SOURCES[:1])
    for name in (
        "metrics",
        "seed_summary",
        "margin_boxes",
        "margin_histogram",
        "reliability",
        "win_rates",
        "perplexity",
    ):
        kept = ("single", "multitask", "untuned", "sft")
        tables[name] = tables[name][tables[name]["scheme"].isin(kept)].reset_index(drop=True)
    return Study(odd_params(), tables)
