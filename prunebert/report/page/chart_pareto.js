// The Pareto front over any two measures. A point is a row at one sparsity, the mean over its chosen seeds.
"use strict";
charts.MEASURES = {
  score: {name: table => table.metric, better: table => table.lower ? -1 : 1},
  remaining: {name: () => "remaining weights, fraction", better: () => -1},
  trained: {name: () => "trained parameters", better: () => -1},
  seconds: {name: () => "seconds", better: () => -1, device: true},
  memory: {name: () => "peak memory, GiB", better: () => -1, device: true},
  disk: {name: () => "size on disk, MB", better: () => -1},
};
// Return the points that no other point beats: none is as good in both values and better in one.
// signs: for each value 1 if more is better, else -1.
charts.front = (points, signs) => points.filter(p => !points.some(q => {
  const gains = [signs[0] * (q.x - p.x), signs[1] * (q.y - p.y)];
  return gains[0] >= 0 && gains[1] >= 0 && (gains[0] > 0 || gains[1] > 0);
}));
charts.kinds.pareto = body => {
  const {element, runs, rows, tables, hidden, mean, shown, plain} = charts;
  const state = {x: "remaining", y: "score", table: 0};
  const controls = element("div", {className: "controls"}), legendPlace = element("div");
  const place = element("div"), note = element("p", {className: "note"}), list = element("div");
  body.append(controls, place, legendPlace, note, list);

  let legend = {table: -1};
  const points = () => {
    const found = [];
    const cell = run => `${runs.row[run]} ${runs.sparsity[run]}`;
    for (const [, members] of charts.groups(charts.ofTable(state.table), cell)) {
      const known = members.filter(run => runs[state.x][run] !== null && runs[state.y][run] !== null);
      if (known.length) {
        const of = name => mean(known.map(run => runs[name][run]));
        const [first] = known, row = rows[runs.row[first]];
        found.push({row, sparsity: runs.sparsity[first], runs: known, x: of(state.x), y: of(state.y)});
      }
    }
    return found;
  };
  const refresh = () => {
    const left = tables.map((table, i) => [i, table.name]).filter(([i]) => !hidden.tables.has(i));
    if (left.length && !left.some(([i]) => i === state.table)) state.table = left[0][0];
    const table = tables[state.table];
    const measured = Object.keys(charts.MEASURES).filter(name =>
      charts.numbers.some(run => charts.row(run).table === state.table && runs[name][run] !== null));
    const options = measured.map(name => [name, charts.MEASURES[name].name(table)]);
    const choose = key => charts.select(key === "table" ? left : options, state[key], value => {
      state[key] = key === "table" ? Number(value) : value;
      draw();
      controls.querySelector(`[data-key=${key}]`).focus();
    });
    controls.replaceChildren(...[["task", "table"], ["x axis", "x"], ["y axis", "y"]].map(([text, key]) => {
      const control = choose(key);
      control.dataset.key = key;
      return charts.labelled(text, control);
    }));
  };
  const text = point => [
    plain(point.row.short), `sparsity ${point.sparsity}`, ...["x", "y"].map(key =>
      `${plain(charts.MEASURES[state[key]].name(tables[state.table]))} ${shown(point[key])}`),
    ...point.runs.slice(0, 6).map(run => `seed ${runs.seed[run]}: ${plain(runs.directory[run].slice(-70))}`),
    ...(point.runs.length > 6 ? [`and ${point.runs.length - 6} more`] : []),
  ].join("<br>");
  const draw = () => {
    refresh();
    if (legend.table !== state.table) {  // kept otherwise, so that a button keeps the focus
      legend = {table: state.table, ...charts.legend(state.table)};
      legendPlace.replaceChildren(legend.box);
    }
    legend.update();
    const table = tables[state.table], all = points();
    const signs = [state.x, state.y].map(name => charts.MEASURES[name].better(table));
    const front = charts.front(all, signs).sort((a, b) => a.x - b.x || signs[1] * (a.y - b.y));
    const traces = [...charts.groups(all, point => point.row)].map(([row, members]) => ({
      x: members.map(p => p.x), y: members.map(p => p.y), text: members.map(text), mode: "markers", name: row.label,
      marker: charts.marker(row, {size: 9, opacity: members.map(p => front.includes(p) ? 1 : 0.45)}),
      hovertemplate: "%{text}<extra></extra>", customdata: members.map(p => p.runs[0]),
    }));
    traces.unshift({
      x: front.map(p => p.x), y: front.map(p => p.y), mode: "lines", hoverinfo: "skip", name: "Pareto front",
      line: {color: charts.theme().ink, width: 1, shape: signs[0] < 0 ? "hv" : "vh"},
    });
    const axis = name => charts.axis(`${charts.MEASURES[name].name(table)} (${charts.MEASURES[name].better(table) > 0
      ? "more" : "less"} is better)`);
    charts.plot(place, traces, {xaxis: axis(state.x), yaxis: axis(state.y)});
    const notes = ["A point is the mean over the seeds shown. No other point is as good as one of the line in both "
      + "measures and better in one."];
    const used = all.flatMap(point => point.runs), uses = [state.x, state.y];
    const denominators = new Set(all.filter(point => !point.row.level).map(point => point.row.of));
    if (uses.includes("remaining") && denominators.size > 1) {
      notes.push("Remaining weights are fractions of different matrices here.");
    }
    if (uses.some(name => charts.MEASURES[name].device) && new Set(used.map(run => runs.device[run])).size > 1) {
      notes.push("The runs used different devices: their times and memory do not compare.");
    }
    note.textContent = notes.join(" ");
    const columns = ["on the front", "sparsity", charts.MEASURES[state.x].name(table),
      charts.MEASURES[state.y].name(table), "seeds"];
    const lines = front.map(p => [p.row.label, p.sparsity, shown(p.x), shown(p.y), p.runs.length]);
    list.replaceChildren(charts.table(columns, lines, 1));
  };
  return draw;
};
