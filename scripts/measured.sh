#!/usr/bin/env bash
# Run the runs of results/ and write it: scripts/measured.sh DATA OUT [STEP…]
# Every method is compared at equal training budgets on the embedded 2-layer model: five tasks, four sparsities, three seeds.
# Further steps compare them at other budgets, and on a 6-layer model and eight tasks (measured_minilm.sh, for a GPU). It
# takes hours on two cores. Started again, the script continues. It needs pip install -e ".[demo,parallel]".
# STEP: tuning sst2 qqp stsb qnli rotten_tomatoes budget minilm report; default: all, in this order. sst2 must precede the
#   other tasks, because they use its TAMT masks. `report` also writes results/, and the
#   tables and figures of docs/results/ and of the README.
# DATA: a folder with
#   glue/SST-2 and glue/STS-B (for minilm also MRPC, RTE and CoLA) in GLUE's own layout. A copy is glue_data in
#     github.com/F0restL1n/BERT at 0d0288b.
#   glue-10k/{QQP,QNLI}/{train,dev}.json (for minilm also MNLI): samples of the tasks' training sets with 8,999 and 1,000
#     rows. They are data/glue_pretrain in github.com/ZhengxiangShi/PowerfulPromptFT at b4ecdea. The results have their
#     fingerprints.
# OUT: the folder for all other output.
# PRUNEBERT_SEEDS=0 scripts/measured.sh …: run only the first seed, of tasks and of minilm.
# PRUNEBERT_EARLIER=DIR scripts/measured.sh … report: DIR is a copy of an earlier results/main. Where the runs' directories
#   are gone, its rows, figures and tested differences stay.
# PRUNEBERT_WORDS="hydra.launcher.n_jobs=8" scripts/measured.sh …: further words for prunebert; use the same for one OUT.
set -euo pipefail
usage="usage: scripts/measured.sh DATA OUT [STEP…]"
data=$(realpath -e "${1:?$usage}")
out=$(realpath -m "${2:?$usage}")
scripts=$(realpath "$(dirname "$0")")
results=$scripts/../results
pages=$scripts/../docs/results
figures=$pages/figures
shift 2
[ $# -gt 0 ] || set -- tuning sst2 qqp stsb qnli rotten_tomatoes budget minilm report
mkdir -p "$out/data" && cd "$out"
for task in SST-2 STS-B; do ln -sfn "$data/glue/$task" "data/$task"; done
for task in QQP QNLI; do
  [ -e "data/$task/dev.tsv" ] || python "$scripts/glue_10k.py" "$data/glue-10k" data
done
read -ra extra_words <<<"${PRUNEBERT_WORDS:-}"
seeds=${PRUNEBERT_SEEDS:-0 1 2}
failed=0
run() { # run NAME WORD…: a sweep of $task
  local name=$1 data_word=() status=0
  shift
  [ "$task" = rotten_tomatoes ] || data_word=(task.data_dir=data)
  prunebert experiment=measured hydra/launcher=laptop "task=$task" "${data_word[@]}" "hydra.sweep.dir=runs/$name" "$@" "${extra_words[@]}" ||
    status=$?
  [ "$status" -le 1 ] || exit "$status" # stopped, or bad input
  [ "$status" -eq 0 ] || failed=1       # a run failed; the others continue
}
publish() { # publish NAME DIR [EARLIER]: write the report, and copy parts of it to results/
  [ -d "$2" ] || return 0
  local earlier=${3:-}
  rm -rf "report/$1"
  prunebert report "$2" ${earlier:+"$earlier"} --out "report/$1"
  rm -rf "${results:?}/$1"
  mkdir -p "$results/$1"
  python "$scripts/results_files.py" "report/$1/results.csv" "$results/$1" "$out"
  cp "report/$1/tables.tex" "$results/$1/"
  [[ $1 != tuning* && $1 != budget ]] || return 0
  python "$scripts/where_weights_stay.py" "$results/$1" "$out" ${earlier:+"$earlier"}
  [ -n "$earlier" ] || rm -rf "${figures:?}/$1" # figures of earlier runs stay
  [ -z "$earlier" ] || python "$scripts/earlier_tests.py" "$results/$1/tables.tex" "$earlier/tables.tex"
  mkdir -p "$figures/$1"
  find "report/$1/figures" -name '*.png' -regex '.*/figures/\(score\|budget\|density-sst2\|overlap-sst2\).*' -exec cp {} "$figures/$1" \;
}
fill() { # fill NAME PAGE: write the tables of results/NAME into docs/results/PAGE.md
  python "$scripts/results_table.py" "$results/$1" "$pages/$2.md"
}
pruning_methods=random,magnitude,imp,gmp,movement,soft_movement,l0,tamt,abp,smp
frozen=(method=random,magnitude method.keep_pretrained=true fit.head_lr=3e-3)
shared=distill.shared=teachers # one teacher for all sparsities of a seed
for task in "$@"; do
  case $task in
    tuning)
      "$scripts/tuning.sh" data tuning
      "$scripts/tuning_minilm.sh" data tuning_minilm
      ;;
    budget) # other numbers of steps, at the rates chosen for 300; on STS-B at 0.5, because 300 are too few even there
      for budget in "sst2 100 0.9" "sst2 900 0.9" "stsb 900 0.5" "stsb 2700 0.5"; do
        read -r task steps sparsity <<<"$budget"
        name=budget/$task-$steps words=("fit.steps=$steps" "sparsity=$sparsity" "seed=${seeds%% *}")
        budget_methods=${pruning_methods/imp,/}
        run "$name" "method=dense,${budget_methods/tamt,/}" "${words[@]}"
        run "$name-tamt" method=tamt 'method.masks="masks/seed=${seed}/sparsity=${sparsity}"' "${words[@]}"
        run "$name-imp" method=imp "${words[@]}" "fit.steps=$((steps / 3))"
        run "$name-sparsebert" method=sparsebert $shared "${words[@]}"
        run "$name-frozen" "${frozen[@]}" "${words[@]}"
      done
      ;;
    minilm)
      PRUNEBERT_SEEDS=${seeds// /,} "$scripts/measured_minilm.sh" "$data" "$out"
      ;;
    report)
      publish main runs/main "${PRUNEBERT_EARLIER:-}"
      publish minilm runs/minilm
      publish budget runs/budget
      publish tuning tuning
      publish tuning_minilm tuning_minilm
      if [ -d runs/main ]; then
        fill main scores
        fill main papers-claims
        python "$scripts/plot_scores.py" "$results/main" "$scripts/../docs/images"
      fi
      if [ -d runs/budget ]; then
        fill budget more-steps
        mkdir -p "$figures/budget"
        python "$scripts/plot_steps.py" "$results/budget" "$figures/budget/steps.png"
      fi
      [ ! -d runs/minilm ] || fill minilm six-layers
      ;;
    *)
      for seed in $seeds; do # every method with one seed before the next seed
        run "main/$task/dense-$seed" method=dense "seed=$seed" sparsity=0.0
        if [ "$task" = sst2 ]; then
          run "main/$task/rest-$seed" method=$pruning_methods "seed=$seed"
        else # TAMT's masks do not depend on the task
          run "main/$task/rest-$seed" "method=${pruning_methods/tamt,/}" "seed=$seed"
          run "main/$task/tamt-$seed" method=tamt "seed=$seed" 'method.masks="masks/seed=${seed}/sparsity=${sparsity}"'
        fi
        run "main/$task/sparsebert-$seed" method=sparsebert $shared "seed=$seed"
        run "main/$task/frozen-$seed" "${frozen[@]}" "seed=$seed"
      done
      run "main/$task/dense" method=dense seed=3,4 sparsity=0.0
      [ "$task" != sst2 ] || python "$scripts/link_masks.py" masks runs/main/sst2
      ;;
  esac
done
exit "$failed"
