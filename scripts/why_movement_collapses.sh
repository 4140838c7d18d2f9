#!/usr/bin/env bash
# Repeat the runs of docs/results/collapse.md: scripts/why_movement_collapses.sh DATA OUT
# The runs are on SST-2 with the 6-layer model. They have 300 steps and seed 0 unless they say another, and take one to five
# minutes on one core (3,000 steps: ten). Started again, the script continues. At the end it writes OUT/report/results.csv,
# which is results/collapse/results.csv.
# DATA: a folder with SST-2 in GLUE's own layout.
# Only `first_cut` has no score to report: its losses are the lines "movement:" to "magnitude:" of its run.log.
set -euo pipefail
usage="usage: scripts/why_movement_collapses.sh DATA OUT"
data=$(realpath -e "${1:?$usage}")
out=$(realpath -m "${2:?$usage}")
scripts=$(dirname "$(realpath "$0")")
export PYTHONPATH="$scripts${PYTHONPATH:+:$PYTHONPATH}" OMP_NUM_THREADS=1
mkdir -p "$out" && cd "$out"
ln -sfn "$data" data
run() { # run NAME WORD…: one run in the folder NAME
  local name=$1
  shift
  prunebert task=sst2 task.data_dir=data model=minilm fit=measured_minilm prunable=encoder sparsity=0.9 seed=0 \
    impl.threads=1 impl.precision=bf16 fit.steps=300 "hydra.run.dir=$name" "$@"
}
own() { # own NAME WORD…: a run of a method of scripts/centred_conf
  local name=$1
  shift
  run "$name" "hydra.searchpath=[file://$scripts/centred_conf]" "$@"
}
run dense method=dense sparsity=0
run base method=movement
run base_3000 method=movement fit.steps=3000
run base_3000_seed_1 method=movement fit.steps=3000 seed=1
run base_3000_seed_2 method=movement fit.steps=3000 seed=2
run authors_rates method=movement fit.lr=3e-5 fit.head_lr=3e-5 method.score_lr=1e-2
run score_lr_1e-1 method=movement method.score_lr=1e-1
run global method=movement method.allocation=global
run slow_cut method=movement method.schedule.start=0.0 method.schedule.end=1.0 +method.schedule.power=1
run fixed_masks method=fixed_mask method.masks=base fit.lr=1e-3
own c_full method=centred_movement
own c_means method=centred_movement method.means=restored
own c_grad method=centred_movement method.score_gradient=centred
own c_both method=centred_movement method.score_gradient=centred method.means=restored
own c_magnitude method=centred_movement method.score_init=magnitude method.score_lr=1e-2
run init_magnitude_0.5 method=movement method.score_init=magnitude method.score_lr=1e-2 sparsity=0.5
run init_magnitude_0.97 method=movement method.score_init=magnitude method.score_lr=1e-2 sparsity=0.97
run layer_mix method=movement method.head=layer_mix
run init_magnitude_0.9_seed_1 method=movement method.score_init=magnitude method.score_lr=1e-2 seed=1
run init_magnitude_0.9_seed_2 method=movement method.score_init=magnitude method.score_lr=1e-2 seed=2
run init_magnitude_0.97_seed_1 method=movement method.score_init=magnitude method.score_lr=1e-2 sparsity=0.97 seed=1
run init_magnitude_0.97_seed_2 method=movement method.score_init=magnitude method.score_lr=1e-2 sparsity=0.97 seed=2
run init_magnitude_1000 method=movement method.score_init=magnitude method.score_lr=1e-2 fit.steps=1000
run magnitude_1000 method=magnitude fit.steps=1000
run gmp_1000 method=gmp fit.steps=1000
run init_magnitude_0.9 method=movement method.score_init=magnitude method.score_lr=1e-2
# The same embeddings for all methods: frozen, then trained.
run soft_movement_0.9 method=soft_movement sparsity=0.9
run gmp_frozen_0.9_seed_0 method=gmp method.train_embeddings=false sparsity=0.9 seed=0
run gmp_frozen_0.9_seed_1 method=gmp method.train_embeddings=false sparsity=0.9 seed=1
run gmp_frozen_0.9_seed_2 method=gmp method.train_embeddings=false sparsity=0.9 seed=2
run gmp_0.9 method=gmp sparsity=0.9
run init_magnitude_trained_0.9 method=movement method.score_init=magnitude method.score_lr=1e-2 method.train_embeddings=true sparsity=0.9
run soft_movement_0.97 method=soft_movement sparsity=0.97
run gmp_frozen_0.97_seed_0 method=gmp method.train_embeddings=false sparsity=0.97 seed=0
run gmp_frozen_0.97_seed_1 method=gmp method.train_embeddings=false sparsity=0.97 seed=1
run gmp_frozen_0.97_seed_2 method=gmp method.train_embeddings=false sparsity=0.97 seed=2
run gmp_0.97 method=gmp sparsity=0.97
run init_magnitude_trained_0.97 method=movement method.score_init=magnitude method.score_lr=1e-2 method.train_embeddings=true sparsity=0.97
run layer_mix_0.97 method=movement method.head=layer_mix sparsity=0.97
run layer_mix_magnitude method=magnitude method.head=layer_mix
run layer_mix_magnitude_0.97 method=magnitude method.head=layer_mix sparsity=0.97
run batch_128 method=movement fit.batch_size=128
run distilled method=movement distill=logits distill.shared=teachers
[ -d dense_model ] || prunebert export dense --out dense_model
run dense_first method=movement model=bert-base model.name=./dense_model
own first_cut method=first_cut sparsity=0 fit.steps=30
prunebert report dense base* authors_rates score_lr_1e-1 global slow_cut fixed_masks c_full c_means c_grad c_both \
  c_magnitude init_magnitude_* soft_movement_* gmp_* layer_mix* magnitude_1000 batch_128 distilled dense_first --out report
grep -E "(movement|reversed|random|magnitude): 0:" first_cut/run.log >report/first_cut.log
