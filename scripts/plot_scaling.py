"""Plot step cost and memory against the number of prunable weights: scripts/plot_scaling.py JSON… OUT.png

JSON: files that scripts/bench_step.py wrote with --out, for times and for --memory. The figure compares one method,
"smp local", with full fine-tuning.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot as plt

METHOD = "smp local"


def main() -> None:
    """Read the measurements and write the figure."""
    *sources, out = sys.argv[1:]
    if not sources:
        raise SystemExit(__doc__)
    measurements = [json.loads(Path(source).read_text()) for source in sources]
    rows = [row for measurement in measurements for row in measurement["rows"] if row["method"] == METHOD]
    size = {row["model"]: row["scores"] for row in rows if "scores" in row}
    times = sorted((row for row in rows if "seconds_masked" in row), key=lambda row: row["scores"])
    memory = sorted((row for row in rows if "mebibytes" in row), key=lambda row: size[row["model"]])
    figure, (time_axes, memory_axes) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    sizes = [row["scores"] for row in times]
    time_axes.plot(sizes, [row["seconds_dense"] for row in times], "o-", color="0.5", label="full fine-tuning")
    time_axes.plot(sizes, [row["seconds_masked"] for row in times], "o-", color="C0", label=METHOD)
    time_axes.plot(sizes, [row["seconds_choice"] for row in times], "s--", color="C1", label="selecting its masks")
    time_axes.set_ylabel("seconds per step")
    sizes = [size[row["model"]] for row in memory]
    dense_memory = [row["mebibytes"] / row["by_dense"] for row in memory]
    memory_axes.plot(sizes, dense_memory, "o-", color="0.5", label="full fine-tuning")
    memory_axes.plot(sizes, [row["mebibytes"] for row in memory], "o-", color="C0", label=METHOD)
    memory_axes.set_ylabel("peak memory, MiB")
    for axes in (time_axes, memory_axes):
        axes.set(xscale="log", yscale="log", xlabel="prunable weights")
        axes.margins(0.13, 0.16)
        axes.grid(alpha=0.3, which="both")
        axes.legend(frameon=False)
    for row in times:
        point = row["scores"], row["seconds_choice"]
        time_axes.annotate(row["model"], point, (0, -9), textcoords="offset points", ha="center", va="top")
    about = measurements[0]["about"]
    figure.suptitle(f"batch {about['batch']} × {about['length']} tokens; {about['hardware']}", fontsize=8)
    figure.savefig(out, dpi=150)


if __name__ == "__main__":
    main()
