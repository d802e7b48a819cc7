"use strict";
// The page of a run: numbers, plots that zoom, every event.
const PAGE = 100;  // rows of the table at once
let run, plots, shown = [], current = null, first = 0, reported = false, known = false;
let link = text => history.replaceState(null, "", location.pathname + location.search + text);

function begin(data) {
  run = data;
  reported = run.events.some(e => e.reported_ms !== null);
  known = run.events.some(e => e.truth !== null);
  for (const [name, wanted] of [["reported after", reported], ["nearest truth", known]])
    if (!wanted) document.querySelector(`th[data-name="${name}"]`).remove();
  const full = {events: true, latency: run.charts.length, origin: Object.keys(run.provenance).length};
  for (const [id, any] of Object.entries(full)) at(id).hidden = !any;
  plots = new Plots(at("plots"), run, {
    chosen: ([from, , , , number]) => open(run.events.find(e => e.number === number && e.from === from)),
    pointed: x => { at("pointed").textContent = `${x.toFixed(4)} s`; },
    changed: () => tellView(),
  });
  tiles(); provenance(); picker(); tellSamples(); choices(); filter(); tellView();
  run.charts.forEach(one => chart(at("charts"), one));
  if (/^#event-\d+$/.test(location.hash)) open(run.events.find(e => `#event-${e.number}` === location.hash));
}
const told = (x, a, b) => x.toFixed(b - a < 1 ? 4 : b - a < 60 ? 2 : 0);  // as the stretch from a to b wants it
function tellView() {
  at("range").textContent = plots.view.map(x => told(x, ...plots.view)).join(" to ") + " s";
}
function tiles(rows = run.tiles) {
  at("tiles").replaceChildren(...rows.map(([name, value, more]) => {
    const tile = make("div", null, {class: "tile"});
    tile.append(make("div", name, {class: "name"}), make("div", value, {class: "value", "data-level": value}), make("div", more, {class: "more"}));
    return tile;
  }));
}
function provenance() {
  at("provenance").replaceChildren(...Object.entries(run.provenance).flatMap(([name, value]) =>
    [make("dt", name), make("dd", value)]));
}
function picker() {
  const titles = [...new Set(run.panels.map(panel => panel.title))];
  at("picker").replaceChildren(...titles.map(title => {
    const label = make("label"), box = make("input", null, {type: "checkbox"});
    box.checked = true;
    box.addEventListener("change", () => plots.hide(title, !box.checked));
    label.append(box, " ", title);
    return label;
  }));
}
function tellSamples() {
  at("samples").textContent = run.whole ? "Every sample of the run is in this page."
    : `In this page: every sample ${run.cut >= 1e9 ? "around" : "of the first " + seconds(run.cut) + " around"} each event; `
      + "of the rest, least and greatest of short stretches. The recording has it all.";
}

function choices() {
  const before = [at("label").value, at("kind").value];
  const options = (values, all) => [["", all], ...values.map(v => ["=" + v, v])].map(([value, text]) => make("option", text, {value}));
  at("label").replaceChildren(...options([...new Set(run.events.map(e => e.label ?? "unknown"))].sort(), "all"));
  at("kind").replaceChildren(...options([...new Set(run.events.map(e => e.kind))].sort(), "all"));
  for (const [i, id] of ["from", "to"].entries()) at(id).placeholder = told(plots.whole[i], ...plots.whole);
  [at("label").value, at("kind").value] = before.map(value => value || "");
}
const value = id => at(id).value && Number(at(id).value);
function filter(keep = false) {
  const [label, kind] = [at("label").value.slice(1), at("kind").value.slice(1)];
  const [score, force, from, to] = ["score", "force", "from", "to"].map(value);
  shown = chosen(run.events, [
    e => !label || (e.label ?? "unknown") === label, e => !kind || e.kind === kind,
    e => score === "" || e.peak_score >= score, e => force === "" || e.peak_force >= force && e.peak_force !== null,
    e => from === "" || e.from >= from, e => to === "" || e.from <= to,
  ], at("sort").value);
  if (keep !== true) first = 0;
  list();
}
function list() {
  first = Math.max(0, Math.min(first, Math.floor((shown.length - 1) / PAGE) * PAGE));
  const rows = shown.slice(first, first + PAGE);
  at("rows").replaceChildren(...rows.map(row));
  at("count").textContent = !run.events.length ? "Nothing happened."
    : `${shown.length} of ${run.events.length} events` + (shown.length > PAGE ? `; ${first + 1} to ${first + rows.length} below` : "");
  at("earlier").hidden = at("later").hidden = shown.length <= PAGE;
  at("earlier").disabled = !first; at("later").disabled = first + PAGE >= shown.length;
  for (const canvas of at("rows").querySelectorAll("canvas")) sparks.observe(canvas);
}
function row(e) {
  const made = make("tr", null, {"data-number": e.number, "aria-selected": e === current, tabindex: 0});
  made.event = e;
  const cell = (name, text, kind = "") => { const td = make("td", text, {"data-name": name, class: kind}); made.append(td); return td; };
  cell("#", e.number, "n"); cell("onset", e.from.toFixed(4) + " s", "n"); cell("kind", e.kind);
  const label = cell("label", null);
  if (e.called) { const tag = make("span", e.called, {class: "label"}); tag.style.background = run.labels[e.label] ?? "#64748b"; label.append(tag); }
  cell("how hard", e.size || "–", "n"); cell("score", e.peak_score.toFixed(2), "n");
  cell("lasts", e.open ? "open" : number(1000 * e.duration, 0, "ms"), "n");
  if (reported) cell("reported after", number(e.reported_ms, 1, "ms"), "n");
  if (known) cell("nearest truth", e.truth === null ? "–" : `${e.truth} ${e.truth_ms > 0 ? "+" : ""}${e.truth_ms.toFixed(1)} ms`, e.near ? "" : "far");
  const shares = cell("driven by", null, "shares");
  for (const [name, share] of e.channels) {
    const tag = make("span", `${name} ${Math.round(100 * share)} %`, {class: "share"});
    tag.style.setProperty("--w", `${100 * share}%`);
    shares.append(tag);
  }
  cell("shape", null).append(make("canvas", null, {width: 220, height: 48}));
  made.addEventListener("click", () => open(e));
  return made;
}
// The samples of the channel that drove an event most, small.
const sparks = new IntersectionObserver(entries => entries.forEach(({target, isIntersecting}) => {
  if (!isIntersecting) return;
  sparks.unobserve(target);
  spark(target, target.closest("tr").event);
}), {rootMargin: "300px"});
addEventListener("beforeprint", () => { for (const tr of at("rows").children) spark(tr.querySelector("canvas"), tr.event); });
function spark(canvas, e) {
  const name = e.channels[0]?.[0], panel = run.panels.find(p => p.lines.some(line => line.channel === name));
  if (!panel) return;
  const line = panel.lines.find(l => l.channel === name), source = run.sources[panel.source];
  const [a, b] = [e.from - 0.05, Math.min(e.to + 0.05, e.from + 1)], points = [];
  const times = unpacked(source, "times", Float64Array), values = unpacked(line, "values", Float32Array);
  for (let k = lowerBound(times, a); k < times.length && times[k] <= b; k++) if (values[k] === values[k]) points.push([times[k], values[k]]);
  if (points.length < 2) return;
  const [low, high] = [Math.min(...points.map(p => p[1])), Math.max(...points.map(p => p[1]))];
  const g = canvas.getContext("2d"), X = t => (t - a) / (b - a) * 220, Y = y => 45 - 42 * (y - low) / (high - low || 1);
  g.clearRect(0, 0, 220, 48);
  g.globalAlpha = 0.18; g.fillStyle = e.color; g.fillRect(X(e.from), 0, Math.max(X(e.to) - X(e.from), 2), 48);
  g.globalAlpha = 1; g.strokeStyle = inked(line.color); g.lineWidth = 1.5; g.beginPath();
  points.forEach(([t, y], i) => i ? g.lineTo(X(t), Y(y)) : g.moveTo(X(t), Y(y)));
  g.stroke();
}
function open(e, scroll = true) {
  if (!e) return;
  current = e;
  const place = shown.indexOf(e), page = Math.floor(place / PAGE) * PAGE;
  if (place >= 0 && page !== first) { first = page; list(); }
  for (const tr of at("rows").children) tr.setAttribute("aria-selected", tr.event === e);
  const after = Math.min(Math.max(1.3 * (e.to - e.from), 0.12), e.kind === "lasting contact" ? 10 : 0.4), before = Math.max(0.06, 0.1 * after);
  plots.show(e.from - before, e.from + after);
  at("opened").textContent = [`event ${e.number}`, e.called, e.kind, e.size].filter(Boolean).join(" · ");
  link(`#event-${e.number}`);
  if (scroll) at("run").scrollIntoView({block: "start"});
}
function step(by) {
  const i = shown.indexOf(current), to = i < 0 ? shown[0] : shown[Math.max(0, Math.min(shown.length - 1, i + by))];
  open(to, false);
}
function turn(by) { first += by * PAGE; list(); at("events").scrollIntoView({block: "start"}); }
function whole() { current = null; at("opened").textContent = ""; link(""); plots.all(); list(); }

const actions = {
  "+": () => plots.zoom(0.5), "=": () => plots.zoom(0.5), "-": () => plots.zoom(2), "0": whole,
  ArrowLeft: () => plots.pan(-0.25), ArrowRight: () => plots.pan(0.25),
  j: () => step(1), k: () => step(-1), f: () => at("label").focus(), s: () => at("sort").focus(),
  Enter: () => open(document.activeElement.event),
};
onKeys(key => key === "Enter" && document.activeElement.tagName !== "TR" ? null : actions[key]);
for (const button of document.querySelectorAll("[data-key]")) button.addEventListener("click", () => actions[button.dataset.key]());
at("earlier").addEventListener("click", () => turn(-1));
at("later").addEventListener("click", () => turn(1));
at("filters").addEventListener("submit", event => event.preventDefault());
at("filters").addEventListener("input", filter);
