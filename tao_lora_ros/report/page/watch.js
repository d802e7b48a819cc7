"use strict";
// The page of a running node: the report's, to which a piece is added every second.
const KEPT_S = 600, SHOWN_S = 30;
link = () => {};  // the address holds the token
let last = 0, epoch = null, following = true;

function joined(old, text, drop = 0) {
  const more = unpacked({text}, "text", old.constructor), all = new old.constructor(old.length - drop + more.length);
  all.set(old.subarray(drop)); all.set(more, old.length - drop);
  return all;
}
function source(enveloped) { return {enveloped, spans: [], times: new Float64Array()}; }
function empty(head, state) {
  for (const panel of head.panels) {
    for (const line of panel.lines) line.values = new Float32Array();
    if (panel.source !== "inferences") for (const line of panel.lines) line.low = line.high = new Float32Array();
  }
  const sources = Object.fromEntries([...head.sources.map(name => [name, source(true)]), ["inferences", source(false)]]);
  return {...head, ...state, sources, edges: new Float64Array(), end: 0, whole: false, provenance: {}, charts: []};
}
function add(piece) {
  const edges = unpacked(piece, "edges", Float64Array), oldest = (edges[edges.length - 1] ?? run.end) - KEPT_S;
  if (!run.edges.length) run.edges = edges.slice(0, 1);
  const gone = Math.max(lowerBound(run.edges, oldest) - 1, 0);
  const grown = new Float64Array(run.edges.length - gone + edges.length - 1);
  grown.set(run.edges.subarray(gone)); grown.set(edges.subarray(1), run.edges.length - gone);
  run.edges = grown;
  run.end = run.edges[run.edges.length - 1];
  for (const [name, more] of Object.entries(piece.sources)) {
    const to = run.sources[name];
    let old = 0;
    if (to.enveloped) while (to.spans.length && to.spans[0][1] < oldest) old += to.spans.shift()[2];
    else old = lowerBound(to.times, oldest);
    to.times = joined(to.times, more.times, old);
    to.spans.push(...more.spans);
    if (!to.enveloped && to.times.length) to.spans = [[to.times[0], to.times[to.times.length - 1], to.times.length]];
    for (const panel of run.panels) {
      if (panel.source !== name) continue;
      for (const line of panel.lines) {
        line.values = joined(line.values, more.values[line.column], old);
        if (!to.enveloped) continue;
        line.low = joined(line.low, more.low[line.column], gone);
        line.high = joined(line.high, more.high[line.column], gone);
      }
    }
  }
}
function take(state) {
  state.pieces.forEach(add);
  last = state.last;
  const events = JSON.stringify(state.events) !== JSON.stringify(run.events);
  Object.assign(run, {lanes: state.lanes, events: state.events, labels: state.labels, tiles: state.tiles});
  tiles();
  if (events) { current = current && run.events.find(e => e.number === current.number && e.from === current.from); choices(); filter(true); }
  plots.grown();
  if (following) plots.show(run.end - SHOWN_S, run.end);
}
function follow(on) {
  following = on;
  at("follow").setAttribute("aria-pressed", on);
}
async function round() {
  try {
    const state = await (await ask(`/pieces?after=${last}`)).json();
    if (epoch === null || state.epoch !== epoch || state.first > last + 1 && last) {
      if (epoch !== null) { location.reload(); return; }
      const head = await (await ask("/run")).json();
      if (!head.sources.length || !state.last) {
        tiles(state.tiles);
        at("samples").textContent = state.tiles.length > 1 ? "nothing is inferred yet; above is what the node says of each sensor" : "waiting for the node";
        setTimeout(round, 500);
        return;
      }
      epoch = head.epoch;
      begin(empty(head, {...state, pieces: []}));
      document.querySelector("p.sub").textContent = head.about;
      const button = make("button", "follow", {id: "follow"});
      button.addEventListener("click", () => { follow(!following); if (following) plots.show(run.end - SHOWN_S, run.end); });
      document.querySelector(".tools").prepend(button);
      follow(true);
      // Whoever moves the view wants to look at what is there.
      const show = plots.show.bind(plots);
      plots.show = (a, b) => { if (b !== run.end) follow(false); show(a, b); };
      setTimeout(round, 0);
      return;
    }
    take(state);
    at("samples").textContent = "Live: every sample near events, else least and greatest of 50 ms; the last ten minutes.";
  } catch (error) {
    at("samples").textContent = error instanceof TypeError ? "the command has ended; this is what it saw" : error.message;
    if (!(error instanceof TypeError)) return;
  }
  setTimeout(round, 1000);
}
round();
