// The examples on which two runs differ: how many, and which.
"use strict";
charts.kinds.disagreement = (body, number) => {
  const {element, shown} = charts, MOST = 200, answers = charts.answers(number);
  const controls = element("div", {className: "controls"}), note = element("p", {className: "note"});
  const counts = element("div"), list = element("div", {className: "tall"});
  if (!answers.kind) {
    const reason = answers.note || "No run has predictions that can be read.";
    body.append(element("p", {className: "note", textContent: reason}));
    return () => {};
  }
  const state = {group: "all", text: ""};
  const input = element("input", {type: "search", size: 16});
  input.addEventListener("input", () => { state.text = input.value.toLowerCase(); fill(); });
  const groups = [["all", "all that differ"], ["a", "only A right"], ["b", "only B right"], ["none", "both wrong"]];
  const group = charts.select(groups, "all", value => { state.group = value; fill(); });
  const filters = element("div", {className: "controls"}, 
    ...(answers.kind === "number" ? [] : [charts.labelled("show", group)]),
    charts.labelled("containing", input));
  body.append(controls, counts, filters, list, note);

  // Return for each example its label, the two answers, whether each is right, and how much they differ.
  const examples = () => {
    const {a, b} = answers.pair();
    if (a === null || b === null) return [];
    const [first, second] = [answers.read(a), answers.read(b)];
    return answers.labels.map((label, i) => {
      const id = answers.id(i);
      if (answers.kind === "number") {
        const gap = Math.abs(first[i] - second[i]);
        const errors = [first[i], second[i]].map(value => Math.abs(value - label));
        return {id, cells: [label, first[i], second[i]], gap, errors};
      }
      const [one, two] = answers.kind === "class" ? [first[i], second[i]] : [first.texts[i], second.texts[i]];
      const right = answers.kind === "class" ? [one === label, two === label]
        : [first.right[i] === 1, second.right[i] === 1];
      const given = [label, one, two];
      const named = answers.kind === "class" ? given.map(position => answers.named(i, position)) : given;
      const cells = answers.question ? [answers.question(i), answers.choices(i).join(" / "), ...named] : named;
      return {id, cells, gap: Number(one !== two), right};
    });
  };
  const where = {
    all: () => true, a: e => e.right[0] && !e.right[1], b: e => !e.right[0] && e.right[1],
    none: e => !e.right[0] && !e.right[1],
  };
  let found = [];
  const fill = () => {
    const fits = e => e.gap > 0 && (answers.kind === "number" || where[state.group](e))
      && (!state.text || [e.id, ...e.cells].some(text => String(text).toLowerCase().includes(state.text)));
    const matching = found.filter(fits).sort((a, b) => b.gap - a.gap);
    const asked = answers.question ? ["question", "choices"] : [];
    const columns = ["id", ...asked, "label", "answer of A", "answer of B", ...(answers.kind === "number" ? ["|A − B|"] : [])];
    const gap = e => answers.kind === "number" ? [shown(e.gap)] : [];
    const lines = matching.slice(0, MOST).map(e => [e.id, ...e.cells, ...gap(e)]);
    const none = element("p", {textContent: "No example fits."});
    list.replaceChildren(lines.length ? charts.table(columns, lines, 4 + asked.length) : none);
    const left = matching.length > MOST
      ? ` The first ${MOST} of ${matching.length.toLocaleString("en")} are listed.` : "";
    const stored = answers.unit || answers.question ? "" : " The page does not have the texts.";
    const ids = `The ids are those of predictions.parquet.${stored}`;
    note.textContent = `${ids}${left} ${answers.note}`.trim();
  };
  return () => {
    answers.controls(controls);
    found = examples();
    filters.hidden = list.hidden = !found.length;
    if (!found.length) {
      counts.replaceChildren(element("p",
        {textContent: "Fewer than two of the chosen runs have predictions in the page."}));
      note.textContent = answers.note;
      return;
    }
    if (answers.kind === "number") {
      const errors = [0, 1].map(k => shown(charts.mean(found.map(e => e.errors[k]))));
      counts.replaceChildren(element("p",
        {textContent: `Mean absolute error: A ${errors[0]}, B ${errors[1]}. Largest differences first.`}));
    } else {
      const tally = test => found.filter(test).length;
      const tests = [e => e.right[0] && e.right[1], where.a, where.b, where.none, e => e.gap > 0];
      const columns = ["both right", "only A right", "only B right", "both wrong", "answers differ"];
      counts.replaceChildren(charts.table(columns, [tests.map(tally)], 0));
    }
    fill();
  };
};
