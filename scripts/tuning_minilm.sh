#!/usr/bin/env bash
# Run the sweeps that chose the learning rates of conf/exceptions/method_fit/measured_minilm: scripts/tuning_minilm.sh DATA OUT
# DATA: a folder with SST-2 and QQP in GLUE's own layout.
# Runs are on SST-2 and QQP at 0.9. They are scored on held-out training rows, never on the
# evaluation data, and use a seed that is reported nowhere else. Every method has four values; if both scores and weights
# are trained, three by two. TAMT's masks, AbP's head and the teachers were not tuned.
# PRUNEBERT_BESIDE=1: start all sweeps at once, on a machine that can run many (PRUNEBERT_WORDS="impl=cuda hydra.launcher.n_jobs=3").
set -euo pipefail
data=${1:?usage: scripts/tuning_minilm.sh DATA OUT}
out=${2:?usage: scripts/tuning_minilm.sh DATA OUT}
read -ra extra_words <<<"${PRUNEBERT_WORDS:-}"
common_words=(experiment=measured_minilm hydra/launcher=laptop sparsity=0.9 seed=100)
sst2=(task=sst2 "task.train=$data/SST-2/train.tsv" 'task.text=[sentence]' task.holdout=0.015)
qqp=(task=qqp "task.train=$data/QQP/train.tsv" 'task.text=[question1,question2]' task.label=is_duplicate task.holdout=0.1)
run() { # run WORD…: a sweep on one task
  prunebert "${common_words[@]}" "$@" "${extra_words[@]}" || [ $? -eq 1 ] # status 1: a run failed, the others continue
}
pids=()
sweep() { # sweep WORD…: run a sweep on both tasks; `name` is its folder
  for task in sst2 qqp; do
    local -n task_words=$task
    if [ -n "${PRUNEBERT_BESIDE:-}" ]; then
      run "hydra.sweep.dir=$out/$task/$name" "${task_words[@]}" "$@" &
      pids+=($!)
    else
      run "hydra.sweep.dir=$out/$task/$name" "${task_words[@]}" "$@"
    fi
  done
}
name=weights sweep method=dense,random,magnitude,imp,gmp,tamt fit.lr=3e-5,1e-4,3e-4,1e-3
name=scores_smp sweep method=smp method.score_lr=0.01,0.03,0.1,0.3
name=scores_abp sweep method=abp method.score_lr=0.003,0.01,0.03,0.1
name=scores_movement sweep method=movement method.score_lr=0.003,0.01,0.03 fit.lr=3e-5,1e-4
name=scores_soft sweep method=soft_movement,l0 method.score_lr=0.03,0.1,0.3 fit.lr=3e-5,1e-4
name=sparsebert sweep method=sparsebert fit.lr=1e-4,3e-4,1e-3,3e-3 distill.shared="$out/teachers"
name=frozen sweep method=random,magnitude method.keep_pretrained=true fit.head_lr=1e-3,3e-3,1e-2,3e-2
for pid in "${pids[@]}"; do wait "$pid"; done
