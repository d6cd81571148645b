#!/usr/bin/env bash
# All that wants a GPU, in four parts of at most ten minutes each:
#
#     benchmarks/gpu.sh works   OUT [DATA]    # does it work?
#     benchmarks/gpu.sh time    OUT [DATA]    # where does the time go, and what does each lever give?
#     benchmarks/gpu.sh numbers OUT [DATA]    # how fast is a full training, and beside a plain loop?
#     benchmarks/gpu.sh service OUT [DATA]    # several workers on one GPU, and what can happen to them
#
# Needs bash, and a Python with torch and NumPy; Triton for trainer.compile. Nothing is downloaded or installed:
# the package is found beside this script, and what else it needs is unpacked from the wheels in $WHEELS:
#
#     pip download -d WHEELS --only-binary :all: --no-deps PACKAGE...   # for the machine's version of Python
#
# OUT gets the output of every step and summary.md. A step that fails or takes too long does not stop the
# others. DATA is a folder in CelebAMask-HQ mini's layout; without it, drawn faces are trained on.
#
#     PYTHON=python3   WHEELS=folder   DEVICE=cuda   LIMIT=570 (seconds for all)   SMOKE=1 (tiny, for a CPU)
set -uo pipefail
part=${1:?name a part: works, time, numbers or service}
out=${2:?name a folder for the output}
data=${3:-}
python=${PYTHON:-python3}
device=${DEVICE:-cuda}
limit=${LIMIT:-570}
smoke=${SMOKE:-}
root=$(cd "$(dirname "$0")/.." && pwd)
case $part in
works | time | numbers | service) ;;
*)
    echo "gpu.sh: $part is no part; name works, time, numbers or service" >&2
    exit 2
    ;;
esac
mkdir -p "$out/$part"
out=$(cd "$out" && pwd)/$part
[ -n "$data" ] && data=$(cd "$data" && pwd)
failed=0

site=$(mktemp -d)
trap 'rm -rf "$site"' EXIT
for wheel in "${WHEELS:-/nowhere}"/*.whl; do
    case ${wheel##*/} in
    torch-* | numpy-* | triton-* | nvidia_*_cu*) ;; # the machine's own
    *.whl) [ -e "$wheel" ] && "$python" -m zipfile -e "$wheel" "$site" ;;
    esac
done
mkdir -p "$site/mseg_search-0.1.0.dist-info" # trainings record the version
printf 'Metadata-Version: 2.1\nName: mseg-search\nVersion: 0.1.0\n' >"$site/mseg_search-0.1.0.dist-info/METADATA"
export PYTHONPATH="$root:$site:$root/tests/support${PYTHONPATH:+:$PYTHONPATH}"
export SEARCH_CACHE="$site/cache" PYTHONUNBUFFERED=1

# step NAME SECONDS COMMAND...: runs it in OUT, no longer than that and than is left.
step() {
    local name=$1 seconds=$2 left=$((limit - SECONDS)) began=$SECONDS code
    shift 2
    ((seconds > left)) && seconds=$left
    if ((seconds < 5)); then
        echo "| $name | no time left | |" >>"$out/summary.md"
        failed=1
        return
    fi
    (cd "$out" && timeout -k 5 "$seconds" "$@") >"$out/$name.txt" 2>&1
    code=$?
    case $code in
    0) result=done ;;
    124 | 137) result="stopped after $seconds s" ;;
    *) result="failed ($code)" ;;
    esac
    ((code == 0)) || failed=1
    echo "| $name | $result | $((SECONDS - began)) s |" | tee -a "$out/summary.md"
}
search() { step "$1" "$2" "$python" -P -m search "${@:3}"; }
measure() { step "$1" "$2" "$python" "$root/benchmarks/$3.py" "${@:4}"; }

printf '| step | result | time |\n|---|---|---|\n' >"$out/summary.md"
step machine 60 "$python" -c "import platform, sys, torch; print(platform.platform(), sys.version, torch.__version__, torch.version.cuda); print(torch.cuda.get_device_properties(0) if '$device' == 'cuda' else '$device')"
[ "$device" = cuda ] && command -v nvidia-smi >/dev/null && step nvidia-smi 30 nvidia-smi
given=(${data:+--data "$data"})
tiny=(${smoke:+--sizes 64 --batch 2})
sizes=(--sizes 512 --rounds 3)
[ -n "$smoke" ] && sizes=(--sizes 64 --rounds 1 --images 20 --batch 4 --epochs 2)
small=(${smoke:+--profile smoke})
[ -n "$smoke" ] && [ -z "$data" ] && small+=(--set data.source=drawn)
case $part in
works)
    measure cuda-and-cpu 120 gpu_checks numbers --device "$device" ${smoke:+--size 64}
    measure resume 120 gpu_checks resume --device "$device" ${smoke:+--size 64}
    measure attention 60 gpu_checks attention --device "$device" ${smoke:+--size 64}
    measure peak-memory 120 gpu_checks memory --device "$device" "${tiny[@]}"
    step gpu-tests 240 "$python" -m pytest -q -n 0 -p no:cacheprovider -m gpu --rootdir "$root" "$root/tests/unit"
    ;;
time)
    measure floor 150 roofline --device "$device" "${tiny[@]}"
    measure levers 400 gpu_checks levers --device "$device" "${tiny[@]}"
    search trace 120 check --trace --device "$device" "${given[@]}" "${small[@]}"
    ;;
numbers)
    [ -n "$data" ] && measure full-training 240 full_training --device "$device" --data "$data" \
        --set trainer.patience=null ${smoke:+--set trainer.epochs=2 --set data.image_size=64 --set data.train_limit=32 --set schedule.warmup_epochs=1}
    measure plain-loop 400 training_speed --device "$device" "${given[@]}" "${sizes[@]}"
    ;;
service)
    measure workers 330 gpu_service workers --device "$device" ${smoke:+--size 64 --counts 1 2}
    measure kill 120 gpu_service kill --device "$device" ${smoke:+--size 64}
    measure neighbour 90 gpu_service neighbour --device "$device"
    measure assert 90 gpu_service assert --device "$device"
    ;;
esac
cat "$out"/summary.md
exit $failed
