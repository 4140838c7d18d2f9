#!/usr/bin/env bash
# How the rates of conf/method_fit/measured_minilm are to be picked (not run yet): as scripts/tuning.sh does, but on SST-2 alone.
#   scripts/tuning_minilm.sh DATA OUT       DATA: a folder with SST-2 in GLUE's own layout
set -euo pipefail
data=${1:?usage: scripts/tuning_minilm.sh DATA OUT}
out=${2:?usage: scripts/tuning_minilm.sh DATA OUT}
read -ra more <<<"${PRUNEBERT_WORDS:-}"
all=(experiment=measured_minilm hydra/launcher=laptop sparsity=0.9 seed=100)
all+=(task=sst2 "task.train=$data/SST-2/train.tsv" 'task.text=[sentence]' task.holdout=0.015)
try() { # the words of a sweep
  prunebert "${all[@]}" hydra.sweep.dir="$out/$name" "$@" "${more[@]}" || [ $? -eq 1 ] # a cell that failed
}
name=weights try method=dense,random,magnitude,imp,gmp fit.lr=3e-5,1e-4,3e-4
name=scores try method=smp method.score_lr=0.01,0.03,0.1
name=scores_abp try method=abp method.score_lr=0.003,0.01,0.03
name=scores_movement try method=movement method.score_lr=0.003,0.01,0.03 fit.lr=3e-5
name=scores_soft try method=soft_movement,l0 method.score_lr=0.03,0.1,0.3 fit.lr=3e-5
name=sparsebert try method=sparsebert fit.lr=3e-5,1e-4,3e-4 distill.shared="$out/teachers"
name=tamt try method=tamt fit.lr=3e-5,1e-4,3e-4
name=frozen try method=random,magnitude method.keep_pretrained=true fit.head_lr=1e-3,3e-3,1e-2
