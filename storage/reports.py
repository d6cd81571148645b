"""An epoch's score, stored in the transaction that tests and renews the lease.

On PostgreSQL that is one statement and one round trip; the general form has four, which a remote worker
would pay with every epoch.
"""

from sqlalchemy import Engine, case, text, update

from storage.clock import now
from storage.tables import holds_lease, insert_or_ignore, intermediates, leases

ONE_STATEMENT = text("""
    WITH held AS (
        UPDATE search_leases
        SET renewed_at = EXTRACT(EPOCH FROM clock_timestamp()), horizon = :horizon,
            epochs = greatest(epochs, :epoch), deaths = CASE WHEN epochs < :epoch THEN 0 ELSE deaths END
        WHERE trial_id = :trial_id AND owner = :owner AND attempt = :attempt AND finished_at IS NULL
            AND EXISTS (
                SELECT 1 FROM search_studies JOIN study_system_attributes USING (study_id)
                WHERE study_id = search_leases.study_id AND key = 'search:token'
                    AND value_json = '"' || token || '"'
            )
            AND EXISTS (SELECT 1 FROM trials WHERE trials.trial_id = :trial_id)
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
    """Stores the score; False, and nothing is stored, where `owner` does not hold the lease.

    Args:
        engine: of `single_statements`.
    """
    if engine.dialect.name == "postgresql":
        lease = {"trial_id": trial_id, "owner": owner, "attempt": attempt}
        result = {"epoch": epoch, "horizon": horizon, "score": score}
        with engine.connect() as connection:
            rows = connection.scalar(ONE_STATEMENT, {**lease, **result})
        return bool(rows == 1)
    new = leases.c.epochs < epoch
    renewed = (
        update(leases)
        .where(holds_lease(trial_id, owner, attempt))
        .values(
            renewed_at=now(),
            horizon=horizon,
            epochs=case((new, epoch), else_=leases.c.epochs),
            deaths=case((new, 0), else_=leases.c.deaths),
        )
    )
    with engine.begin() as connection:
        if connection.execute(renewed).rowcount != 1:
            return False
        connection.execute(
            insert_or_ignore(connection, intermediates).values(
                trial_id=trial_id, step=epoch, intermediate_value=score, intermediate_value_type="FINITE"
            )
        )
    return True
