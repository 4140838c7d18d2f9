#!/usr/bin/env bash
# Run the SMP rows of Table 1 of SMP (Jiang et al., ACL 2023): BERT-base on MNLI, QQP and SQuAD, with five seeds.
# 10 % and 3 % of the weights remain without distillation; 50 %, 10 % and 3 % with it. These are 150 long runs for a GPU;
# try one with fit=smoke first. Further words are passed on: scripts/smp_table1.sh impl=cuda hydra.sweep.dir=smp_table1
set -euo pipefail
prunebert -m method=smp method.allocation=uniform,score task=mnli,qqp sparsity=0.9,0.97 seed=0,1,2,3,4 "$@"
prunebert -m method=smp method.allocation=uniform,score task=mnli,qqp sparsity=0.5,0.9,0.97 seed=0,1,2,3,4 distill=logits "$@"
prunebert -m method=smp method.allocation=uniform,score task=squad sparsity=0.9 seed=0,1,2,3,4 "$@"
prunebert -m method=smp method.allocation=uniform,score task=squad sparsity=0.97 fit.epochs=20 method.prune_steps=22650 seed=0,1,2,3,4 "$@"
prunebert -m method=smp method.allocation=uniform,score task=squad sparsity=0.5,0.9 seed=0,1,2,3,4 distill=logits "$@"
prunebert -m method=smp method.allocation=uniform,score task=squad sparsity=0.97 fit.epochs=20 method.prune_steps=22650 seed=0,1,2,3,4 distill=logits "$@"
