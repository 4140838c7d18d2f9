#!/usr/bin/env bash
# Run the sweeps that chose the learning rates of conf/exceptions/method_fit/measured: scripts/tuning.sh DATA OUT
# DATA: a folder with SST-2 and QQP in GLUE's own layout.
# Every method has three values. As long as the best is the first or the last, one more value beyond it is tried. If both
# scores and weights are trained, a second rate for the weights is tried once. Runs are on SST-2 and QQP at 0.9. They are
# scored on held-out training rows, never on the evaluation data, and use a seed that is reported nowhere else. TAMT's
# masks, AbP's head and the teachers were not tuned; teachers use dense's rates.
set -euo pipefail
data=${1:?usage: scripts/tuning.sh DATA OUT}
out=${2:?usage: scripts/tuning.sh DATA OUT}
sst2=(task=sst2 "task.train=$data/SST-2/train.tsv" 'task.text=[sentence]' task.holdout=0.015)
qqp=(task=qqp "task.train=$data/QQP/train.tsv" 'task.text=[question1,question2]' task.label=is_duplicate task.holdout=0.1)
sweep() { # sweep WORD…: run a sweep on both tasks; `name` is its folder
  prunebert "${sst2[@]}" hydra.sweep.dir="$out/sst2/$name" "${common_words[@]}" "$@" "${extra_words[@]}" || [ $? -eq 1 ] # status 1: a run failed, the others continue
  prunebert "${qqp[@]}" hydra.sweep.dir="$out/qqp/$name" "${common_words[@]}" "$@" "${extra_words[@]}" || [ $? -eq 1 ]
}
read -ra extra_words <<<"${PRUNEBERT_WORDS:-}"
common_words=(experiment=measured hydra/launcher=laptop sparsity=0.9 seed=100)
name=scores_l0 sweep method=l0 method.score_lr=0.03,0.1,0.3 fit.lr=1e-4
name=scores_movement sweep method=movement,soft_movement method.score_lr=0.01,0.03,0.1 fit.lr=1e-4
name=scores sweep method=smp,abp method.score_lr=0.003,0.01,0.03
name=weights sweep method=dense,random,magnitude,imp,gmp,tamt fit.lr=3e-4,1e-3,3e-3
name=sparsebert sweep method=sparsebert fit.lr=3e-4,1e-3,3e-3 distill.shared="$out/teachers"
name=frozen sweep method=random,magnitude method.keep_pretrained=true fit.head_lr=1e-3,3e-3,1e-2
# values beyond the best of the three
name=beyond_smp sweep method=smp method.score_lr=0.1
name=further_smp sweep method=smp method.score_lr=0.3
name=furthest_smp sweep method=smp method.score_lr=1
name=beyond_soft_movement sweep method=soft_movement method.score_lr=0.3 fit.lr=1e-4
name=further_soft_movement sweep method=soft_movement method.score_lr=1 fit.lr=1e-4
name=beyond_movement sweep method=movement method.score_lr=0.003 fit.lr=1e-4
name=further_movement sweep method=movement method.score_lr=0.001 fit.lr=1e-4
name=both_movement sweep method=movement method.score_lr=0.01 fit.lr=1e-3
name=both sweep method=soft_movement,l0 method.score_lr=0.1 fit.lr=1e-3
name=beyond_dense sweep method=dense fit.lr=1e-4
name=beyond_weights sweep method=random,imp fit.lr=1e-2
name=beyond_sparsebert sweep method=sparsebert fit.lr=1e-2 distill.shared="$out/teachers"
name=further_sparsebert sweep method=sparsebert fit.lr=3e-2 distill.shared="$out/teachers"
