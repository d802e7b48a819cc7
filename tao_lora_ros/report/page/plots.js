"use strict";
// Signals over one time axis. Where few enough samples are in sight each one is drawn; elsewhere a
// block from the least to the greatest of a bucket of time, as wide as the bucket: no more is known.
const MOST_ROWS = 12000;  // samples of a source in sight
const AXIS = 54, HEIGHT = 130, TIMES = 26;
const PAPER = 690;  // what fits within the margins of A4

// The stretches of [a, b] that a source is drawn by: {rows: [i, j]} of samples, or {from, to} of buckets.
function stretches(run, source, a, b) {
  const times = unpacked(source, "times", Float64Array), found = [];
  let first = 0, total = 0, inside = [];
  for (const [from, to, count] of source.spans) {
    if (to >= a && from <= b) {
      // One more at each side: a line runs out of sight.
      const i = Math.max(lowerBound(times, a, first, first + count) - 1, first);
      const j = Math.min(lowerBound(times, b, first, first + count) + 1, first + count);
      inside.push({from, to, rows: [i, j]});
      total += j - i;
    }
    first += count;
  }
  if (source.enveloped && total > MOST_ROWS) inside = [];
  let done = a;
  for (const span of inside) {
    if (source.enveloped && span.from > done) found.push({from: done, to: span.from});
    found.push(span);
    done = Math.max(done, span.to);
  }
  if (source.enveloped && done < b) found.push({from: done, to: b});
  return found;
}
// The buckets of a stretch: first and last, open ended.
function buckets(run, {from, to}) {
  const edges = unpacked(run, "edges", Float64Array);
  let i = lowerBound(edges, from);
  if (i && edges[i] > from) i--;
  return [i, Math.min(lowerBound(edges, to), edges.length - 1)];
}

class Panel {
  constructor(plots, panel) {
    Object.assign(this, {plots, panel, run: plots.run, source: plots.run.sources[panel.source]});
    this.figure = make("figure", null, {class: "panel", "data-title": panel.title});
    this.caption = make("figcaption");
    this.caption.append(make("b", panel.title));
    this.keys = panel.lines.map(line => {
      const key = make("span", line.name, {class: "key"}), value = make("span");
      key.style.setProperty("--c", line.color);
      key.append(" ", value);
      this.caption.append(key);
      return value;
    });
    this.note = make("span", "", {class: "note"});
    this.caption.append(this.note);
    this.figure.append(this.caption);
    this.stale = true;
  }
  lines() { return this.panel.lines; }
  // What is in sight: times and values of samples, a NaN between stretches; blocks; the range of all.
  look() {
    const [a, b] = this.plots.view, times = unpacked(this.source, "times", Float64Array);
    const x = [], ys = this.lines().map(() => []), blocks = [];
    let [least, most] = this.panel.range ?? [Infinity, -Infinity];
    const widen = y => { if (y < least) least = y; if (y > most) most = y; };
    for (const stretch of stretches(this.run, this.source, a, b)) {
      if (!stretch.rows) {
        const [i, j] = buckets(this.run, stretch);
        blocks.push({...stretch, i, j});
        for (const line of this.lines()) {
          const low = unpacked(line, "low", Float32Array), high = unpacked(line, "high", Float32Array);
          for (let k = i; k < j; k++) { widen(low[k]); widen(high[k]); }
        }
        continue;
      }
      const [i, j] = stretch.rows;
      for (let k = i; k < j; k++) x.push(times[k]);
      x.push(times[j - 1] ?? stretch.to);
      this.lines().forEach((line, n) => {
        const values = unpacked(line, "values", Float32Array);
        for (let k = i; k < j; k++) {
          const y = values[k];
          ys[n].push(y === y ? y : null);
          if (times[k] >= a && times[k] <= b) widen(y);
        }
        ys[n].push(null);
      });
    }
    if (!(least <= most)) [least, most] = [-1, 1];
    if (least === most) [least, most] = [least - 1, most + 1];
    const room = this.panel.range ? 0 : 0.05 * (most - least);
    return {data: [x, ...ys], blocks, limits: [least - room, most + room]};
  }
  draw() {
    this.stale = false;
    this.seen = this.look();
    if (!this.seen.data[0].length) this.seen.data = [[...this.plots.view], ...this.lines().map(() => [null, null])];
    if (!this.plot) this.begin();
    else this.plot.setData(this.seen.data);
    this.tell();
  }
  begin() {
    const axis = {stroke: () => color("soft"), grid: {stroke: () => color("line"), width: 1}, ticks: {show: false}};
    this.plot = new uPlot({
      width: this.plots.width, height: this.height ?? HEIGHT,
      legend: {show: false},
      cursor: {sync: {key: this.plots.key, setSeries: false}, drag: {x: true, y: false, setScale: false}, y: false},
      scales: {x: {time: false, range: () => this.plots.view}, y: {range: () => this.seen.limits}},
      axes: [{...axis, space: 80, size: this.xAxis ? 8 + TIMES : 8, values: (u, ticks) => this.xAxis ? ticks.map(t => `${Number(t.toFixed(9))} s`) : []},
        {...axis, size: AXIS, space: 22, ...this.yAxis}],
      padding: [6, 24, 0, 0],
      series: [{}, ...this.lines().map(line => ({stroke: () => inked(line.color), width: 1, points: {size: 4}}))],
      hooks: {
        drawAxes: [u => this.background(u)],
        setSelect: [u => this.select(u)],
        setCursor: [u => this.follow(u)],
      },
    }, this.seen.data, this.figure);
  }
  select(u) {
    if (u.select.width < 3) return;
    const [a, b] = [u.posToVal(u.select.left, "x"), u.posToVal(u.select.left + u.select.width, "x")];
    u.setSelect({left: 0, top: 0, width: 0, height: 0}, false);
    this.plots.show(a, b);
  }
  background(u) {
    const g = u.ctx, {left, top, width, height} = u.bbox, px = devicePixelRatio;
    const X = t => u.valToPos(t, "x", true), Y = y => u.valToPos(y, "y", true);
    g.save();
    g.beginPath(); g.rect(left, top, width, height); g.clip();
    this.shade(g, X, top, height, px);
    for (const line of this.lines()) {
      const path = new Path2D();
      for (const block of this.seen.blocks) this.blockPath(path, block, line, X, Y);
      g.globalAlpha = 0.6; g.fillStyle = inked(line.color); g.fill(path);
    }
    g.globalAlpha = 1;
    if (this.panel.level !== undefined && this.panel.level !== null) {
      g.strokeStyle = "#dc2626"; g.lineWidth = px; g.setLineDash([5 * px, 4 * px]);
      g.beginPath(); g.moveTo(left, Y(this.panel.level)); g.lineTo(left + width, Y(this.panel.level)); g.stroke();
    }
    g.restore();
  }
  // A block for each bucket, and one for all that share a pixel.
  blockPath(path, {from, to, i, j}, line, X, Y) {
    const edges = unpacked(this.run, "edges", Float64Array), px = devicePixelRatio;
    let begin = null, low = Infinity, high = -Infinity;
    for (let k = i; k < j; k++) {
      const [least, most] = [line.low[k], line.high[k]];
      const end = X(Math.min(edges[k + 1], to)), known = least === least;
      if (known) {
        begin ??= X(Math.max(edges[k], from));
        if (least < low) low = least;
        if (most > high) high = most;
      }
      if (begin === null || known && end - begin < px && k < j - 1) continue;
      const y = Y(high), right = known ? end : X(edges[k]);
      path.rect(begin, y - px / 2, Math.max(right - begin, px), Y(low) - y + px);
      begin = null; low = Infinity; high = -Infinity;
    }
  }
  // Events over the whole height, truth along the foot: bands, as long as they can be told apart.
  shade(g, X, top, height, px) {
    const [a, b] = this.plots.view;
    for (const lane of this.run.lanes) {
      if (lane.name === "route") continue;
      const bars = lane.bars.filter(bar => bar[1] >= a && bar[0] <= b);
      if (bars.length > 150) continue;
      const truth = lane.name === "truth";
      for (const [from, to, fill] of bars) {
        g.globalAlpha = truth ? 0.9 : 0.16; g.fillStyle = fill;
        const foot = truth ? 4 * px : height;
        g.fillRect(X(from), top + height - foot, Math.max(X(to) - X(from), px), foot);
      }
    }
    g.globalAlpha = 0.7;
    for (const e of this.run.events) {
      if (e.peak < a || e.peak > b || X(e.to) - X(e.from) < 12 * px) continue;
      g.fillStyle = e.color;
      g.fillRect(X(e.peak) - px / 2, top, px, height);
    }
    g.globalAlpha = 1;
  }
  tell() {
    const {blocks} = this.seen, edges = blocks.length && unpacked(this.run, "edges", Float64Array);
    const widest = Math.max(0, ...blocks.map(({i, j}) => j > i ? edges[j] - edges[i] : 0).map((w, n) => w / (blocks[n].j - blocks[n].i || 1)));
    const [a, b] = this.plots.view, all = blocks.length === 1 && blocks[0].from <= a && blocks[0].to >= b;
    this.note.textContent = !blocks.length ? "every sample"
      : (all ? "" : "every sample near events, else ") + `least and greatest in each ${seconds(widest)}`;
  }
  follow(u) {
    const inside = u.cursor.left >= 0, x = inside ? u.posToVal(u.cursor.left, "x") : 0;
    if (inside) this.plots.pointed(x);
    this.keys.forEach((key, n) => { key.textContent = inside ? this.valueAt(this.lines()[n], x) : ""; });
  }
  valueAt(line, x) {
    const times = unpacked(this.source, "times", Float64Array);
    for (const stretch of stretches(this.run, this.source, ...this.plots.view)) {
      if (stretch.from > x || stretch.to < x) continue;
      if (stretch.rows) {
        const [i, j] = stretch.rows, k = lowerBound(times, x, i, j);
        const near = k > i && (k >= j || x - times[k - 1] < times[k] - x) ? k - 1 : k;
        const y = unpacked(line, "values", Float32Array)[near];
        return y === y ? y.toPrecision(4) : "";
      }
      const k = lowerBound(unpacked(this.run, "edges", Float64Array), x) - 1;
      return line.low[k] === line.low[k] ? `${line.low[k]?.toPrecision(3)} … ${line.high[k]?.toPrecision(3)}` : "";
    }
    return "";
  }
}
const seconds = s => s >= 1 ? `${s.toPrecision(3)} s` : `${(1000 * s).toPrecision(3)} ms`;

// Route, events and truth as bars; a click on an event chooses it.
class Lanes extends Panel {
  constructor(plots) {
    super(plots, {title: "", lines: [], source: null});
    this.caption.remove();
    this.figure.classList.add("lanes");
    this.xAxis = true;
    this.yAxis = {
      splits: () => this.run.lanes.map((_, i) => this.run.lanes.length - i - 0.5), grid: {show: false},
      values: () => this.run.lanes.map(lane => lane.name), gap: 2,
    };
    this.height = 18 * plots.run.lanes.length + 42;
    this.figure.addEventListener("click", event => this.choose(event));
  }
  look() { return {data: [[...this.plots.view]], blocks: [], limits: [0, Math.max(this.run.lanes.length, 1)]}; }
  tell() {}
  shade(g, X, top, height, px) {
    const row = height / Math.max(this.run.lanes.length, 1);
    this.run.lanes.forEach((lane, i) => {
      for (const [from, to, fill] of lane.bars) {
        g.fillStyle = fill;
        g.fillRect(X(from), top + i * row + 2 * px, Math.max(X(to) - X(from), 1.5 * px), row - 4 * px);
      }
    });
  }
  choose(event) {
    const u = this.plot, box = u.over.getBoundingClientRect(), pixel = u.posToVal(1, "x") - u.posToVal(0, "x");
    const lane = this.run.lanes[Math.floor((event.clientY - box.top) / box.height * this.run.lanes.length)];
    const x = u.posToVal(event.clientX - box.left, "x");
    const far = bar => Math.max(bar[0] - x, x - bar[1], 0);
    const bar = lane?.bars.filter(b => b.length > 4).sort((p, q) => far(p) - far(q))[0];
    if (bar && far(bar) < 6 * pixel) this.plots.chosen(bar);
  }
}

class Plots {
  constructor(place, run, {chosen = () => {}, pointed = () => {}, changed = () => {}, lanes = true} = {}) {
    Object.assign(this, {place, run, chosen, pointed, changed});
    this.key = `run${Plots.count = (Plots.count ?? 0) + 1}`;
    this.grown();
    this.view = [...this.whole];
    this.width = Math.max(place.clientWidth, 200);
    this.panels = [...(lanes ? [new Lanes(this)] : []), ...run.panels.map(panel => new Panel(this, panel))];
    Object.assign(this.panels[this.panels.length - 1] ?? {}, {xAxis: true, height: HEIGHT + TIMES});
    this.closing = new AbortController();
    const {signal} = this.closing, seen = new IntersectionObserver(entries => {
      for (const {target, isIntersecting} of entries) {
        const panel = this.panels.find(p => p.figure === target);
        if (panel) panel.visible = isIntersecting;
      }
      this.redraw();
    }, {rootMargin: "400px"});
    for (const panel of this.panels) { place.append(panel.figure); seen.observe(panel.figure); }
    const sized = new ResizeObserver(() => this.resize(place.clientWidth));
    sized.observe(place);
    signal.addEventListener("abort", () => { seen.disconnect(); sized.disconnect(); });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.show(...this.view), {signal});
    // Paper is light, and has a width of its own.
    addEventListener("beforeprint", () => { document.documentElement.dataset.paper = ""; this.resize(PAPER, true); }, {signal});
    addEventListener("afterprint", () => { delete document.documentElement.dataset.paper; this.resize(place.clientWidth, true); }, {signal});
    this.touch();
  }
  close() {
    this.closing.abort();
    for (const panel of this.panels) panel.plot?.destroy();
    this.panels = [];
    this.place.replaceChildren();
  }
  grown() {
    const edges = unpacked(this.run, "edges", Float64Array), last = Math.max(this.run.end, edges[edges.length - 1] ?? 0);
    this.whole = [Math.min(edges[0] ?? 0, last), Math.max(last, (edges[0] ?? 0) + 1e-3)];
  }
  resize(width, all = false) {
    const paper = "paper" in document.documentElement.dataset;
    if (width < 50 || (width === this.width || paper) && !all) return;
    this.width = width;
    for (const panel of this.panels) {
      panel.stale = true;
      if (panel.plot) panel.plot.setSize({width, height: panel.plot.height});
    }
    this.redraw(all);
  }
  redraw(all = false) {
    for (const panel of this.panels) if (panel.stale && (panel.visible || all) && !panel.figure.hidden) panel.draw();
  }
  show(a, b) {
    const [first, last] = this.whole, width = Math.min(Math.max(b - a, 1e-4), last - first);
    const from = Math.min(Math.max(a, first), last - width);
    this.view = [from, from + width];
    for (const panel of this.panels) panel.stale = true;
    this.pending ??= requestAnimationFrame(() => { this.pending = undefined; this.redraw(); });
    this.changed();
  }
  zoom(factor, around = (this.view[0] + this.view[1]) / 2) {
    this.show(around - (around - this.view[0]) * factor, around + (this.view[1] - around) * factor);
  }
  pan(share) { const by = share * (this.view[1] - this.view[0]); this.show(this.view[0] + by, this.view[1] + by); }
  all() { this.show(...this.whole); }
  hide(title, hidden) {
    for (const panel of this.panels) if (panel.panel.title === title) panel.figure.hidden = hidden;
    this.redraw();
  }
  // One finger moves along, two zoom; up and down scrolls the page.
  touch() {
    const {signal} = this.closing, fingers = new Map(), time = x => {
      const over = this.panels.find(p => p.plot && !p.figure.hidden).plot.over.getBoundingClientRect();
      return this.view[0] + (x - over.left) / over.width * (this.view[1] - this.view[0]);
    };
    this.place.addEventListener("pointerdown", e => { if (e.pointerType === "touch") fingers.set(e.pointerId, e.clientX); }, {signal});
    for (const end of ["pointerup", "pointercancel", "pointerleave"]) this.place.addEventListener(end, e => fingers.delete(e.pointerId), {signal});
    this.place.addEventListener("pointermove", e => {
      if (!fingers.has(e.pointerId)) return;
      const before = [...fingers.values()];
      fingers.set(e.pointerId, e.clientX);
      const now = [...fingers.values()];
      if (now.length === 1) { const by = time(before[0]) - time(now[0]); this.show(this.view[0] + by, this.view[1] + by); }
      else {
        const width = v => Math.max(Math.abs(v[1] - v[0]), 10);
        this.zoom(width(before) / width(now), time((now[0] + now[1]) / 2));
      }
    }, {signal});
    this.place.addEventListener("dblclick", () => this.all(), {signal});
    this.place.addEventListener("wheel", e => {
      if (!e.ctrlKey && !e.shiftKey) return;
      e.preventDefault();
      this.zoom(e.deltaY + e.deltaX > 0 ? 1.25 : 0.8, time(e.clientX));
    }, {passive: false, signal});
  }
}
