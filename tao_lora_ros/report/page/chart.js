"use strict";
// Small charts: lines, dots or bars over numbers; {title, x, y, log, series: [{name, color, x, y, mode}], marks}.
function chart(place, {title, x, y, log, series, marks = []}) {
  const figure = make("figure"), caption = make("figcaption");
  caption.append(make("b", title));
  for (const one of series.filter(s => s.name)) {
    const key = make("span", one.name, {class: "key"});
    key.style.setProperty("--c", one.color);
    caption.append(key);
  }
  figure.append(caption);
  place.append(figure);
  // One ascending x for all; what a series has nothing at is left out, not a gap.
  const all = [...new Set(series.flatMap(s => s.x))].sort((p, q) => p - q);
  const columns = series.map(s => { const found = new Map(s.x.map((v, i) => [v, s.y[i]])); return all.map(v => found.get(v)); });
  const axis = {stroke: () => color("soft"), grid: {stroke: () => color("line"), width: 1}, ticks: {show: false}};
  const kinds = {
    dots: {paths: () => null, points: {show: true, size: 5}},
    bars: {paths: uPlot.paths.bars({size: [1, Infinity], gap: 0}), points: {show: false}},
    line: {points: {show: false}},
  };
  const alone = () => place.children.length === 1, height = () => alone() ? 400 : 240;
  const plot = new uPlot({
    width: Math.max(figure.clientWidth, 200), height: height(), legend: {show: false}, cursor: {drag: {x: true, y: false}},
    scales: {x: {time: false}, y: {distr: log ? 3 : 1}},
    axes: [{...axis, label: x, labelSize: 18, size: 34}, {...axis, label: y, labelSize: 18, size: 54}],
    series: [{}, ...series.map(s => ({stroke: () => inked(s.color), fill: s.mode === "bars" ? () => inked(s.color) + "99" : undefined, width: 1.5, spanGaps: true, ...kinds[s.mode]}))],
    hooks: {draw: [u => {
      const g = u.ctx, px = devicePixelRatio;
      g.save(); g.setLineDash([5 * px, 4 * px]); g.lineWidth = px; g.textAlign = "left"; g.font = `${11 * px}px sans-serif`;
      for (const mark of marks) {
        const at = u.valToPos(mark.x, "x", true);
        g.strokeStyle = g.fillStyle = mark.color ? inked(mark.color) : color("soft");
        g.beginPath(); g.moveTo(at, u.bbox.top); g.lineTo(at, u.bbox.top + u.bbox.height); g.stroke();
        g.fillText(mark.text ?? "", at + 4 * px, u.bbox.top + 12 * px);
      }
      g.restore();
    }]},
  }, [all, ...columns], figure);
  const fit = (width = figure.clientWidth) => plot.setSize({width, height: height()});
  new ResizeObserver(() => figure.clientWidth > 50 && fit()).observe(figure);
  addEventListener("beforeprint", () => { document.documentElement.dataset.paper = ""; fit(alone() ? PAPER : PAPER / 2 - 6); });
  addEventListener("afterprint", () => { delete document.documentElement.dataset.paper; fit(); });
  return plot;
}
