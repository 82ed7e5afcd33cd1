// Parts that several sections use: names, switches, tables that sort.

const dot = (model) => h("i", { class: model.before ? "key ring" : "key", style: { "--hue": model.hue }, "aria-hidden": "true" });
const modelName = (model) => h("span", { class: "chip", title: model.name }, dot(model), h("bdi", {}, model.name));

function domainName(domain) {
  return h("span", { class: "domain", "data-tip": domain.line || null }, h("bdi", {}, domain.short),
    domain.source ? h("span", { class: "mini" }, "source") : null,
    domain.pooled ? h("span", { class: "mini" }, "pooled") : null,
    domain.fit ? h("span", { class: "mini", "data-tip": "Calibrators were fitted on these images: this is no judgement." }, "fitted on") : null);
}

let groups = 0;
// Radio buttons that look like one switch. `options`: [value, words, explanation].
function segments(label, options, chosen, choose) {
  const name = `group${(groups += 1)}`;
  return h("fieldset", { class: "segments" }, h("legend", { class: "hidden" }, label), options.map(([value, words, explanation]) =>
    h("label", { class: "segment", "data-tip": explanation || null },
      h("input", { type: "radio", name, value, checked: value === chosen, onchange: () => choose(value) }), h("span", {}, words))));
}

// `options`: [value, words], or [title, [[value, words], …]] for a group.
function picker(label, options, chosen, choose, id = null) {
  const option = ([value, words]) => h("option", { value, selected: value === chosen }, words);
  const select = h("select", { id, "aria-label": label, onchange: () => choose(select.value) },
    options.map((row) => (Array.isArray(row[1]) ? h("optgroup", { label: row[0] }, row[1].map(option)) : option(row))));
  return h("label", { class: "picker" }, h("span", {}, label), select);
}

const modelPicker = (label, chosen, choose, id) => (MODELS.length > 1
  ? picker(label, MODELS.map((m) => [String(m.index), m.name]), String(chosen.index), (v) => choose(MODELS[v]), id) : null);
const domainPicker = (label, domains, chosen, choose, id) => (domains.length > 1
  ? picker(label, domains.map((d) => [String(d.index), d.short]), String(chosen.index), (v) => choose(DOMAINS[v]), id) : null);
const metricPicker = (label, ids, chosen, choose, id) => picker(label, ids.map((name) => [name, METRIC[name].name]), chosen, choose, id);

function scorePicker(id) {
  const place = h("span", { class: "place" });
  if (DATA.scores.length > 1) {
    always(() => {
      const held = place.contains(document.activeElement);
      place.replaceChildren(picker("Score", DATA.scores.map((s) => [s, scoreName(s)]), view.score, (score) => change({ score }), id));
      if (held) place.querySelector("select").focus();
    });
  }
  return place;
}

// Column heads that sort; `columns`: {name, of, text, tip, down}. Gives the head row and the current order.
function sorter(columns, redraw, start = null) {
  const state = { column: start, down: start ? Boolean(start.down) : false };
  const heads = columns.map((column) => h("th", { scope: "col", class: column.text ? "text" : "" },
    h("button", { type: "button", class: "plain", "data-tip": column.tip || null, onclick: () => {
      state.down = state.column === column ? !state.down : Boolean(column.down);
      state.column = column;
      redraw();
    } }, column.name)));
  const mark = () => columns.forEach((c, i) => heads[i].setAttribute("aria-sort", c !== state.column ? "none" : state.down ? "descending" : "ascending"));
  const apply = (rows) => {
    mark();
    return state.column ? ordered(rows, state.column.of, state.down) : rows;
  };
  return { row: h("tr", {}, heads), apply, state };
}

const frame = (label, table) => h("div", { class: "table-frame", tabindex: "0", role: "region", "aria-label": label }, table);

// The first few of many, and a button for the rest.
function folded(few, of = "domains") {
  const state = { all: false };
  const button = h("button", { type: "button", class: "quiet more" });
  const take = (rows) => {
    button.hidden = rows.length <= few;
    button.textContent = state.all ? `Show the first ${few} ${of}` : `Show all ${rows.length} ${of}`;
    return state.all ? rows : rows.slice(0, few);
  };
  const bind = (redraw) => button.addEventListener("click", () => { state.all = !state.all; redraw(); });
  return { button, take, bind };
}

function section(id) {
  byId(id).hidden = false;
  return byId(`${id}-body`);
}
