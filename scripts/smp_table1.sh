#!/usr/bin/env bash
# SMP (Jiang et al., ACL 2023), Table 1, the SMP rows: BERT-base on MNLI, QQP and SQuAD, 10 % and 3 % remaining without
# and 50 %, 10 % and 3 % with distillation, five seeds: 150 long runs, meant for a GPU. Try one with fit=smoke first.
# More words are handed on: scripts/smp_table1.sh impl=cuda hydra.sweep.dir=smp_table1
set -euo pipefail
prunebert -m method=smp method.allocation=local,score task=mnli,qqp sparsity=0.9,0.97 seed=0,1,2,3,4 "$@"
prunebert -m method=smp method.allocation=local,score task=mnli,qqp sparsity=0.5,0.9,0.97 seed=0,1,2,3,4 distill=logits "$@"
prunebert -m method=smp method.allocation=local,score task=squad sparsity=0.9 seed=0,1,2,3,4 "$@"
prunebert -m method=smp method.allocation=local,score task=squad sparsity=0.97 fit.epochs=20 method.prune_steps=22650 seed=0,1,2,3,4 "$@"
prunebert -m method=smp method.allocation=local,score task=squad sparsity=0.5,0.9 seed=0,1,2,3,4 distill=logits "$@"
prunebert -m method=smp method.allocation=local,score task=squad sparsity=0.97 fit.epochs=20 method.prune_steps=22650 seed=0,1,2,3,4 distill=logits "$@"
