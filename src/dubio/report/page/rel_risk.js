// What is wrong among the pixels that are kept, the surest first.

const RISK = 0.05;

function riskPanel(domain, high) {
  const y = (v) => TOP + (1 - clamp(v / high, 0, 1)) * SIDE;
  const rows = withCells(domain, (cell) => cell.risk_coverage[view.score]?.length > 1).map(([model, cell]) => ({
    model, curve: cell.risk_coverage[view.score], kept: number(cell.misclassification[view.score]?.coverage_at_risk_5),
  }));
  const step = high > 0.4 ? 0.2 : high > 0.2 ? 0.1 : high > 0.1 ? 0.05 : 0.02;
  const ys = Array.from({ length: Math.floor(high / step + 1e-6) + 1 }, (_, i) => Number((i * step).toFixed(2)));
  const content = [
    axes({ xs: [0, 0.25, 0.5, 0.75, 1], ys, y, xWords: "share of pixels kept", yWords: "of these wrong", bottom: TOP + SIDE,
      showX: (t) => `${100 * t}%`, showY: (t) => `${Math.round(100 * t)}%` }),
    RISK < high ? svg("line", { x1: px(0), x2: px(1), y1: y(RISK), y2: y(RISK), class: "ideal" }) : null,
    rows.map(({ model, curve, kept }) => svg("g", { style: { "--hue": model.hue } },
      svg("path", { class: "line", d: path(curve.map(([c, r]) => [px(c), y(r)])), "stroke-dasharray": model.index >= HUES ? "5 3" : null }),
      kept === null || kept === 0 || kept >= 1 ? null : svg("circle", { class: "point", cx: px(kept), cy: y(RISK), r: 4 }))),
  ];
  const at = (v) => (rows.length ? { x: v, title: `${percent(v)} of pixels kept`,
    rows: rows.map((r) => [r.model, `${percent(r.curve.reduce((a, b) => (Math.abs(b[0] - v) < Math.abs(a[0] - v) ? b : a))[1])} of them wrong`]) } : null);
  const words = rows.map(({ model, kept }) => [model, kept === null ? "–" : `keeps ${percent(kept)}`]);
  const drawing = rows.length
    ? chart(`Risk and coverage in ${domain.name}, pixels kept at 5 % errors: ${words.map(([m, w]) => `${m.name} ${w}`).join(", ")}`, TOP + SIDE + 38, content, at)
    : h("p", { class: "empty" }, "There is no curve for this score here.");
  return panel(domain, drawing, words);
}

function showRisk() {
  if (!DATA.cells.some((cell) => Object.values(cell.risk_coverage).some((c) => c.length > 1))) return;
  const body = section("risk");
  const grid = h("div", { class: "panels" }), fold = folded(8);
  const draw = () => {
    const domains = fold.take(panelOrder());
    const ends = domains.flatMap((d) => withCells(d, (c) => c.risk_coverage[view.score]?.length).flatMap(([, c]) => c.risk_coverage[view.score].filter(([share]) => share > 0.02).map(([, r]) => r)));
    const high = Math.min(Math.max(Math.ceil(Math.max(0.06, ...ends) * 20) / 20, 0.1), 1);
    grid.replaceChildren(...domains.map((d) => riskPanel(d, high)));
  };
  fold.bind(draw);
  body.append(h("p", { class: "muted" }, "Pixels are kept in the order of their doubt, the surest first. Where a line crosses the dashed one, 5\u00a0% of what is kept are wrong: the numbers below say how much that is."),
    h("div", { class: "controls left" }, scorePicker("risk-score")), grid, fold.button);
  always(draw);
}
