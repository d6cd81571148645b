"""The clock that leases are judged by, the database's: seconds as a number, and UTC as Optuna stores it."""

from datetime import datetime
from typing import ClassVar

from sqlalchemy import DateTime, Float
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement


class now(FunctionElement[float]):
    """Seconds since 1970 by the database's clock, at the statement, not at the transaction's start."""

    type = Float(53)
    inherit_cache = True
    by_dialect: ClassVar = {
        "postgresql": "EXTRACT(EPOCH FROM clock_timestamp())::float8",
        "sqlite": "((julianday('now') - 2440587.5) * 86400.0)",
    }


class utc(FunctionElement[datetime]):
    """Naive UTC by the database's clock, as Optuna's DateTime columns hold it."""

    type = DateTime()
    inherit_cache = True
    by_dialect: ClassVar = {
        "postgresql": "(clock_timestamp() AT TIME ZONE 'UTC')",
        # The text form that SQLAlchemy's DateTime reads back from SQLite.
        "sqlite": "strftime('%Y-%m-%d %H:%M:%f000', 'now')",
    }


@compiles(now)
@compiles(utc)
def _sql(element: now | utc, compiler: SQLCompiler, **kw: object) -> str:
    return str(element.by_dialect[compiler.dialect.name])
