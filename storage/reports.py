"""An epoch's score in one statement: PostgreSQL tests the lease and stores the report in one round trip.

The general form of it, two statements in a transaction, is `storage.leases.Leases.report`; four round
trips more, which a worker at the other end of a network pays with every epoch. A statement by itself is a
transaction: both are stored, or nothing is.
"""

from sqlalchemy import Engine, text

from storage.engine import single_statements

STORE = text("""
    WITH held AS (
        UPDATE search_leases
        SET renewed_at = EXTRACT(EPOCH FROM clock_timestamp()), horizon = :horizon,
            epochs = greatest(epochs, :epoch), deaths = CASE WHEN epochs < :epoch THEN 0 ELSE deaths END
        WHERE trial_id = :trial_id AND owner = :owner AND attempt = :attempt AND finished_at IS NULL
        RETURNING trial_id
    ), stored AS (
        INSERT INTO trial_intermediate_values
            (trial_id, step, intermediate_value, intermediate_value_type)
        SELECT trial_id, :epoch, :score, CAST('FINITE' AS trialintermediatevaluetype) FROM held
        ON CONFLICT DO NOTHING
    )
    SELECT count(*) FROM held
""")


def store(
    engine: Engine, trial_id: int, owner: str, attempt: int, *, epoch: int, horizon: int, score: float
) -> bool:
    """Stores the score; False, and nothing stored, where `owner` does not hold the lease."""
    about = {"trial_id": trial_id, "owner": owner, "attempt": attempt}
    with single_statements(engine).connect() as connection:
        held = connection.scalar(STORE, {**about, "epoch": epoch, "horizon": horizon, "score": score})
    return held == 1
