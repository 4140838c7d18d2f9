// Two runs' answers: the confusion matrices of classes, and the examples on which the runs differ.
"use strict";
charts.decode = (text, bits, count) => {
  const bytes = Uint8Array.from(atob(text), c => c.charCodeAt(0)), per = 8 / bits, mask = 2 ** bits - 1;
  return Array.from({length: count}, (_, i) => (bytes[Math.floor(i / per)] >> (i % per) * bits) & mask);
};
charts.answers = number => {
  const found = charts.data.predictions[number], ids = found.ids, count = typeof ids === "number" ? ids : ids?.length;
  const cache = new Map();
  const unpack = packed => found.kind === "class" ? charts.decode(packed, found.bits, count) : packed;
  const read = run => {
    if (!cache.has(run)) {
      const packed = found.runs[run];
      const texts = () => ({right: charts.decode(packed.right, 1, count), texts: packed.texts,
        confusion: packed.confusion});
      cache.set(run, found.kind === "text" ? texts() : unpack(packed));
    }
    return cache.get(run);
  };
  const known = () => charts.ofTable(number).filter(run => String(run) in found.runs);
  // Keep the pair within what is chosen. Until the reader picks one, it is the best run, and the best of another row at
  // its sparsity and seed.
  const pair = () => {
    const {row, runs} = charts, sign = charts.tables[number].lower ? 1 : -1, chosen = charts.pairs[number];
    const list = known().sort((a, b) => row(a).level - row(b).level || sign * (runs.score[a] - runs.score[b]));
    if (!chosen.picked || !list.includes(chosen.a)) chosen.a = list[0] ?? null;
    if (!chosen.picked || !list.includes(chosen.b) || chosen.b === chosen.a) {
      const ofOtherRows = list.filter(run => row(run) !== row(chosen.a));
      const others = ofOtherRows.length ? ofOtherRows : list.filter(run => run !== chosen.a);
      const like = key => run => runs[key][run] === runs[key][chosen.a];
      const alike = others.filter(like("sparsity"));
      chosen.b = alike.find(like("seed")) ?? alike[0] ?? others[0] ?? null;
    }
    return chosen;
  };
  const controls = place => {
    const chosen = pair(), options = known().map(run => [run, charts.runName(run)]);
    const focused = [...place.querySelectorAll("select")].indexOf(document.activeElement);
    const selects = [["a", "b"], ["b", "a"]].map(([key, other]) => charts.select(options, chosen[key], value => {
      if (chosen[other] === Number(value)) chosen[other] = chosen[key];
      chosen[key] = Number(value);
      chosen.picked = true;
      charts.redraw();
    }));
    place.replaceChildren(...selects.map((select, i) => charts.labelled(`run ${"AB"[i]}`, select)));
    selects[focused]?.focus();
  };
  return {
    kind: found.kind, note: found.note, classes: found.classes, unit: found.unit, count, read, pair, controls,
    // Of a task in which one of several texts is chosen: the text of example i, and its choice at a position.
    question: found.question && (i => found.question[i]), choices: i => found.choices[i],
    named: (i, position) => found.question ? found.choices[i][position] : found.classes[position],
    labels: found.kind ? unpack(found.label) : [],
    id: i => typeof ids === "number" ? String(i) : ids[i],
  };
};
charts.kinds.confusion = (body, number) => {
  const {element, plain} = charts, answers = charts.answers(number);
  const note = element("p", {className: "note"}), controls = element("div", {className: "controls"});
  if (!answers.classes) {
    note.textContent = answers.note || "This task has no classes, so there is no confusion matrix.";
    body.append(note);
    return () => {};
  }
  const places = [element("div"), element("div")], both = element("div", {className: "pair"}, ...places);
  body.append(controls, both, note);
  const names = answers.classes, short = names.map(name => name.length > 18 ? `${name.slice(0, 17)}…` : name);
  const count = run => {
    if (answers.unit) return answers.read(run).confusion;
    const table = names.map(() => names.map(() => 0)), given = answers.read(run);
    answers.labels.forEach((label, i) => { table[label][given[i]] += 1; });
    return table;
  };
  const share = line => {
    const sum = line.reduce((a, b) => a + b, 0);
    return line.map(value => sum ? value / sum : 0);
  };
  const sign = value => value > 0 ? "+" : value < 0 ? "−" : "";
  const unit = answers.unit ?? "examples", sums = "A row is a label; its cells add up to 100 %.";
  const reading = {
    entities: `${sums} Entities are compared that have the same words. The column “no entity” has the missed ones, `
      + "and the row “no entity” the spurious ones.",
    words: `${sums} Words are counted.`,
  };
  const percent = value => `${(100 * value).toFixed(1)} %`;
  const heat = (place, title, z, texts, hovers, scale) => charts.plot(place, [{
    type: "heatmap", z, text: hovers, x: short.map((_, i) => i), y: short.map((_, i) => i), ...scale, showscale: false,
      xgap: 2, ygap: 2,
    hovertemplate: "%{text}<extra></extra>",
  }], {
    height: Math.min(640, 120 + 40 * names.length), margin: {l: 70, r: 12, t: 40, b: 60},
    title: {text: plain(title), font: {size: 13}},
    xaxis: charts.axis("predicted", {tickvals: short.map((_, i) => i), ticktext: short.map(plain), showgrid: false}),
    yaxis: charts.axis("label", {tickvals: short.map((_, i) => i), ticktext: short.map(plain), showgrid: false,
      autorange: "reversed"}),
    annotations: names.length > 8 ? [] : texts.flatMap((line, y) => line.map((text, x) => ({
      x, y, text, showarrow: false,
      font: {color: Math.abs(z[y][x]) > 0.7 * scale.zmax ? "#ffffff" : charts.theme().ink},
    }))),
  }, {displayModeBar: false});
  return () => {
    answers.controls(controls);
    const {a, b} = answers.pair();
    both.hidden = a === null;
    note.textContent = answers.note || (a === null ? "No chosen run has predictions in the page."
      : `${reading[answers.unit] ?? sums} ${
      answers.count.toLocaleString("en")} examples. The right one is run B minus run A, in points of a row's share.`);
    if (a === null) return;
    const first = count(a), shares = first.map(share), paper = charts.theme().paper;
    const name = (x, y) => `label ${plain(names[y])}<br>predicted ${plain(names[x])}`;
    heat(places[0], `run A, ${charts.row(a).short}`, shares,
      first.map((line, y) => line.map((value, x) => `${value}<br>${percent(shares[y][x])}`)),
      first.map((line, y) => line.map((value, x) =>
        `${name(x, y)}<br>${value} ${unit}, ${percent(shares[y][x])} of the label's`)),
      {zmin: 0, zmax: 1, colorscale: [[0, paper], [1, "#00507d"]]});
    places[1].hidden = b === null;
    if (b === null) return;
    const second = count(b), gap = second.map(share).map((line, y) => line.map((value, x) => value - shares[y][x]));
    const most = Math.max(1e-9, ...gap.flat().map(Math.abs));
    const points = value => sign(value) + Math.abs(100 * value).toFixed(1);
    const change = (x, y) => second[y][x] - first[y][x], signed = value => sign(value) + Math.abs(value);
    heat(places[1], `B minus A, B is ${charts.row(b).short}`, gap,
      gap.map((line, y) => line.map((value, x) => `${signed(change(x, y))}<br>${points(value)}`)),
      gap.map((line, y) => line.map((value, x) =>
        `${name(x, y)}<br>${signed(change(x, y))} ${unit}, ${points(value)} points`)),
      {zmin: -most, zmax: most, colorscale: [[0, "#b04a00"], [0.5, paper], [1, "#00507d"]]});
  };
};
