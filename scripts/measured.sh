#!/usr/bin/env bash
# results/: every method side by side at equal budgets, embedded 2-layer model, five tasks, four sparsities, three seeds; then
# how the order moves with the budget, and a 6-layer model. Hours on two cores; started again it goes on where it was.
#   scripts/measured.sh DATA OUT [STEP…]     STEP: tuning sst2 qqp stsb qnli rotten_tomatoes budget minilm report
# DATA: a folder with glue/SST-2 and glue/STS-B in GLUE's own layout and glue-10k/{QQP,QNLI}/{train,dev}.json, samples of
# 9,000 and 1,000 rows. More words for prunebert: PRUNEBERT_WORDS="hydra.launcher.n_jobs=8" scripts/measured.sh …
set -euo pipefail
usage="usage: scripts/measured.sh DATA OUT [STEP…]"
from=$(realpath "${1:?$usage}") out=$(realpath -m "${2:?$usage}") here=$(realpath "$(dirname "$0")")
results=${RESULTS:-$here/../results}
shift 2
[ $# -gt 0 ] || set -- tuning sst2 qqp stsb qnli rotten_tomatoes budget minilm report
mkdir -p "$out/data" && cd "$out"
python "$here/glue_10k.py" "$from/glue-10k" data
for task in SST-2 STS-B; do ln -sfn "$from/glue/$task" "data/$task"; done
read -ra more <<<"${PRUNEBERT_WORDS:-}"
run() { # run NAME WORD…
  local name=$1 where=()
  shift
  [ "$task" = rotten_tomatoes ] || where=(task.data_dir=data)
  prunebert experiment=measured hydra/launcher=laptop "task=$task" "${where[@]}" "hydra.sweep.dir=runs/$name" "$@" "${more[@]}"
}
publish() { # publish NAME DIR: the report, and what results/ keeps of it
  prunebert report "$2" --out "report/$1"
  rm -rf "${results:?}/$1" && mkdir -p "$results/$1/figures"
  sed "s#$out/##g" "report/$1/results.csv" >"$results/$1/results.csv"
  cp "report/$1/tables.tex" "$results/$1/"
  find "report/$1/figures" -name '*.png' -regex '.*/\(score\|budget\|density-sst2\|overlap-sst2\).*' -exec cp {} "$results/$1/figures" \;
}
rest=random,magnitude,imp,gmp,movement,soft_movement,l0,tamt,abp,smp
frozen=(method=random,magnitude method.keep_pretrained=true fit.head_lr=3e-3)
shared=distill.shared=teachers # one teacher for all sparsities of a seed
for task in "$@"; do
  case $task in
    tuning)
      "$here/tuning.sh" data tuning
      ;;
    budget) # 0.9 on SST-2, with 100 and 900 steps instead of 300
      task=sst2
      for steps in 100 900; do
        budget=("fit.steps=$steps" sparsity=0.9 seed=0)
        run budget/$steps method=dense,random,magnitude,gmp,movement,soft_movement,l0,tamt,abp,smp "${budget[@]}"
        run budget/$steps-imp method=imp "${budget[@]}" fit.steps=$((steps / 3))
        run budget/$steps-sparsebert method=sparsebert $shared "${budget[@]}"
        run budget/$steps-frozen "${frozen[@]}" "${budget[@]}"
      done
      ;;
    minilm)
      task=sst2
      six=(model=minilm sparsity=0.5,0.9 seed=0)
      run minilm/dense method=dense "${six[@]}" sparsity=0.0
      run minilm/rest method=$rest "${six[@]}"
      run minilm/sparsebert method=sparsebert $shared "${six[@]}"
      run minilm/frozen "${frozen[@]}" "${six[@]}"
      ;;
    report) # what results/ has of it
      for part in main budget minilm; do
        if [ -d "runs/$part" ]; then publish "$part" "runs/$part"; fi
      done
      publish tuning tuning
      python "$here/results_table.py" "$results/main/results.csv" "$here/../README.md"
      ;;
    *)
      for seed in 0 1 2; do # a seed of everything before the next
        run "main/$task/dense-$seed" method=dense "seed=$seed" sparsity=0.0
        run "main/$task/rest-$seed" method=$rest "seed=$seed"
        run "main/$task/sparsebert-$seed" method=sparsebert $shared "seed=$seed"
        run "main/$task/frozen-$seed" "${frozen[@]}" "seed=$seed"
      done
      run "main/$task/dense" method=dense seed=3,4 sparsity=0.0
      ;;
  esac
done
