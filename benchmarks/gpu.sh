#!/usr/bin/env bash
# Everything about training that wants a GPU, in one command: benchmarks/gpu.sh DATA [PYTHON] > gpu.md
# DATA is a folder in CelebAMask-HQ mini's layout.
set -euo pipefail
data=${1:?name the folder with the data}
python=${2:-python3}
cd "$(dirname "$0")/.."

nvidia-smi --query-gpu=name,driver_version --format=csv,noheader
"$python" -m pytest -q -m gpu
"$python" benchmarks/roofline.py --device cuda
"$python" benchmarks/training_speed.py --device cuda --data "$data" --sizes 512 --rounds 5
"$python" benchmarks/worker_time.py
"$python" benchmarks/full_training.py --data "$data"
"$python" benchmarks/full_training.py --data "$data" --no-exchange
trace=$(mktemp -d)
root=$PWD
cd "$trace"
"$python" -P -c 'from search.cli.app import main; main()' check --space "$root/space.yaml" --data "$data" --trace
