"""Optuna's artifact store at a place the user names: a folder, or S3.

What machines that share no folder hand to each other goes through it, and what the dashboard shows.
Credentials for S3 come from where boto3 looks for them (AWS_ACCESS_KEY_ID, a profile, a role), never
from the place: it stands in argv and in logs.
"""

import os
import re
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


class S3Store:
    """Optuna's S3 store with a prefix before every key, for buckets that hold other things, too.

    Objects are written in one request, whole or not at all, and by the thread that asks, so that it can be
    told what a write costs; S3 takes up to 5 GB so. Optuna's would use ten threads of its own.
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
    """The store at `place`, a folder's path or s3://BUCKET/PREFIX; makes the folder.

    Raises:
        StorageError: `place` is neither, the folder cannot be written to, or boto3 is not installed.
    """
    from optuna.artifacts import FileSystemArtifactStore

    check_place(place)
    if (bucket := BUCKET.fullmatch(place)) is not None:
        return S3Store(_s3(bucket[1]), bucket[2] or "")
    Path(place).mkdir(parents=True, exist_ok=True)
    return FileSystemArtifactStore(place)


def check_place(place: str) -> None:
    """Raises StorageError where `place` can be no store, or its bucket does not answer; writes nothing."""
    bucket = BUCKET.fullmatch(place)
    if bucket is None and "://" in place:
        shown = repr(place) if "@" not in place else "this URL"  # a secret may stand before the @
        raise StorageError(
            f"--artifacts: {shown} is no place for artifacts; name a folder or s3://BUCKET/PREFIX, "
            "and give credentials as boto3 takes them (AWS_ACCESS_KEY_ID, AWS_PROFILE, ...)"
        )
    if bucket is None:
        there = next(path for path in (Path(place), *Path(place).absolute().parents) if path.exists())
        if not there.is_dir():
            raise StorageError(f"--artifacts: {there} is a file; name a folder or s3://BUCKET/PREFIX")
        if not os.access(there, os.W_OK | os.X_OK):
            raise StorageError(f"--artifacts: {there} cannot be written to; name another folder")
        return
    try:
        _s3(bucket[1]).client.head_bucket(Bucket=bucket[1])
    except StorageError:
        raise
    except Exception as error:  # botocore's own tree, which is not installed everywhere
        remedy = FORBIDDEN if said(error) == "403" else "check the bucket, the credentials and the endpoint"
        raise StorageError(f"--artifacts: s3://{bucket[1]}: {said(error)}; {remedy}") from error


def said(error: BaseException) -> str:
    """What a store's error may say in a log: S3's code or the error's name, never an endpoint's URL."""
    response = getattr(error, "response", None)
    if isinstance(response, dict):
        return str(response.get("Error", {}).get("Code") or type(error).__name__)
    return str(error) if isinstance(error, OSError) else type(error).__name__


def _s3(bucket: str) -> "Boto3ArtifactStore":
    from optuna.artifacts import Boto3ArtifactStore

    try:
        return Boto3ArtifactStore(bucket)
    except ImportError as error:
        raise StorageError(
            "--artifacts: s3:// needs boto3; pip install 'mseg-search[s3]', or name a folder"
        ) from error
