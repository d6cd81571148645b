"""Checkpoints in an artifact store, a folder and S3: what is half-written never counts."""

import hashlib
import io
import json
import os
import random
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna.artifacts
import pytest

from storage.artifacts import check_place, open_store
from storage.checkpoints import Checkpoints
from storage.errors import StorageError

BUCKET = "faces"


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A client of an S3 in this process, with an empty bucket."""
    moto = pytest.importorskip("moto")
    boto3 = pytest.importorskip("boto3")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "somebody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2-is-secret")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with moto.mock_aws():
        client = boto3.client("s3")
        client.create_bucket(Bucket=BUCKET)
        yield client


@pytest.fixture(params=["folder", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "folder":
        return str(tmp_path / "store")
    request.getfixturevalue("s3")
    return f"s3://{BUCKET}/of/mine"


@pytest.fixture
def checkpoints(place: str) -> Checkpoints:
    return Checkpoints(open_store(place), "mseg-1a2b3c4d")


def save(checkpoints: Checkpoints, folder: Path, *, attempt: int = 1, epoch: int) -> None:
    """Saves a trial of two files that say their epoch, as one generation after the other."""
    folder.mkdir(exist_ok=True)
    (folder / "last.pt").write_text(f"{epoch}")
    (folder / "history.json").write_text(f"[{epoch}]" * 1000)
    checkpoints.save(17, attempt, epoch % 2, epoch, sorted(folder.iterdir()))


def load(checkpoints: Checkpoints, folder: Path, *, before: int = 2, beyond: int = 0) -> int:
    """The epoch that is found; its files must be of it."""
    folder.mkdir()
    epoch = checkpoints.load(17, before, beyond, folder)
    found = {path.name: path.read_text() for path in folder.iterdir()}
    assert found == ({"last.pt": f"{epoch}", "history.json": f"[{epoch}]" * 1000} if epoch else {})
    return epoch


def objects(place: str, s3: Any = None) -> list[str]:
    if s3 is None:
        return sorted(path.name for path in Path(place).iterdir())
    return sorted(each["Key"] for each in s3.list_objects_v2(Bucket=BUCKET).get("Contents", []))


def test_the_furthest_checkpoint_is_loaded(checkpoints: Checkpoints, tmp_path: Path) -> None:
    assert load(checkpoints, tmp_path / "none") == 0
    for epoch in (3, 4, 5):
        save(checkpoints, tmp_path / "mine", epoch=epoch)
    assert load(checkpoints, tmp_path / "first") == 5
    assert load(checkpoints, tmp_path / "further than this machine", beyond=4) == 5
    assert load(checkpoints, tmp_path / "not further", beyond=5) == 0
    assert load(checkpoints, tmp_path / "no owner before", before=1) == 0


def test_a_late_predecessor_changes_nothing(checkpoints: Checkpoints, tmp_path: Path) -> None:
    """It was frozen in the middle of an upload; its successor has gone on."""
    save(checkpoints, tmp_path / "mine", attempt=1, epoch=3)
    save(checkpoints, tmp_path / "mine", attempt=2, epoch=6)
    save(checkpoints, tmp_path / "mine", attempt=1, epoch=4)
    assert load(checkpoints, tmp_path / "first", before=3) == 6


def test_keys_are_fixed_and_go(tmp_path: Path) -> None:
    place = str(tmp_path / "store")
    checkpoints = Checkpoints(open_store(place), "mseg-1a2b3c4d")
    for epoch in range(1, 6):
        save(checkpoints, tmp_path / "mine", epoch=epoch)
    keys = [f"mseg-1a2b3c4d.trial-0017.1.{g}.{kind}" for g in (0, 1) for kind in ("json", "tar")]
    assert objects(place) == keys
    checkpoints.drop(17, range(1, 3))
    assert objects(place) == []


def test_keys_in_a_bucket_have_its_prefix(s3: Any, tmp_path: Path) -> None:
    checkpoints = Checkpoints(open_store(f"s3://{BUCKET}/of/mine/"), "mseg")
    save(checkpoints, tmp_path / "mine", epoch=1)
    keys = ["of/mine/mseg.trial-0017.1.1.json", "of/mine/mseg.trial-0017.1.1.tar"]
    assert objects("", s3) == keys
    checkpoints.drop(17, range(1, 2))
    assert objects("", s3) == []


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("damage", [cut, flip, Path.unlink])
@pytest.mark.parametrize("what", ["tar", "json"])
def test_what_is_half_written_does_not_count(tmp_path: Path, damage: Any, what: str) -> None:
    place = tmp_path / "store"
    checkpoints = Checkpoints(open_store(str(place)), "mseg")
    save(checkpoints, tmp_path / "mine", attempt=1, epoch=2)
    save(checkpoints, tmp_path / "mine", attempt=2, epoch=5)
    save(checkpoints, tmp_path / "mine", attempt=2, epoch=6)
    damage(place / f"mseg.trial-0017.2.0.{what}")
    assert load(checkpoints, tmp_path / "one is damaged", before=3) == 5
    damage(place / f"mseg.trial-0017.2.1.{what}")
    assert load(checkpoints, tmp_path / "both are", before=3) == 2


def test_only_plain_files_are_taken(tmp_path: Path) -> None:
    """Whoever can write to the store writes into the trial's folder, and nowhere else."""
    checkpoints = Checkpoints(open_store(str(tmp_path / "store")), "mseg")
    save(checkpoints, tmp_path / "mine", epoch=1)
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for name in ("../above", f"{tmp_path}/absolute", "below/it", "last.pt"):
            tar.addfile(tarfile.TarInfo(name))
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    (tmp_path / "evil.tar").write_bytes(archive.getvalue())
    digest = hashlib.sha256(archive.getvalue()).hexdigest()
    manifest = {"epoch": 9, "size": len(archive.getvalue()), "sha256": digest}
    (tmp_path / "store" / "mseg.trial-0017.1.0.tar").write_bytes(archive.getvalue())
    (tmp_path / "store" / "mseg.trial-0017.1.0.json").write_text(json.dumps(manifest))
    folder = tmp_path / "a" / "trial"
    folder.mkdir(parents=True)
    before = set(tmp_path.rglob("*"))
    assert checkpoints.load(17, 2, 0, folder) == 9
    assert set(tmp_path.rglob("*")) - before == {folder / "last.pt"}


def stored(tmp_path: Path, archive: bytes, **changed: object) -> Checkpoints:
    """A store in which somebody has put this archive and its manifest, beside nothing else."""
    checkpoints = Checkpoints(open_store(str(tmp_path / "store")), "mseg")
    manifest = {"epoch": 9, "size": len(archive), "sha256": hashlib.sha256(archive).hexdigest()}
    (tmp_path / "store" / "mseg.trial-0017.1.0.tar").write_bytes(archive)
    (tmp_path / "store" / "mseg.trial-0017.1.0.json").write_text(json.dumps({**manifest, **changed}))
    return checkpoints


def header(name: str, length: int, kind: bytes = tarfile.REGTYPE, **more: Any) -> bytes:
    member = tarfile.TarInfo(name)
    member.size, member.type, member.pax_headers = length, kind, more
    return member.tobuf(tarfile.PAX_FORMAT)


def old_sparse(claim: int) -> bytes:
    """A GNU sparse file with 512 bytes in the archive that claims to be `claim` bytes long."""
    block = bytearray(header("last.pt", 512, tarfile.GNUTYPE_SPARSE))
    block[386:398] = b"%011o\0" % 0
    block[398:410] = b"%011o\0" % 512
    block[483:495] = b"%011o\0" % claim
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block) + b"x" * 512


END = b"\0" * 1024
CLAIM = {"GNU.sparse.size": str(2**40), "GNU.sparse.numblocks": "1", "GNU.sparse.map": "0,512"}
HOSTILE = {
    "sparse, GNU's old format": old_sparse(2**28) + END,
    "sparse, as pax headers 0.1": header("last.pt", 512, **CLAIM) + b"x" * 512 + END,
    "sparse, as pax headers 1.0": header(
        "last.pt",
        1024,
        **{"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": str(2**40)},
    )
    + b"1\n0\n512\n".ljust(512, b"\0")
    + b"x" * 512
    + END,
    "longer than the archive": header("last.pt", 2**30) + b"x" * 512 + END,
    "of a negative size": header("last.pt", 0, size="-512") + END,
    "one name twice": (header("last.pt", 512) + b"x" * 512) * 2 + END,
    "no file at all": END,
    "no tar": b"x" * 4096,
    "a folder for the file": header("last.pt", 0, tarfile.DIRTYPE) + END,
    "a hard link": header("last.pt", 0, tarfile.LNKTYPE) + END,
    "a device": header("last.pt", 0, tarfile.CHRTYPE) + END,
    "a pipe": header("last.pt", 0, tarfile.FIFOTYPE) + END,
    "above, by a pax header": header("last.pt", 512, path="../last.pt") + b"x" * 512 + END,
    "the folder above": header("..", 512) + b"x" * 512 + END,
    "a name with a NUL": header("last.pt", 512, path="a\0b") + b"x" * 512 + END,
    "very many": b"".join(header(f"{index}.pt", 0) for index in range(1001)) + END,
    "headers of headers": header("x", 0, tarfile.XHDTYPE) * 4000 + END,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_an_archive_that_is_none_of_ours_is_not_taken(tmp_path: Path, name: str) -> None:
    """It fits its manifest, since whoever can write the one can write the other."""
    folder = tmp_path / "a" / "trial"
    folder.mkdir(parents=True)
    assert stored(tmp_path, HOSTILE[name]).load(17, 2, 0, folder) == 0
    assert list((tmp_path / "a").rglob("*")) == [folder]


def test_no_archive_raises_or_writes_more_than_it_holds(tmp_path: Path) -> None:
    """Real archives with bytes changed, most of them in headers."""
    chance = random.Random(5)
    whole = header("last.pt", 700) + b"x" * 1024 + header("n" * 150, 100, mtime="1.5") + b"y" * 512 + END
    for index in range(300):
        archive = bytearray(whole)
        for _ in range(chance.randint(1, 8)):
            archive[chance.randrange(len(archive))] = chance.choice(b"\0\x80\xff0123457xgLSKVN/. =\n")
        for start in range(0, len(archive), 512):  # headers with right sums are read on
            block = archive[start : start + 512]
            if chance.random() < 0.8 and any(block):
                block[148:156] = b" " * 8
                archive[start + 148 : start + 156] = b"%06o\0 " % sum(block)
        folder = tmp_path / str(index)
        folder.mkdir()
        epoch = stored(tmp_path, bytes(archive)).load(17, 2, 0, folder)
        sizes = [path.stat().st_size for path in folder.iterdir()]
        assert sum(sizes) <= len(archive) and bool(sizes) == bool(epoch), index


MANIFESTS = [
    {"size": 2**40},
    {"size": 5},
    {"size": 1.5},
    {"size": "3072"},
    {"size": None},
    {"epoch": True},
    {"epoch": "9"},
    {"epoch": 1e400},
    {"epoch": 0},
    {"epoch": -9},
    {"sha256": 7},
    {"sha256": ["a"]},
    {"more": "x" * 2**20},
]


@pytest.mark.parametrize("changed", MANIFESTS, ids=range(len(MANIFESTS)))
def test_a_manifest_that_is_none_of_ours_does_not_count(tmp_path: Path, changed: dict[str, Any]) -> None:
    whole = header("last.pt", 512) + b"x" * 512 + END
    (tmp_path / "trial").mkdir()
    assert stored(tmp_path, whole).load(17, 2, 0, tmp_path / "trial") == 9
    (tmp_path / "other").mkdir()
    assert stored(tmp_path, whole, **changed).load(17, 2, 0, tmp_path / "other") == 0


@pytest.mark.parametrize("text", [b"", b"7", b"[1]", b"null", b"\xff\xfe{}", b"[" * 3000, b'"x"'])
def test_nor_does_one_that_is_no_manifest(tmp_path: Path, text: bytes) -> None:
    checkpoints = stored(tmp_path, header("last.pt", 0) + END)
    (tmp_path / "store" / "mseg.trial-0017.1.0.json").write_bytes(text)
    assert checkpoints.load(17, 2, 0, tmp_path) == 0


def test_where_case_does_not_count_no_file_is_written_over(tmp_path: Path) -> None:
    checkpoints = stored(tmp_path, header("a", 0) + header("LAST.PT", 512) + b"x" * 512 + END)
    folder = tmp_path / "trial"
    folder.mkdir()
    (folder / "LAST.PT").write_text("the same file, in such a folder")
    assert checkpoints.load(17, 2, 0, folder) == 0
    assert [path.name for path in folder.iterdir()] == ["LAST.PT"]
    assert (folder / "LAST.PT").read_text().startswith("the same")


# -- places ----------------------------------------------------------------------------------------


def test_a_bucket_that_is_not_there(s3: Any) -> None:
    with pytest.raises(StorageError) as refused:
        check_place("s3://of-nobody/mine")
    assert str(refused.value).startswith("--artifacts: s3://of-nobody: 404; check the bucket")


def test_missing_credentials_are_said_in_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("boto3")
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(StorageError) as refused:
        check_place("s3://faces")
    assert "NoCredentialsError; check the bucket, the credentials" in str(refused.value)


def test_an_endpoint_that_does_not_answer_is_not_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("boto3")
    for name, value in {
        "AWS_ENDPOINT_URL": "http://me:hunter2-is-secret@127.0.0.1:1",
        "AWS_ACCESS_KEY_ID": "somebody",
        "AWS_SECRET_ACCESS_KEY": "hunter2-is-secret",
        "AWS_MAX_ATTEMPTS": "1",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(StorageError) as refused:
        check_place("s3://faces")
    assert "EndpointConnectionError" in str(refused.value) and "secret" not in str(refused.value)


def test_a_bucket_without_boto3_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object, **__: object) -> None:
        raise ImportError("boto3")

    monkeypatch.setattr(optuna.artifacts, "Boto3ArtifactStore", missing)
    with pytest.raises(StorageError, match=r"needs boto3; pip install 'mseg-search\[s3\]'"):
        check_place("s3://faces/mine")


def test_looking_at_a_place_writes_nothing(tmp_path: Path) -> None:
    check_place(str(tmp_path / "not" / "there"))
    assert list(tmp_path.iterdir()) == []
