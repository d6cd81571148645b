"""The tables as they were before they had versions.

A database from then has all of them, or at least `search_studies`: the others came one after the other. So
this creates what is missing, which on an empty database is everything.
"""

from alembic import op

revision = "0001"
down_revision = None

TABLES = """
CREATE TABLE IF NOT EXISTS search_studies (
    study_id INTEGER NOT NULL PRIMARY KEY, document TEXT NOT NULL, fingerprint TEXT NOT NULL,
    profile VARCHAR(64), trials INTEGER NOT NULL, stop VARCHAR(16),
    beat_at FLOAT NOT NULL, resumed_at FLOAT NOT NULL
);
CREATE TABLE IF NOT EXISTS search_leases (
    trial_id INTEGER NOT NULL PRIMARY KEY, study_id INTEGER NOT NULL REFERENCES search_studies (study_id),
    slot INTEGER NOT NULL, owner VARCHAR(32), attempt INTEGER NOT NULL, deaths INTEGER NOT NULL,
    epochs INTEGER NOT NULL, horizon INTEGER, renewed_at FLOAT NOT NULL,
    started_at FLOAT NOT NULL, finished_at FLOAT, UNIQUE (study_id, slot)
);
CREATE INDEX IF NOT EXISTS ix_search_leases_open ON search_leases (study_id, finished_at);
CREATE TABLE IF NOT EXISTS search_workers (
    worker_id VARCHAR(32) NOT NULL PRIMARY KEY,
    study_id INTEGER NOT NULL REFERENCES search_studies (study_id),
    host VARCHAR(255) NOT NULL, machine VARCHAR(255) NOT NULL, pid INTEGER NOT NULL,
    started VARCHAR(64) NOT NULL, device VARCHAR(64) NOT NULL, state VARCHAR(16) NOT NULL,
    number INTEGER, epoch INTEGER, epochs INTEGER, score FLOAT, best FLOAT, lr FLOAT,
    images_per_second FLOAT, seen_at FLOAT NOT NULL, left_at FLOAT
);
CREATE INDEX IF NOT EXISTS ix_search_workers_study_id ON search_workers (study_id);
CREATE TABLE IF NOT EXISTS search_devices (
    worker_id VARCHAR(32) NOT NULL PRIMARY KEY REFERENCES search_workers (worker_id),
    device VARCHAR(255) NOT NULL
);
CREATE INDEX IF NOT EXISTS ix_search_devices_device ON search_devices (device);
CREATE TABLE IF NOT EXISTS search_imports (
    study_id INTEGER NOT NULL REFERENCES search_studies (study_id), name VARCHAR(255) NOT NULL,
    source TEXT NOT NULL, metric TEXT NOT NULL, value FLOAT, best_score FLOAT NOT NULL,
    best_epoch INTEGER, epochs INTEGER, document TEXT NOT NULL, imported_at FLOAT NOT NULL,
    PRIMARY KEY (study_id, name)
);
CREATE TABLE IF NOT EXISTS search_points (
    study_id INTEGER NOT NULL REFERENCES search_studies (study_id), point VARCHAR(64) NOT NULL,
    repeat INTEGER NOT NULL, trial_id INTEGER NOT NULL, PRIMARY KEY (study_id, point, repeat)
);
CREATE TABLE IF NOT EXISTS search_takeovers (
    trial_id INTEGER NOT NULL, attempt INTEGER NOT NULL,
    study_id INTEGER NOT NULL REFERENCES search_studies (study_id),
    left_at FLOAT NOT NULL, taken_at FLOAT NOT NULL, PRIMARY KEY (trial_id, attempt)
);
CREATE INDEX IF NOT EXISTS ix_search_takeovers_study_id ON search_takeovers (study_id);
CREATE TABLE IF NOT EXISTS search_test_reads (
    study_id INTEGER NOT NULL REFERENCES search_studies (study_id), number INTEGER NOT NULL,
    split VARCHAR(64) NOT NULL, host VARCHAR(255) NOT NULL, begun_at FLOAT NOT NULL,
    ended_at FLOAT, document TEXT NOT NULL, results TEXT, PRIMARY KEY (study_id, number)
);
CREATE INDEX IF NOT EXISTS ix_search_test_reads_split ON search_test_reads (split);
"""


def upgrade() -> None:
    for statement in TABLES.split(";")[:-1]:
        op.execute(statement)
