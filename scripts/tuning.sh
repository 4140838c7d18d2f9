#!/usr/bin/env bash
# How the rates of conf/method_fit/measured were picked: three values for every method, one more beyond the best as long as that
# is the first or last of them, and where scores and weights are trained also the weights' rate once. On SST-2 and QQP, scored on
# rows held out of the training data (never on the evaluation data), at 0.9, with a seed that is reported nowhere else.
# No rate was tried for TAMT's masks, AbP's head and teachers (which have dense's).
#   scripts/tuning.sh DATA OUT       DATA: a folder with SST-2 and QQP in GLUE's own layout
set -euo pipefail
data=${1:?usage: scripts/tuning.sh DATA OUT}
out=${2:?usage: scripts/tuning.sh DATA OUT}
sst2=(task=sst2 "task.train=$data/SST-2/train.tsv" 'task.text=[sentence]' task.holdout=0.015)
qqp=(task=qqp "task.train=$data/QQP/train.tsv" 'task.text=[question1,question2]' task.label=is_duplicate task.holdout=0.1)
three() { # the words of a sweep over three values
  prunebert "${sst2[@]}" hydra.sweep.dir="$out/sst2/$name" "${all[@]}" "$@" "${more[@]}" || [ $? -eq 1 ] # a cell that failed
  prunebert "${qqp[@]}" hydra.sweep.dir="$out/qqp/$name" "${all[@]}" "$@" "${more[@]}" || [ $? -eq 1 ]
}
read -ra more <<<"${PRUNEBERT_WORDS:-}"
all=(experiment=measured hydra/launcher=laptop sparsity=0.9 seed=100)
name=scores_l0 three method=l0 method.score_lr=0.03,0.1,0.3 fit.lr=1e-4
name=scores_movement three method=movement,soft_movement method.score_lr=0.01,0.03,0.1 fit.lr=1e-4
name=scores three method=smp,abp method.score_lr=0.003,0.01,0.03
name=weights three method=dense,random,magnitude,imp,gmp,tamt fit.lr=3e-4,1e-3,3e-3
name=sparsebert three method=sparsebert fit.lr=3e-4,1e-3,3e-3 distill.shared="$out/teachers"
name=frozen three method=random,magnitude method.keep_pretrained=true fit.head_lr=1e-3,3e-3,1e-2
# beyond the best of the three
name=beyond_smp three method=smp method.score_lr=0.1
name=further_smp three method=smp method.score_lr=0.3
name=furthest_smp three method=smp method.score_lr=1
name=beyond_soft_movement three method=soft_movement method.score_lr=0.3 fit.lr=1e-4
name=further_soft_movement three method=soft_movement method.score_lr=1 fit.lr=1e-4
name=beyond_movement three method=movement method.score_lr=0.003 fit.lr=1e-4
name=further_movement three method=movement method.score_lr=0.001 fit.lr=1e-4
name=both_movement three method=movement method.score_lr=0.01 fit.lr=1e-3
name=both three method=soft_movement,l0 method.score_lr=0.1 fit.lr=1e-3
name=beyond_dense three method=dense fit.lr=1e-4
name=beyond_weights three method=random,imp fit.lr=1e-2
name=beyond_sparsebert three method=sparsebert fit.lr=1e-2 distill.shared="$out/teachers"
name=further_sparsebert three method=sparsebert fit.lr=3e-2 distill.shared="$out/teachers"
