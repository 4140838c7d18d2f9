#!/usr/bin/env bash
# results/: every method side by side at equal budgets, embedded 2-layer model, five tasks, four sparsities, three seeds; how the
# order moves with the budget; a 6-layer model on eight tasks (measured_minilm.sh, for a GPU). Hours on two cores; started again
# it goes on where it was.
#   scripts/measured.sh DATA OUT [STEP…]     STEP: tuning sst2 qqp stsb qnli rotten_tomatoes budget minilm report; all, in this order
# (sst2 before other tasks, which take its TAMT masks).
# DATA has glue/SST-2 and glue/STS-B (for minilm also MRPC, RTE, CoLA) in GLUE's own layout (a copy: github.com/F0restL1n/BERT at
# 0d0288b, glue_data), and glue-10k/{QQP,QNLI}/{train,dev}.json (for minilm also MNLI): samples of the tasks' training sets, 8,999 and
# 1,000 rows (github.com/ZhengxiangShi/PowerfulPromptFT at b4ecdea, data/glue_pretrain); results.csv has their fingerprints. Everything goes to OUT;
# `report` also writes results/ and the table of README.md anew. Needs pip install -e ".[demo,parallel]".
# PRUNEBERT_SEEDS=0 scripts/measured.sh … runs the first seed alone, of tasks and of minilm.
# PRUNEBERT_EARLIER=DIR scripts/measured.sh … report: DIR is a copy of an earlier results/main, whose rows, figures and tested differences stay
# where the runs' directories are not at hand.
# More words for prunebert: PRUNEBERT_WORDS="hydra.launcher.n_jobs=8" scripts/measured.sh …; for one OUT always the same.
set -euo pipefail
usage="usage: scripts/measured.sh DATA OUT [STEP…]"
from=$(realpath -e "${1:?$usage}")
out=$(realpath -m "${2:?$usage}")
here=$(realpath "$(dirname "$0")")
results=$here/../results
shift 2
[ $# -gt 0 ] || set -- tuning sst2 qqp stsb qnli rotten_tomatoes budget minilm report
mkdir -p "$out/data" && cd "$out"
for task in SST-2 STS-B; do ln -sfn "$from/glue/$task" "data/$task"; done
for task in QQP QNLI; do
  [ -e "data/$task/dev.tsv" ] || python "$here/glue_10k.py" "$from/glue-10k" data
done
read -ra more <<<"${PRUNEBERT_WORDS:-}"
seeds=${PRUNEBERT_SEEDS:-0 1 2}
failed=0
run() { # run NAME WORD…
  local name=$1 where=() status=0
  shift
  [ "$task" = rotten_tomatoes ] || where=(task.data_dir=data)
  prunebert experiment=measured hydra/launcher=laptop "task=$task" "${where[@]}" "hydra.sweep.dir=runs/$name" "$@" "${more[@]}" ||
    status=$?
  [ "$status" -le 1 ] || exit "$status" # stopped, or bad input
  [ "$status" -eq 0 ] || failed=1       # a cell that failed keeps no other back
}
keep_masks() { # masks/seed=SEED/sparsity=SPARSITY: TAMT's runs on SST-2
  local found
  for found in "$out"/runs/main/sst2/rest-*/method=tamt,*; do
    [[ $found =~ seed=([0-9]+),sparsity=([0-9.]+), ]]
    mkdir -p "masks/seed=${BASH_REMATCH[1]}"
    ln -sfn "$found" "masks/seed=${BASH_REMATCH[1]}/sparsity=${BASH_REMATCH[2]}"
  done
}
publish() { # publish NAME DIR [EARLIER]: the report, and what results/ keeps of it
  [ -d "$2" ] || return 0
  local earlier=${3:-}
  rm -rf "report/$1"
  prunebert report "$2" ${earlier:+"$earlier/results.csv"} --out "report/$1"
  rm -rf "${results:?}/$1"
  mkdir -p "$results/$1"
  python -c 'import sys; t = open(sys.argv[1]).read(); open(sys.argv[2], "w").write(t.replace(sys.argv[3] + "/", ""))' \
    "report/$1/results.csv" "$results/$1/results.csv" "$out"
  cp "report/$1/tables.tex" "$results/$1/"
  [[ $1 != tuning* && $1 != budget ]] || return 0
  python "$here/where_weights_stay.py" "$results/$1/results.csv" "$out" ${earlier:+"$earlier"}
  mkdir "$results/$1/figures"
  [ -z "$earlier" ] || cp "$earlier"/figures/*.png "$results/$1/figures"
  [ -z "$earlier" ] || python "$here/earlier_tests.py" "$results/$1/tables.tex" "$earlier/tables.tex"
  find "report/$1/figures" -name '*.png' -regex '.*/figures/\(score\|budget\|density-sst2\|overlap-sst2\).*' -exec cp {} "$results/$1/figures" \;
}
rest=random,magnitude,imp,gmp,movement,soft_movement,l0,tamt,abp,smp
frozen=(method=random,magnitude method.keep_pretrained=true fit.head_lr=3e-3)
shared=distill.shared=teachers # one teacher for all sparsities of a seed
for task in "$@"; do
  case $task in
    tuning)
      "$here/tuning.sh" data tuning
      "$here/tuning_minilm.sh" data tuning_minilm
      ;;
    budget) # other numbers of steps, at rates picked for 300; on STS-B where least is removed, for there 300 are too few
      for budget in "sst2 100 0.9" "sst2 900 0.9" "stsb 900 0.5" "stsb 2700 0.5"; do
        read -r task steps sparsity <<<"$budget"
        name=budget/$task-$steps words=("fit.steps=$steps" "sparsity=$sparsity" "seed=${seeds%% *}")
        few=${rest/imp,/}
        run "$name" "method=dense,${few/tamt,/}" "${words[@]}"
        run "$name-tamt" method=tamt 'method.masks="masks/seed=${seed}/sparsity=${sparsity}"' "${words[@]}"
        run "$name-imp" method=imp "${words[@]}" "fit.steps=$((steps / 3))"
        run "$name-sparsebert" method=sparsebert $shared "${words[@]}"
        run "$name-frozen" "${frozen[@]}" "${words[@]}"
      done
      ;;
    minilm)
      PRUNEBERT_SEEDS=${seeds// /,} "$here/measured_minilm.sh" "$from" "$out"
      ;;
    report)
      publish main runs/main "${PRUNEBERT_EARLIER:-}"
      publish minilm runs/minilm
      publish budget runs/budget
      publish tuning tuning
      publish tuning_minilm tuning_minilm
      for page in "$here/../README.md" "$results/README.md"; do
        python "$here/results_table.py" "$results/main/results.csv" "$page"
      done
      if [ -d runs/budget ]; then
        mkdir -p "$results/budget/figures"
        python "$here/plot_steps.py" "$results"/{budget,main}/results.csv "$results/budget/figures/steps.png"
      fi
      for name in minilm budget; do
        [ ! -d "runs/$name" ] || python "$here/results_table.py" "$results/$name/results.csv" "$results/README.md"
      done
      ;;
    *)
      for seed in $seeds; do # a seed of everything before the next
        run "main/$task/dense-$seed" method=dense "seed=$seed" sparsity=0.0
        if [ "$task" = sst2 ]; then
          run "main/$task/rest-$seed" method=$rest "seed=$seed"
        else # TAMT's masks know no task
          run "main/$task/rest-$seed" "method=${rest/tamt,/}" "seed=$seed"
          run "main/$task/tamt-$seed" method=tamt "seed=$seed" 'method.masks="masks/seed=${seed}/sparsity=${sparsity}"'
        fi
        run "main/$task/sparsebert-$seed" method=sparsebert $shared "seed=$seed"
        run "main/$task/frozen-$seed" "${frozen[@]}" "seed=$seed"
      done
      run "main/$task/dense" method=dense seed=3,4 sparsity=0.0
      if [ "$task" = sst2 ]; then keep_masks; fi
      ;;
  esac
done
exit "$failed"
