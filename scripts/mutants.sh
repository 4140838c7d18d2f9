#!/usr/bin/env bash
# Change the code in one place at a time and count the changes that the tests notice: scripts/mutants.sh [PATH…] [--sample N]
# It takes hours for all mutants, so it is no part of CI. docs/mutants.md explains it and has the last score.
#   scripts/mutants.sh                           all mutants of masks, methods, network, report, tasks and training
#   scripts/mutants.sh --sample 300 --seed 0     a reproducible random sample, equally many of each folder
#   scripts/mutants.sh prunebert/masks/top_v.py  all mutants of a file or folder
# It works in a copy in the temporary folder, or in --work FOLDER. After an interruption the same command continues.
# It needs: pip install -c constraints.txt -e ".[mutants]"
set -euo pipefail
python -c 'import mutmut' 2>/dev/null || {
  echo 'scripts/mutants.sh: mutmut is not installed: pip install -c constraints.txt -e ".[mutants]"' >&2
  exit 2
}
exec nice python "$(dirname "$0")/mutants.py" "$@"
