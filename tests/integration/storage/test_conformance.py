"""What we hand to Optuna is a storage like its own: the tests it ships for storages, all of them, on
SQLite, and each night on PostgreSQL as well."""

from collections.abc import Iterator

import pytest
import sqlalchemy
from optuna.storages import BaseStorage
from optuna.testing.pytest_storages import StorageTestCase

from storage import engine as engines
from storage import schema


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.nightly)])
def handed_out(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[BaseStorage]:
    """One storage of each kind for all tests: the tables take longer to create than a test to run."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path_factory.mktemp('conformance')}/study.db"
    else:
        server = sqlalchemy.make_url(request.getfixturevalue("postgres"))
        url = server.set(drivername="postgresql").render_as_string(hide_password=False)
    schema.prepare(url)
    storage = engines.optuna_storage(url)
    yield storage
    storage.remove_session()


@pytest.fixture
def storage(handed_out: BaseStorage) -> Iterator[BaseStorage]:
    yield handed_out
    for study in handed_out.get_all_studies():
        handed_out.delete_study(study._study_id)


class TestConformance(StorageTestCase):
    """Every test of Optuna's, inherited. Those that draw many trials are run each night."""

    test_get_all_studies = pytest.mark.nightly(StorageTestCase.test_get_all_studies)
    test_get_all_trials = pytest.mark.nightly(StorageTestCase.test_get_all_trials)
    test_get_all_trials_not_modified = pytest.mark.nightly(StorageTestCase.test_get_all_trials_not_modified)
    test_get_trial = pytest.mark.nightly(StorageTestCase.test_get_trial)
