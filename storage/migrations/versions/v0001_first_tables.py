"""The tables as they were before they had versions.

Databases from then have all of them, or at least `search_studies`, since later ones were added as new
versions needed them. So this creates what is missing; on an empty database that is everything.
"""

from typing import Any

from alembic import op
from sqlalchemy import Column, Float, ForeignKey, Index, Integer, MetaData, String, Table, Text
from sqlalchemy import UniqueConstraint as Unique

revision = "0001"
down_revision = None


def upgrade() -> None:
    schema = MetaData()
    for name, *columns in TABLES:
        Table(name, schema, *columns)
    schema.create_all(op.get_bind())


def integer(name: str, *arguments: Any, **options: Any) -> Column[int]:
    return Column(name, Integer, *arguments, **{"nullable": False, **options})


def key(name: str, *arguments: Any, type_: Any = Integer) -> Column[Any]:
    return Column(name, type_, *arguments, primary_key=True, autoincrement=False)


def real(name: str, nullable: bool = False) -> Column[float]:
    return Column(name, Float(53), nullable=nullable)


def words(name: str, type_: Any = Text, **options: Any) -> Column[str]:
    return Column(name, type_, **{"nullable": False, **options})


def study() -> ForeignKey:
    return ForeignKey("search_studies.study_id")


TABLES: list[tuple[Any, ...]] = [
    (
        "search_studies",
        key("study_id"),
        words("document"),
        words("fingerprint"),
        words("profile", String(64), nullable=True),
        integer("trials"),
        words("stop", String(16), nullable=True),
        real("beat_at"),
        real("resumed_at"),
    ),
    (
        "search_leases",
        key("trial_id"),
        integer("study_id", study()),
        integer("slot"),
        words("owner", String(32), nullable=True),
        integer("attempt"),
        integer("deaths"),
        integer("epochs"),
        integer("horizon", nullable=True),
        real("renewed_at"),
        real("started_at"),
        real("finished_at", nullable=True),
        Unique("study_id", "slot"),
        Index("ix_search_leases_open", "study_id", "finished_at"),
    ),
    (
        "search_workers",
        key("worker_id", type_=String(32)),
        integer("study_id", study(), index=True),
        words("host", String(255)),
        words("machine", String(255)),
        integer("pid"),
        words("started", String(64)),
        words("device", String(64)),
        words("state", String(16)),
        integer("number", nullable=True),
        integer("epoch", nullable=True),
        integer("epochs", nullable=True),
        *(real(name, nullable=True) for name in ("score", "best", "lr", "images_per_second")),
        real("seen_at"),
        real("left_at", nullable=True),
    ),
    (
        "search_devices",
        key("worker_id", ForeignKey("search_workers.worker_id"), type_=String(32)),
        words("device", String(255), index=True),
    ),
    (
        "search_imports",
        key("study_id", study()),
        key("name", type_=String(255)),
        words("source"),
        words("metric"),
        real("value", nullable=True),
        real("best_score"),
        integer("best_epoch", nullable=True),
        integer("epochs", nullable=True),
        words("document"),
        real("imported_at"),
    ),
    (
        "search_points",
        key("study_id", study()),
        key("point", type_=String(64)),
        key("repeat"),
        integer("trial_id"),
    ),
    (
        "search_takeovers",
        key("trial_id"),
        key("attempt"),
        integer("study_id", study(), index=True),
        real("left_at"),
        real("taken_at"),
    ),
    (
        "search_test_reads",
        key("study_id", study()),
        key("number"),
        words("split", String(64), index=True),
        words("host", String(255)),
        real("begun_at"),
        real("ended_at", nullable=True),
        words("document"),
        words("results", nullable=True),
    ),
]
