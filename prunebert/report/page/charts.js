// What all charts share: the data, the reader's choice of tasks, rows and seeds, and when a chart is drawn.
"use strict";
const charts = (() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const {runs, rows, tables} = data;
  const kinds = {};  // by the name in data-chart: a function (div, table's number) that returns its drawing function
  const hidden = {rows: new Set(), tables: new Set(), seeds: new Set()};  // what the reader has switched off
  const pairs = tables.map(() => ({a: null, b: null, picked: false}));  // the two runs of each table that are compared
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const live = [];  // charts: {div, draw, seen, stale}

  const element = (tag, properties = {}, ...children) => {
    const made = Object.assign(document.createElement(tag), properties);
    made.append(...children);
    return made;
  };
  const labelled = (text, control) => element("label", {}, `${text} `, control);
  const select = (options, chosen, change) => {
    const control = element("select");
    for (const [value, text] of options) {
      control.append(new Option(text, value, false, String(value) === String(chosen)));
    }
    control.addEventListener("change", () => change(control.value));
    return control;
  };
  const table = (columns, lines, texts) => {  // texts: how many columns at the left are no numbers
    const kind = i => i < texts ? "" : "num";
    const head = element("tr", {}, ...columns.map((name, i) =>
      element("th", {scope: "col", className: kind(i)}, element("button", {type: "button", textContent: name}))));
    const cell = (text, i) => {
      const made = element("td", {textContent: text, className: kind(i)});
      const value = Number.parseFloat(String(text).replaceAll(",", "").replace("−", "-"));
      if (i >= texts) made.dataset.sort = Number.isFinite(value) ? value : "-inf";
      return made;
    };
    const body = lines.map(line => element("tr", {}, ...line.map(cell)));
    const made = element("table", {className: "plain"}, element("thead", {}, head), element("tbody", {}, ...body));
    const wide = element("div", {className: "wide", tabIndex: 0}, made);
    wide.setAttribute("role", "region");
    wide.setAttribute("aria-label", "table");
    window.tables.sortable(made);
    window.tables.watch(wide);
    return element("div", {}, wide);
  };

  const row = run => rows[runs.row[run]];
  const isChosen = run => !hidden.rows.has(row(run).label) && !hidden.tables.has(row(run).table)
    && !hidden.seeds.has(runs.seed[run]);
  const numbers = runs.row.map((_, run) => run);
  const ofTable = number => numbers.filter(run => row(run).table === number && isChosen(run));
  const groups = (list, key) => {
    const found = new Map();
    for (const item of list) {
      if (!found.has(key(item))) found.set(key(item), []);
      found.get(key(item)).push(item);
    }
    return found;
  };
  const mean = values => values.reduce((sum, value) => sum + value, 0) / values.length;
  const sd = values => values.length < 2 ? null
    : Math.sqrt(values.reduce((sum, value) => sum + (value - mean(values)) ** 2, 0) / (values.length - 1));
  const shown = value => value === null || value === undefined ? "unknown"
    : Number.isInteger(value) ? value.toLocaleString("en") : Number(value.toPrecision(4)).toLocaleString("en",
      {maximumSignificantDigits: 4});
  const score = value => value.toFixed(4);

  // Plotly reads some HTML in texts, so a name's own signs are escaped.
  const plain = text => String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
  const wrapped = (text, width) =>
    plain(text.replace(new RegExp(`(.{${width}})(?=.)`, "gu"), "$1\n")).replace(/\n/g, "<br>");
  const width = () => Math.max(24, Math.min(90, Math.round(document.documentElement.clientWidth / 14)));
  const runName = run => `${row(run).short}, sparsity ${runs.sparsity[run]}, seed ${runs.seed[run]}`;
  const runFacts = run => [
    runName(run), `${tables[row(run).table].metric} ${score(runs.score[run])}`, `${shown(runs.seconds[run])} s`,
    runs.directory[run], runs.command[run],
  ];
  const hover = run => runFacts(run).map(text => wrapped(text, width())).join("<br>");

  const theme = () => data.themes[dark.matches ? "dark" : "light"];
  const axis = (title, more = {}) => ({
    title: {text: plain(title)}, gridcolor: theme().grid, zeroline: false, linecolor: theme().ink, automargin: true,
    ...more,
  });
  const plot = (place, traces, layout, config = {}) => {
    const {paper, ink, grid} = theme(), small = document.documentElement.clientWidth < 600;
    const full = {
      paper_bgcolor: paper, plot_bgcolor: paper, font: {color: ink, family: "system-ui, sans-serif", size: 12},
      hovermode: "closest", hoverlabel: {align: "left", bgcolor: paper, bordercolor: grid, font: {color: ink, size: 12},
        namelength: -1},
      margin: {l: 56, r: 12, t: 8, b: 44}, showlegend: false, height: 360,
      dragmode: small ? false : "zoom",  // on a phone a finger scrolls the page
      ...layout,
    };
    const allowed = {
      responsive: true, displaylogo: false, doubleClick: "reset", displayModeBar: small ? false : "hover",
      modeBarButtons: [["zoom2d", "pan2d", "zoomIn2d", "zoomOut2d", "resetScale2d"]],  // none that saves or shares
      ...config,
    };
    return Plotly.react(place, traces, full, allowed);
  };
  const line = (r, more = {}) => ({color: r.colour, dash: r.dash, width: 1.6, ...more});
  const marker = (r, more = {}) => ({
    color: r.colour, symbol: r.symbol, size: 8,
    line: {color: r.colour, width: /thin|line|^y-/.test(r.symbol) ? 1.6 : 0}, ...more,
  });
  // A click on a point writes its run below the chart, where its command can be copied.
  const pin = (place, note) => place.on("plotly_click", event => {
    const run = event.points[0].customdata;
    if (typeof run !== "number") return;
    note.replaceChildren(...runFacts(run).flatMap(text => [element("span", {textContent: text}), " "]));
  });

  const isNear = chart => chart.seen && chart.div.isConnected;
  let waiting = false;
  const redraw = () => {
    for (const chart of live) chart.stale = true;
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      live.filter(isNear).forEach(update);
    });
  };
  const update = chart => {
    if (!chart.stale) return;
    chart.stale = false;
    const number = chart.table;
    const off = number >= 0 && hidden.tables.has(number);
    chart.off.hidden = !off;
    chart.body.hidden = off;
    if (!off) chart.draw();
    chart.div.classList.add("drawn");
  };
  const start = () => {
    const watch = new IntersectionObserver(entries => {
      for (const entry of entries) {
        const chart = live.find(each => each.div === entry.target);
        chart.seen = entry.isIntersecting;
        if (chart.seen) update(chart);
      }
    }, {rootMargin: "300px"});
    for (const div of document.querySelectorAll(".chart")) {
      const number = div.dataset.table ? tables.findIndex(each => each.name === div.dataset.table) : -1;
      if (!(div.dataset.chart in kinds) || (div.dataset.table && number < 0)) continue;
      const body = element("div");
      const off = element("p", {className: "note", hidden: true, textContent: "This task is switched off."});
      div.append(off, body);
      div.classList.add("live");
      const draw = kinds[div.dataset.chart](body, number);
      live.push({div, body, off, table: number, seen: false, stale: true, draw});
      watch.observe(div);
    }
    dark.addEventListener("change", redraw);
  };
  return {
    data, runs, rows, tables, kinds, hidden, pairs, live, numbers, element, labelled, select, table, row, isChosen,
    ofTable, groups, mean, sd, shown, score, plain, hover, runName, runFacts, theme, axis, plot, line, marker, pin,
    redraw, start,
  };
})();
