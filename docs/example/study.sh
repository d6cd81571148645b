#!/usr/bin/env bash
# The whole worked example, from the data to the report: bash docs/example/study.sh celebamask-mini
set -euo pipefail
export SEARCH_DATA=$1 SEARCH_STUDY=faces

search start --gpus none --workers 2 --trials 24 \
  --set data.image_size=96 --set data.train_limit=300 --set data.eval_size=train \
  --set trainer.epochs=30 --set trainer.batch_size=16 \
  --set 'schedule.warmup_epochs={low: 0, high: 6, step: 1}' \
  --set 'schedule.restart_epochs={choices: [5, 8, 10], when: {schedule.kind: warm_restarts}}' \
  --set study.pruner.control=0.25
search confirm --gpus none --workers 2 --seeds 3
search ablate "hand-tuned best" best --gpus none --workers 2 --seeds 2
python docs/example/draw_faces.py runs faces # only needed to share the report
search report
