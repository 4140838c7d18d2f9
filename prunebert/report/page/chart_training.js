// Training: loss, sparsity, the masks' changes and the scores of evaluations over the steps.
"use strict";
charts.kinds.training = (body, number) => {
  const {data, element, runs, rows, plain, shown} = charts;
  const {curves, note} = data.training[number], table = charts.tables[number], legend = charts.legend(number);
  const known = charts.numbers.filter(run => String(run) in curves);
  const sparsities = new Set(known.map(run => runs.sparsity[run]));
  const pruned = [...sparsities].filter(value => value > 0).sort((a, b) => a - b);
  const place = element("div"), foot = element("p", {className: "note"});
  const controls = element("div", {className: "controls"});
  if (!known.length) {
    body.append(element("p", {className: "note", textContent: "No run has training curves that can be read."}));
    return () => {};
  }
  let sparsity = pruned.at(-1) ?? 0;
  const options = [...pruned.map(value => [value, value]), ...(pruned.length > 1 ? [["all", "all"]] : [])];
  const control = charts.select(options, sparsity, value => {
    sparsity = value === "all" ? value : Number(value);
    draw();
  });
  if (pruned.length) controls.append(charts.labelled("sparsity", control));
  body.append(controls, place, legend.box, foot);
  const explanation = "Steps are counted over all phases. A line has few points of a run; its metrics.jsonl has more.";
  foot.textContent = `${note} ${explanation}`.trim();

  const PANELS = [
    ["loss", "loss", curve => [curve.step, curve.loss]],
    ["sparsity", "sparsity", curve => [curve.step, curve.sparsity]],
    ["flips", "changes of side", curve => curve.flips.length ? [curve.step, curve.flips] : [[], []]],
    ["score", `${table.metric}, evaluations`, curve => [curve.score.map(s => s[0]), curve.score.map(s => s[1])]],
  ];
  const phase = (curve, step) => curve.phases.filter(([, first]) => first <= step).at(-1)[0];
  const draw = () => {
    legend.update();
    const members = charts.ofTable(number).filter(run => String(run) in curves
      && (sparsity === "all" || runs.sparsity[run] === sparsity || runs.sparsity[run] === 0));
    const panels = PANELS.filter(([, , read]) => members.some(run => read(curves[run])[0].length));
    const traces = [], layout = {height: 90 + 170 * Math.max(1, panels.length), margin: {l: 64, r: 12, t: 8, b: 44}};
    panels.forEach(([kind, title, read], i) => {
      const high = 1 - i / panels.length, name = i ? `y${i + 1}` : "y";
      layout[`yaxis${i ? i + 1 : ""}`] = charts.axis(title, {domain: [high - 0.9 / panels.length, high]});
      for (const [index, list] of charts.groups(members, run => runs.row[run])) {
        const trace = {
          x: [], y: [], text: [], customdata: [], yaxis: name, mode: kind === "score" ? "lines+markers" : "lines",
          marker: charts.marker(rows[index], {size: 6}), line: charts.line(rows[index], {width: 1.2}),
          hovertemplate: "%{text}<extra></extra>", name: rows[index].label,
        };
        for (const run of list) {
          const [x, y] = read(curves[run]);
          if (x.length === 1) trace.mode = "lines+markers";
          trace.x.push(...x, null);
          trace.y.push(...y, null);
          trace.text.push(...x.map((step, k) =>
            `${plain(charts.runName(run))}<br>${plain(phase(curves[run], step))}, step ${step}<br>`
            + `${plain(title)} ${shown(y[k])}<br>${plain(runs.directory[run].slice(-70))}`), "");
          trace.customdata.push(...x.map(() => run), null);
        }
        traces.push(trace);
      }
    });
    layout.xaxis = charts.axis("step", {anchor: panels.length > 1 ? `y${panels.length}` : "y"});
    charts.plot(place, traces, layout);
  };
  return draw;
};
