"""Optuna's artifact store in a folder or an S3 bucket.

Machines that share no folder exchange checkpoints through it, and the dashboard shows files from it.
Credentials for S3 come from where boto3 looks for them (AWS_ACCESS_KEY_ID, a profile, a role), never
from the store's address, which appears in argv and in logs.
"""

import os
import re
import shutil
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from storage.errors import StorageError

if TYPE_CHECKING:
    from optuna.artifacts import Boto3ArtifactStore
    from optuna.artifacts._protocol import ArtifactStore

BUCKET = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/([^?#]*))?")

FORBIDDEN = (
    "it needs s3:ListBucket on the bucket; s3:GetObject, PutObject and DeleteObject below the prefix"
)


class FolderStore:
    """What Optuna's FileSystemArtifactStore is: a folder with a file for each id.

    Importing Optuna's brings its S3 and Google stores along, and each worker would wait for boto3.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder.absolute()  # an objective may change the working folder

    def open_reader(self, artifact_id: str) -> BinaryIO:
        try:
            return self._path(artifact_id).open("rb")
        except FileNotFoundError as error:
            raise _not_found(artifact_id) from error

    def write(self, artifact_id: str, content_body: BinaryIO) -> None:
        with self._path(artifact_id).open("wb") as file:
            shutil.copyfileobj(content_body, file)

    def remove(self, artifact_id: str) -> None:
        try:
            self._path(artifact_id).unlink()
        except FileNotFoundError as error:
            raise _not_found(artifact_id) from error

    def _path(self, artifact_id: str) -> Path:
        if artifact_id in ("", ".", "..") or Path(artifact_id).name != artifact_id:
            raise ValueError(f"{artifact_id!r} is no artifact's id")
        return self._folder / artifact_id


class S3Store:
    """Optuna's S3 store with a prefix before every key, for buckets that hold other things, too.

    An object is written in one request (S3 allows up to 5 GB), so it is stored whole or not at all. The
    calling thread writes it and can measure how long that takes; Optuna's store would use ten threads.
    """

    def __init__(self, store: "Boto3ArtifactStore", prefix: str) -> None:
        self._store = store
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""

    def open_reader(self, artifact_id: str) -> BinaryIO:
        return self._store.open_reader(self._prefix + artifact_id)

    def write(self, artifact_id: str, content_body: BinaryIO) -> None:
        key = self._prefix + artifact_id
        self._store.client.put_object(Bucket=self._store.bucket, Key=key, Body=content_body)

    def remove(self, artifact_id: str) -> None:
        self._store.remove(self._prefix + artifact_id)


def open_store(place: str) -> "ArtifactStore":
    """The store at `place`, a folder's path or s3://BUCKET/PREFIX; creates the folder.

    Raises:
        StorageError: `place` is neither, the folder cannot be written to, or boto3 is not installed.
    """
    check_place(place)
    if (bucket := BUCKET.fullmatch(place)) is not None:
        return S3Store(_s3(bucket[1]), bucket[2] or "")
    Path(place).mkdir(parents=True, exist_ok=True)
    return FolderStore(Path(place))


def fetch(store: "ArtifactStore", artifact_id: str, target: BinaryIO) -> bool:
    """Copies an artifact into `target`; False if the store has none of that id.

    Raises:
        StorageError: the store does not answer.
    """
    from optuna.artifacts.exceptions import ArtifactNotFound

    try:
        with store.open_reader(artifact_id) as reader:
            shutil.copyfileobj(reader, target)
    except ArtifactNotFound:
        return False
    except Exception as error:  # each store raises its own
        raise StorageError(
            f"--artifacts: {error_name(error)}; check the store and the credentials"
        ) from error
    return True


def remove(store: "ArtifactStore", artifact_id: str) -> None:
    """Removes an artifact, if it is there: another worker tidies up, too."""
    from optuna.artifacts.exceptions import ArtifactNotFound

    with suppress(ArtifactNotFound):
        store.remove(artifact_id)


def check_place(place: str) -> None:
    """Raises StorageError unless there can be a store at `place`; writes nothing."""
    bucket = BUCKET.fullmatch(place)
    if bucket is None and "://" in place:
        shown = repr(place) if "@" not in place else "this URL"  # there may be a secret before the @
        raise StorageError(
            f"--artifacts: {shown} is not a place for artifacts; name a folder or s3://BUCKET/PREFIX, "
            "and give credentials as boto3 takes them (AWS_ACCESS_KEY_ID, AWS_PROFILE, ...)"
        )
    if bucket is None:
        existing = next(path for path in (Path(place), *Path(place).absolute().parents) if path.exists())
        if not existing.is_dir():
            raise StorageError(f"--artifacts: {existing} is a file; name a folder or s3://BUCKET/PREFIX")
        if not os.access(existing, os.W_OK | os.X_OK):
            raise StorageError(f"--artifacts: {existing} cannot be written to; name another folder")
        return
    try:
        _s3(bucket[1]).client.head_bucket(Bucket=bucket[1])
    except StorageError:
        raise
    except Exception as error:  # botocore is not installed everywhere, so its errors cannot be named
        cause = error_name(error)
        remedy = FORBIDDEN if cause == "403" else "check the bucket, the credentials and the endpoint"
        raise StorageError(f"--artifacts: s3://{bucket[1]}: {cause}; {remedy}") from error


def error_name(error: BaseException) -> str:
    """A store's error as it may be logged: S3's code or the error's class, never an endpoint's URL."""
    response = getattr(error, "response", None)
    if isinstance(response, dict):
        return str(response.get("Error", {}).get("Code") or type(error).__name__)
    return str(error) if isinstance(error, OSError) else type(error).__name__


def _not_found(artifact_id: str) -> Exception:
    from optuna.artifacts.exceptions import ArtifactNotFound

    return ArtifactNotFound(artifact_id)


def _s3(bucket: str) -> "Boto3ArtifactStore":
    from optuna.artifacts import Boto3ArtifactStore

    try:
        return Boto3ArtifactStore(bucket)
    except ImportError as error:
        raise StorageError(
            "--artifacts: s3:// needs boto3; pip install 'mseg-search[s3]', or name a folder"
        ) from error
