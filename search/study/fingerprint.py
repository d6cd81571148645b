"""The fingerprint of a study's data: every worker that joins must have the same."""

from search.errors import StudyError
from search.objective import Description
from search.study.study import Study


def fingerprint_of(description: Description | None) -> dict[str, str]:
    """What changes when the data do, by name; empty where the objective does not describe them."""
    return dict(description.fingerprint) if description else {}


def check_data(study: Study, description: Description | None) -> None:
    """Raises StudyError with the difference where this machine's data are not the study's."""
    different = data_differences(study, description)
    if different:
        parts = ", ".join(f"{key} {ours} (the study has {theirs})" for key, ours, theirs in different)
        raise StudyError(
            f"--data: these are not the data of study {study.name!r}: {parts}; use the same data"
        )


def data_differences(
    study: Study, description: Description | None
) -> list[tuple[str, str | None, str | None]]:
    """Parts of the fingerprint in which data differ from the study's: name, these data's, the study's."""
    ours = fingerprint_of(description)
    theirs = dict(study.row.fingerprint)
    keys = sorted({*ours, *theirs})
    return [(key, ours.get(key), theirs.get(key)) for key in keys if ours.get(key) != theirs.get(key)]
