// Score against sparsity: a line of means for each row, and a faint point for each run.
"use strict";
charts.kinds.score = (body, number) => {
  const {element, runs, rows, mean, sd, score, plain} = charts;
  const table = charts.tables[number], legend = charts.legend(number);
  const place = element("div"), note = element("p", {className: "pinned note", textContent:
    "Point at a mark for its run; click it to keep its command here. "
    + "A click in the legend hides a row, a double click shows it alone."});
  body.append(place, legend.box, note);
  const position = sparsity => -Math.log10(Math.max(1 - sparsity, 1e-9));
  let pinned = false;

  let showsPublished = true;
  const published = () => table.published.map(({kind, symbol, dash, colours, x, y, text}) => ({
    x, y, text: text.map(words => words.split("; ").map(plain).join("<br>")),
    mode: kind === "line" ? "lines+markers" : "markers", opacity: 0.55, line: {color: colours[0], dash, width: 0.8},
    hovertemplate: "%{text}<extra></extra>", name: "published",
    marker: {color: colours, symbol: `${symbol}-open`, size: 7, line: {color: colours, width: 1.2}},
  }));
  if (table.published.length) {
    const box = element("input", {type: "checkbox", checked: true});
    box.addEventListener("change", () => { showsPublished = box.checked; draw(); });
    body.prepend(element("div", {className: "controls"}, charts.labelled("published numbers, faint", box)));
  }
  const traces = () => {
    const list = [], [low, high] = table.ends;
    for (const [index, members] of charts.groups(charts.ofTable(number), run => runs.row[run])) {
      const row = rows[index];
      const cells = [...charts.groups(members, run => runs.sparsity[run])].sort((a, b) => a[0] - b[0]);
      const isLevel = rows[index].level;
      const x = run => isLevel ? low : position(runs.sparsity[run]);
      const means = cells.map(([sparsity, list]) => {
        const values = list.map(run => runs.score[run]), deviation = sd(values);
        const seeds = `${values.length} seed${values.length > 1 ? "s" : ""}`;
        const text = `${plain(row.short)}<br>sparsity ${sparsity}<br>mean ${score(mean(values))}`
          + `${deviation === null ? "" : ` ± ${score(deviation)}`} over ${seeds}`;
        return [position(sparsity), mean(values), text];
      });
      const level = i => [low + (high - low) * i / 8, means[0][1], means[0][2]];
      const points = isLevel ? Array.from({length: 9}, (_, i) => level(i)) : means;
      list.push({
        x: points.map(p => p[0]), y: points.map(p => p[1]), text: points.map(p => p[2]),
        mode: isLevel ? "lines" : "lines+markers",
        line: charts.line(row), marker: charts.marker(row), hovertemplate: "%{text}<extra></extra>", name: row.label,
      });
      list.push({
        x: members.map(x), y: members.map(run => runs.score[run]), text: members.map(charts.hover),
        customdata: members, mode: "markers", cliponaxis: false,
        marker: charts.marker(row, {size: 6, opacity: 0.45}), hovertemplate: "%{text}<extra></extra>", name: row.label,
      });
    }
    if (showsPublished) list.unshift(...published());
    if (table.constant !== null) {
      list.push({
        x: [low, high], y: [table.constant, table.constant], mode: "lines",
        line: {color: charts.theme().ink, dash: "dot", width: 1},
        hovertemplate: `constant baseline ${score(table.constant)}<extra></extra>`, name: "constant baseline",
      });
    }
    return list;
  };
  const draw = () => {
    legend.update();
    const [low, high] = table.ends;
    charts.plot(place, traces(), {
      xaxis: charts.axis("sparsity (fraction removed, log scale)",
        {range: [low, high], tickvals: table.ticks.map(t => t[0]), ticktext: table.ticks.map(t => t[1])}),
      yaxis: charts.axis(table.metric),
      annotations: table.constant === null ? [] : [{
        x: high, xanchor: "right", y: table.constant, yanchor: "bottom", showarrow: false,
        text: `constant baseline ${score(table.constant)}`, font: {size: 11, color: charts.theme().ink}, bgcolor: charts.theme().paper, opacity: 0.8,
      }],
    });
    if (!pinned) charts.pin(place, note);
    pinned = true;
  };
  return draw;
};
