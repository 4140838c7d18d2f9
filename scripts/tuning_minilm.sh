#!/usr/bin/env bash
# How the rates of conf/method_fit/measured_minilm were picked, as scripts/tuning.sh does it: on SST-2 and QQP, scored on rows held
# out of the training data (never on the evaluation data), at 0.9, with a seed that is reported nowhere else; four values for every
# method, three by two where scores and weights are trained. No rate was tried for TAMT's masks, AbP's head and teachers.
#   scripts/tuning_minilm.sh DATA OUT       DATA: a folder with SST-2 and QQP in GLUE's own layout
# PRUNEBERT_BESIDE=1: all sweeps at once, for a machine that keeps many runs busy (PRUNEBERT_WORDS="impl=cuda hydra.launcher.n_jobs=3").
set -euo pipefail
data=${1:?usage: scripts/tuning_minilm.sh DATA OUT}
out=${2:?usage: scripts/tuning_minilm.sh DATA OUT}
read -ra more <<<"${PRUNEBERT_WORDS:-}"
all=(experiment=measured_minilm hydra/launcher=laptop sparsity=0.9 seed=100)
sst2=(task=sst2 "task.train=$data/SST-2/train.tsv" 'task.text=[sentence]' task.holdout=0.015)
qqp=(task=qqp "task.train=$data/QQP/train.tsv" 'task.text=[question1,question2]' task.label=is_duplicate task.holdout=0.1)
one() { # the words of a sweep on one task
  prunebert "${all[@]}" "$@" "${more[@]}" || [ $? -eq 1 ] # a cell that failed
}
started=()
try() { # the words of a sweep, on both
  for task in sst2 qqp; do
    local -n words=$task
    if [ -n "${PRUNEBERT_BESIDE:-}" ]; then
      one "hydra.sweep.dir=$out/$task/$name" "${words[@]}" "$@" &
      started+=($!)
    else
      one "hydra.sweep.dir=$out/$task/$name" "${words[@]}" "$@"
    fi
  done
}
name=weights try method=dense,random,magnitude,imp,gmp,tamt fit.lr=3e-5,1e-4,3e-4,1e-3
name=scores_smp try method=smp method.score_lr=0.01,0.03,0.1,0.3
name=scores_abp try method=abp method.score_lr=0.003,0.01,0.03,0.1
name=scores_movement try method=movement method.score_lr=0.003,0.01,0.03 fit.lr=3e-5,1e-4
name=scores_soft try method=soft_movement,l0 method.score_lr=0.03,0.1,0.3 fit.lr=3e-5,1e-4
name=sparsebert try method=sparsebert fit.lr=1e-4,3e-4,1e-3,3e-3 distill.shared="$out/teachers"
name=frozen try method=random,magnitude method.keep_pretrained=true fit.head_lr=1e-3,3e-3,1e-2,3e-2
for one in "${started[@]}"; do wait "$one"; done
