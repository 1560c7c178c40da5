"""Every table of the study, by name, in the order of the pipeline."""

from more_repro.tables.alignment import ALIGNMENT
from more_repro.tables.calibration import CALIBRATION
from more_repro.tables.column import Kind, Table
from more_repro.tables.comparisons import COMPARISONS
from more_repro.tables.diversity import DIVERSITY
from more_repro.tables.ingest import INGEST
from more_repro.tables.judging import JUDGING
from more_repro.tables.paper import PAPER
from more_repro.tables.regression import REGRESSION
from more_repro.tables.training import TRAINING

TABLES: dict[str, Table] = {
    **INGEST, **DIVERSITY, **TRAINING, **CALIBRATION, **COMPARISONS, **ALIGNMENT, **JUDGING, **REGRESSION, **PAPER,
}  # fmt: skip

SCHEMAS: dict[str, dict[str, Kind]] = {
    name: {column: each.kind for column, each in table.columns.items()} for name, table in TABLES.items()
}
