// The reader's choice: a panel for the whole page, and the legends of the charts. Both act on every chart.
"use strict";
{
  const {data, element, hidden, rows, runs, tables} = charts;
  const GLYPHS = {
    circle: "●", "x-thin": "✕", square: "■", diamond: "◆", "diamond-tall": "♦", pentagon: "⬟", "triangle-down": "▼",
      "triangle-up": "▲",
    "triangle-left": "◀", "triangle-right": "▶", cross: "✚", x: "✖", hexagon: "⬢", hexagon2: "⬣", octagon: "⯃",
      star: "★",
    "y-down": "⅄", "y-up": "Y", "y-left": "≺", "y-right": "≻", "cross-thin": "+", "line-ns": "|", "line-ew": "–",
  };
  const DASHES = {solid: "", dash: "6 3", dot: "2 2", dashdot: "6 2 2 2"};

  const swatch = row => {
    const space = "http://www.w3.org/2000/svg";
    const made = (tag, attributes) => {
      const node = document.createElementNS(space, tag);
      for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
      return node;
    };
    const picture = made("svg", {width: 30, height: 14, "aria-hidden": "true"});
    const dash = row.dash in DASHES ? DASHES[row.dash] : row.dash.replaceAll("px", "").replaceAll(",", " ");
    picture.append(made("line", {x1: 0, x2: 30, y1: 7, y2: 7, stroke: row.colour, "stroke-width": 1.6,
      "stroke-dasharray": dash}));
    const text = made("text", {x: 15, y: 12, "text-anchor": "middle", "font-size": 13, fill: row.colour});
    text.textContent = GLYPHS[row.symbol] || "●";
    picture.append(text);
    return picture;
  };
  const only = label => {
    hidden.rows.clear();
    for (const row of rows) if (row.label !== label) hidden.rows.add(row.label);
    changed();
  };
  const toggle = (set, value) => {
    set.has(value) ? set.delete(value) : set.add(value);
    changed();
  };

  // A legend of native buttons: it wraps on a phone, and the keyboard reaches it.
  charts.legend = (table, names = new Map()) => {
    const shown = rows.filter(row => row.table === table);
    const buttons = shown.map(row => {
      const text = names.get(row.label) || row.short;
      const button = element("button", {type: "button", title: row.label}, swatch(row),
        element("span", {textContent: text}));
      button.addEventListener("click", () => toggle(hidden.rows, row.label));
      button.addEventListener("dblclick", () => only(row.label));
      return button;
    });
    const all = element("button", {type: "button", textContent: "show all", className: "all"});
    all.addEventListener("click", () => { hidden.rows.clear(); changed(); });
    const box = element("div", {className: "legend"}, ...buttons, all);
    box.setAttribute("role", "group");
    box.setAttribute("aria-label", "rows shown; a double click shows one alone");
    const update = () => {
      buttons.forEach((button, i) => button.setAttribute("aria-pressed", String(!hidden.rows.has(shown[i].label))));
      all.hidden = !hidden.rows.size;
    };
    return {box, update};
  };

  const sets = [
    ["Tasks", hidden.tables, tables.map((table, number) => [number, table.name])],
    ["Seeds", hidden.seeds, [...new Set(runs.seed)].sort((a, b) => a - b).map(seed => [seed, `seed ${seed}`])],
    ["Rows", hidden.rows, [...new Map(rows.map(row => [row.label, row.short]))]],
  ];
  const boxes = [];
  const summary = element("summary");
  const panel = element("details", {id: "choice"}, summary);
  for (const [title, set, options] of sets.filter(([, , options]) => options.length > 1)) {
    const field = element("fieldset", {}, element("legend", {textContent: title}));
    const none = () => options.forEach(([value]) => set.add(value));
    for (const [text, act] of [["all", () => set.clear()], ["none", none]]) {
      const button = element("button", {type: "button", textContent: text});
      button.addEventListener("click", () => { act(); changed(); });
      field.append(button);
    }
    for (const [value, text] of options) {
      const box = element("input", {type: "checkbox", checked: true});
      box.addEventListener("change", () => toggle(set, value));
      boxes.push(() => { box.checked = !set.has(value); });
      field.append(element("label", {}, box, ` ${text}`));
    }
    panel.append(field);
  }
  const describe = () => {
    const parts = sets.filter(([, set]) => set.size)
      .map(([title, set, options]) => `${options.length - set.size} of ${options.length} ${title.toLowerCase()}`);
    summary.textContent = `Choose tasks, seeds, rows (shown: ${parts.join(", ") || "all"})`;
  };
  const changed = () => {
    boxes.forEach(update => update());
    describe();
    charts.redraw();
  };
  describe();
  if (boxes.length && document.querySelector(".chart")) document.body.append(panel);
}
