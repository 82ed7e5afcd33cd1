// Small drawings.

// Expected number with its interval, on a scale from 0 to `most`.
function rangeBar(value, low, high, most) {
  const x = (v) => 3 + (clamp(v, 0, most) / (most || 1)) * 114;
  return svg("svg", { class: "range", viewBox: "0 0 120 14", width: 120, height: 14, role: "img",
    "aria-label": `${amount(value)}, 90 % interval ${whole(low)} to ${whole(high)}` },
  svg("line", { x1: 3, x2: 117, y1: 7, y2: 7, class: "rail" }),
  svg("line", { x1: x(low), x2: Math.max(x(high), x(low) + 0.5), y1: 7, y2: 7, class: "span" }),
  svg("circle", { cx: x(value), cy: 7, r: 3, class: "dot" }));
}

// A bar from 0 to 1 with an optional mark for chance.
function shareBar(share, { strong = false, mark = null, label = "" } = {}) {
  return h("span", { class: strong ? "bar strong" : "bar", role: "img", "aria-label": label || percent(share) },
    h("i", { style: { width: `${100 * clamp(share, 0, 1)}%` } }),
    mark === null ? null : h("b", { style: { left: `${100 * clamp(mark, 0, 1)}%` }, title: `chance: ${probability(mark)}` }));
}

// Mean probability against share of planted errors; square-root axes, since most places are no errors.
function reliabilityDiagram(bins) {
  const side = 216, left = 50, top = 10;
  const x = (v) => left + Math.sqrt(clamp(v, 0, 1)) * side;
  const y = (v) => top + side - Math.sqrt(clamp(v, 0, 1)) * side;
  const ticks = [0, 0.05, 0.25, 0.5, 1];
  const grid = ticks.flatMap((t) => [
    svg("line", { x1: x(t), x2: x(t), y1: y(0), y2: y(1), class: "grid" }),
    svg("line", { x1: x(0), x2: x(1), y1: y(t), y2: y(t), class: "grid" }),
    svg("text", { x: x(t), y: y(0) + 15, "text-anchor": "middle" }, String(t)),
    svg("text", { x: left - 7, y: y(t) + 4, "text-anchor": "end" }, String(t)),
  ]);
  const most = Math.max(...bins.map((b) => b[2]), 1);
  const dots = bins.map(([mean, share, n]) =>
    svg("circle", { cx: x(mean), cy: y(share), r: 2.5 + 2.5 * Math.sqrt(n / most), class: "bin" },
      svg("title", {}, `${plural(n, "place")}: mean probability ${probability(mean)}, planted errors ${percent(share)}`)));
  return svg("svg", { class: "reliability", viewBox: `0 0 ${left + side + 12} ${top + side + 38}`, role: "img",
    "aria-label": "Reliability diagram: probability said against share of planted errors; the diagonal is perfect" },
  grid,
  svg("line", { x1: x(0), y1: y(0), x2: x(1), y2: y(1), class: "ideal" }),
  svg("polyline", { points: bins.map((b) => `${x(b[0])},${y(b[1])}`).join(" "), class: "path" }),
  dots,
  svg("text", { x: left + side / 2, y: top + side + 33, "text-anchor": "middle", class: "axis" }, "probability said"),
  svg("text", { x: -(top + side / 2), y: 10, transform: "rotate(-90)", "text-anchor": "middle", class: "axis" }, "share of planted errors"));
}

// How many findings lie where on the scale of the slider.
function histogram(counts) {
  const most = Math.max(...counts, 1);
  const width = 100 / counts.length;
  return svg("svg", { class: "histogram", viewBox: "0 0 100 20", preserveAspectRatio: "none", "aria-hidden": "true" },
    counts.map((n, i) => {
      const height = n ? Math.max(20 * Math.sqrt(n / most), 1) : 0;
      return svg("rect", { x: i * width + 0.2, y: 20 - height, width: width - 0.4, height });
    }));
}
