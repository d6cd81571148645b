#!/usr/bin/env bash
# The whole worked example, without data: bash docs/example/study.sh
set -euo pipefail
export SEARCH_STUDY=faces

search start --profile quick --trials 16 --set data.drawn_images=160 --set data.val_share=0.25 \
  --gpus none --workers 2
search confirm --top 2 --against "hand-tuned best" --seeds 3 --gpus none --workers 2
search ablate "hand-tuned best" best --seeds 2 --gpus none --workers 2
search report --final --against "hand-tuned best" --gpus none
