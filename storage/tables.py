"""The tables: nine of our own, and the columns of Optuna's that we read or write with plain SQL.

Optuna's tables (schema version 12, library 5.x) are created by Optuna and stay readable by every tool
that speaks Optuna. They are described here once more because claiming, reporting and ending a trial must
each be ONE transaction together with our lease, and because reading 500 trials through Optuna's ORM
costs seconds where plain rows cost milliseconds. `tests/integration/storage/test_leases.py` compares this
description with Optuna's own.

All times in our tables are seconds since 1970 by the DATABASE's clock (`now`).
"""

from typing import Any

from sqlalchemy import (
    Column,
    Connection,
    DateTime,
    Enum,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    and_,
    exists,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.expression import ColumnElement

# -- ours ----------------------------------------------------------------------------------------

ours = MetaData()

studies = Table(
    "search_studies",
    ours,
    Column("study_id", Integer, primary_key=True, autoincrement=False),  # Optuna's study id
    Column("document", Text, nullable=False),  # the resolved space.yaml as JSON
    Column("fingerprint", Text, nullable=False),  # parts by name, as JSON
    Column("profile", String(64)),
    Column("trials", Integer, nullable=False),  # the budget
    Column("stop", String(16)),  # drain | now | bugs, once somebody asked
    Column("token", String(32), nullable=False),  # also an attribute of Optuna's study, see `is_tied`
    # Any worker's last sign of life, and when signs came back after nobody could give one.
    Column("beat_at", Float(53), nullable=False),
    Column("resumed_at", Float(53), nullable=False),
)

leases = Table(
    "search_leases",
    ours,
    Column("trial_id", Integer, primary_key=True, autoincrement=False),  # Optuna's trial id
    Column("study_id", Integer, ForeignKey("search_studies.study_id"), nullable=False),
    Column("slot", Integer, nullable=False),  # 0, 1, ..: position in the budget
    Column("owner", String(32)),  # worker id; NULL: given back, free to take
    Column("attempt", Integer, nullable=False),  # 1 for the first owner; owner + attempt fence
    Column("deaths", Integer, nullable=False),  # owners lost in a row without a new epoch
    Column("epochs", Integer, nullable=False),  # last epoch reported
    Column("horizon", Integer),  # epochs this trial runs if nothing ends it before
    Column("renewed_at", Float(53), nullable=False),
    Column("started_at", Float(53), nullable=False),
    Column("finished_at", Float(53)),  # NULL while the trial runs
    UniqueConstraint("study_id", "slot"),
    Index("ix_search_leases_open", "study_id", "finished_at"),
)

workers = Table(
    "search_workers",
    ours,
    Column("worker_id", String(32), primary_key=True),
    Column("study_id", Integer, ForeignKey("search_studies.study_id"), nullable=False, index=True),
    Column("host", String(255), nullable=False),
    Column("machine", String(255), nullable=False),  # where a pid means something, see leases.py
    Column("pid", Integer, nullable=False),
    Column("started", String(64), nullable=False),  # the process' start, so that a reused pid differs
    Column("device", String(64), nullable=False),
    Column("state", String(16), nullable=False),
    Column("number", Integer),
    Column("epoch", Integer),
    Column("epochs", Integer),
    Column("score", Float(53)),
    Column("best", Float(53)),
    Column("lr", Float(53)),
    Column("images_per_second", Float(53)),
    Column("seen_at", Float(53), nullable=False),
    Column("left_at", Float(53)),
)

devices = Table(
    "search_devices",
    ours,
    Column("worker_id", String(32), ForeignKey("search_workers.worker_id"), primary_key=True),
    Column("device", String(255), nullable=False, index=True),  # the UUID that its driver gives it
    Column("share", Integer),  # how many may have it with this worker; NULL: of a version that did not say
)

imports = Table(
    "search_imports",
    ours,
    Column(
        "study_id", Integer, ForeignKey("search_studies.study_id"), primary_key=True, autoincrement=False
    ),
    Column("name", String(255), primary_key=True),
    Column("source", Text, nullable=False),  # the folder or file it was read from
    Column("metric", Text, nullable=False),
    Column("value", Float(53)),  # like a trial's; NULL without a curve
    Column("best_score", Float(53), nullable=False),
    Column("best_epoch", Integer),
    Column("epochs", Integer),
    Column("document", Text, nullable=False),  # settings and curve as JSON
    Column("imported_at", Float(53), nullable=False),
)

points = Table(
    "search_points",
    ours,
    Column("study_id", Integer, ForeignKey("search_studies.study_id"), primary_key=True),
    Column("point", String(64), primary_key=True),  # a config's name: equal for equal configs
    Column("repeat", Integer, primary_key=True),  # 0, or how often it was drawn before
    Column("trial_id", Integer, nullable=False),
)

constraints = Table(
    "search_constraints",
    ours,
    Column("study_id", Integer, ForeignKey("search_studies.study_id"), primary_key=True),
    Column("point", String(64), primary_key=True),  # as in search_points
    Column("params", Text, nullable=False),  # without the constants, as JSON
    Column("violations", Text, nullable=False),  # by constraint, as JSON; above 0 is infeasible
)

takeovers = Table(
    "search_takeovers",
    ours,
    Column("trial_id", Integer, primary_key=True, autoincrement=False),
    Column("attempt", Integer, primary_key=True, autoincrement=False),  # that began with it
    Column("study_id", Integer, ForeignKey("search_studies.study_id"), nullable=False, index=True),
    Column("left_at", Float(53), nullable=False),  # last sign of life of the owner before
    Column("taken_at", Float(53), nullable=False),
)

test_reads = Table(
    "search_test_reads",
    ours,
    Column("study_id", Integer, ForeignKey("search_studies.study_id"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),  # 1, 2, ..: the count
    Column("split", String(64), nullable=False, index=True),  # a hash: equal for equal images and labels
    Column("host", String(255), nullable=False),
    Column("begun_at", Float(53), nullable=False),
    Column("ended_at", Float(53)),  # NULL: under way, or whoever read it was killed
    Column("document", Text, nullable=False),  # what was to be read, by which weights, as JSON
    Column("results", Text),  # what they scored, as JSON; stored before anybody sees it
)

# -- Optuna's ------------------------------------------------------------------------------------

optuna_tables = MetaData()


def _optunas(name: str, primary_key: str, /, **columns: Any) -> Table:
    """The columns of one of Optuna's tables that we use, by name and type."""
    others = (Column(column, type_) for column, type_ in columns.items())
    return Table(name, optuna_tables, Column(primary_key, Integer, primary_key=True), *others)


NAME = String(512)
REAL = Float(53)

optuna_studies = _optunas("studies", "study_id", study_name=NAME)

directions = _optunas(
    "study_directions",
    "study_direction_id",
    study_id=Integer,
    objective=Integer,
    direction=Enum("NOT_SET", "MINIMIZE", "MAXIMIZE", name="studydirection"),
)

trials = _optunas(
    "trials",
    "trial_id",
    number=Integer,
    study_id=Integer,
    state=Enum("RUNNING", "COMPLETE", "PRUNED", "FAIL", "WAITING", name="trialstate"),
    datetime_start=DateTime,  # naive UTC, as Optuna stores it
    datetime_complete=DateTime,
)

values = _optunas(
    "trial_values",
    "trial_value_id",
    trial_id=Integer,
    objective=Integer,
    value=REAL,
    value_type=Enum("FINITE", "INF_POS", "INF_NEG", name="trialvaluetype"),
)

intermediates = _optunas(
    "trial_intermediate_values",
    "trial_intermediate_value_id",
    trial_id=Integer,
    step=Integer,
    intermediate_value=REAL,
    intermediate_value_type=Enum("FINITE", "INF_POS", "INF_NEG", "NAN", name="trialintermediatevaluetype"),
)

trials_with_values = trials.join(leases, leases.c.trial_id == trials.c.trial_id).outerjoin(
    values, (values.c.trial_id == trials.c.trial_id) & (values.c.objective == 0)
)
"""Our trials with their leases, and with their value where they have one."""

params = _optunas(
    "trial_params", "param_id", trial_id=Integer, param_name=NAME, param_value=REAL, distribution_json=Text
)

user_attributes = _optunas(
    "trial_user_attributes", "trial_user_attribute_id", trial_id=Integer, key=NAME, value_json=Text
)

trial_system_attributes = _optunas(
    "trial_system_attributes", "trial_system_attribute_id", trial_id=Integer, key=NAME, value_json=Text
)

heartbeats = _optunas("trial_heartbeats", "trial_heartbeat_id", trial_id=Integer)

study_user_attributes = _optunas(
    "study_user_attributes", "study_user_attribute_id", study_id=Integer, key=NAME, value_json=Text
)

study_system_attributes = _optunas(
    "study_system_attributes", "study_system_attribute_id", study_id=Integer, key=NAME, value_json=Text
)


TOKEN = "search:token"
"""Key of a study's token among its attributes."""


def is_tied() -> ColumnElement[bool]:
    """Whether a row in `studies` belongs to Optuna's study with its id: both have the same token.

    Optuna's may have been deleted by its own commands, and its id used again for another study.
    """
    attribute = study_system_attributes.c
    return exists().where(
        attribute.study_id == studies.c.study_id,
        attribute.key == TOKEN,
        attribute.value_json == '"' + studies.c.token + '"',
    )


def holds_lease(trial_id: int, owner: str, attempt: int) -> ColumnElement[bool]:
    """The row in `leases` of a trial that has not ended, where `owner` holds it by this attempt.

    Not of a trial that somebody has deleted from Optuna's table.
    """
    return and_(
        leases.c.trial_id == trial_id,
        leases.c.owner == owner,
        leases.c.attempt == attempt,
        leases.c.finished_at.is_(None),
        exists().where(studies.c.study_id == leases.c.study_id, is_tied()),
        exists().where(trials.c.trial_id == trial_id),
    )


def insert_or_ignore(connection: Connection, table: Table) -> Any:
    """An INSERT that leaves an existing row as it is, so that a repeated call is harmless."""
    dialect = {"postgresql": postgresql, "sqlite": sqlite}[connection.dialect.name]
    return dialect.insert(table).on_conflict_do_nothing()
