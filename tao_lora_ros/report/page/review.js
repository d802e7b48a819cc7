"use strict";
// The page of a store: its events, the signals and pictures of one, and what people call them.
let events = [], names = [], shown = [], current = null, plots = null, done = [], busy = Promise.resolve(), opened = 0;

function tell(text, bad = false) {
  at("status").textContent = text;
  at("status").classList.toggle("bad", bad);
}
const tried = action => busy = busy.then(action).catch(error => tell(error.message, true));
const time = ms => new Date(ms).toISOString().replace("T", " ").slice(0, -1);

function filtered() {
  const label = at("label").value, [score, force] = [at("score").value, at("force").value];
  const [from, to] = [at("from").value, at("to").value].map(v => v && Date.parse(v + "Z"));
  return chosen(events, [
    e => !label || (label === "-" ? !e.labelled_by : e.label === label.slice(1)),
    e => !score || e.peak_score >= score, e => !force || e.peak_force >= force,
    e => !from || e.onset_ms >= from, e => !to || e.onset_ms <= to,
  ], at("sort").value);
}
function list() {
  shown = filtered();
  at("rows").replaceChildren(...shown.map(e => {
    const row = make("tr", null, {"data-number": e.number, "aria-selected": e === current});
    const label = make("td", e.label ?? "–", {class: e.labelled_by ? "name" : "name model"});
    row.append(make("td", e.number, {class: "n"}), make("td", time(e.onset_ms).slice(5)),
      make("td", number(e.peak_score, 1), {class: "n"}),
      make("td", number(e.peak_force, 1, "N"), {class: "n"}), make("td", e.kind, {class: "wide"}), label);
    row.addEventListener("click", () => open(e));
    return row;
  }));
  const labelled = events.filter(e => e.labelled_by).length;
  at("count").textContent = `· ${events.length} events, ${shown.length} shown, ${labelled} labelled by people`;
}
function choices() {
  const before = at("label").value;
  const options = [["", "all"], ["-", "not yet labelled"], ...names.map(name => ["=" + name, name])];
  at("label").replaceChildren(...options.map(([value, text]) => make("option", text, {value})));
  at("label").value = before;
  at("names").replaceChildren(...names.slice(0, 9).flatMap((name, i) => {
    const button = make("button", null, {"aria-pressed": Boolean(current?.labelled_by && current.label === name)});
    button.append(make("b", i + 1), ` ${name}`);
    button.addEventListener("click", () => label(name));
    return [button, " "];
  }));
}
function open(event) {
  current = event ?? null;
  const opening = ++opened;  // one event may be opened again before its answer is there
  for (const row of at("rows").children) {
    const here = Number(row.dataset.number) === current?.number;
    row.setAttribute("aria-selected", here);
    if (here && innerWidth > 900) row.scrollIntoView({block: "nearest"});
  }
  choices();
  plots?.close();
  plots = null;
  at("panels").replaceChildren(); at("cameras").replaceChildren(); at("facts").replaceChildren();
  at("title").textContent = current ? `Event ${current.number}, ${time(current.onset_ms)} UTC` : "No event";
  at("said").textContent = current ? said(current) : "";
  if (!current) return;
  const e = current, facts = {"kind": e.kind + (e.regime_change ? ", a new steady state" : ""),
    "score": number(e.peak_score, 2), "lasts": number(1000 * e.duration, 0, "ms"),
    "force": number(e.peak_force, 1, "N"), "mean load": number(e.mean_load, 1, "N"),
    "impulse": number(e.impulse, 3, "N s"), "torque": number(e.peak_torque, 2, "Nm"),
    "acceleration": number(e.acceleration_change, 1, "m/s²"), "driven by": e.channels.slice(0, 3).join(", ")};
  for (const [name, value] of Object.entries(facts)) {
    if (value === "–" || !value) continue;
    const pair = make("div"); pair.append(make("dt", name), make("dd", value)); at("facts").append(pair);
  }
  ask(`/events/${e.number}`).then(answer => answer.json()).then(found => {
    if (opening !== opened) return;
    if (found.panels.length) plots = new Plots(at("panels"), found); else at("panels").textContent = "No samples.";
    cameras(e, found.cameras);
  }).catch(error => tell(error.message, true));
}
const said = e => e.labelled_by ? `${e.label}, by ${e.labelled_by}` + (e.model_label ? `; the model: ${e.model_label}` : "")
  : e.model_label ? `the model: ${e.model_label} ${Math.round(100 * e.probability)} %` : "not labelled";

function cameras(event, found) {
  for (const camera of found) {
    if (!camera.times_ms.length) continue;
    const figure = make("figure", null, {class: "camera"}), caption = make("figcaption"), image = make("img");
    // The first picture after the onset, else the last.
    let i = camera.times_ms.findIndex(ms => ms >= 0);
    if (i < 0) i = camera.times_ms.length - 1;
    async function show(step) {
      i = Math.max(0, Math.min(camera.times_ms.length - 1, i + step));
      caption.textContent = `${camera.topic} · ${camera.times_ms[i].toFixed(0)} ms · ${i + 1} of ${camera.times_ms.length}`;
      image.alt = caption.textContent;
      const path = `/events/${event.number}/picture?n=${i}&topic=${encodeURIComponent(camera.topic)}`;
      const wanted = i;
      try {
        const blob = await (await ask(path)).blob();
        if (wanted !== i) return;
        URL.revokeObjectURL(image.src);
        image.src = URL.createObjectURL(blob);
      } catch (error) { caption.textContent += ` · ${error.message}`; }
    }
    const back = make("button", "‹", {"aria-label": "earlier picture"});
    const on = make("button", "›", {"aria-label": "later picture"});
    back.addEventListener("click", () => show(-1)); on.addEventListener("click", () => show(1));
    figure.show = show;
    figure.append(caption, image, back, on); at("cameras").append(figure); show(0);
  }
}
function step(by) {
  const i = shown.indexOf(current);
  const to = i < 0 ? shown[0] : shown[Math.max(0, Math.min(shown.length - 1, i + by))];
  if (to) open(to);
}
function changed(event, row) {
  Object.assign(event, row);
  if (row.labelled_by && !names.includes(row.label)) names.push(row.label);
}
function label(name) {
  const event = current;
  if (!event) return;
  const i = shown.indexOf(event), next = shown[i + 1] ?? event;
  open(next);  // the next one is there at once; the disk is waited for behind it
  tried(async () => {
    changed(event, await (await ask(`/events/${event.number}`, {label: name})).json());
    done.push(event);
    tell(name ? `${event.number}: ${name}` : `${event.number}: label taken away`);
    refresh();
  });
}
function undo() {
  tried(async () => {
    const event = done.pop();
    if (!event) { tell("nothing to undo"); return; }
    changed(event, await (await ask(`/events/${event.number}`, {undo: true})).json());
    tell(`${event.number}: taken back`);
    refresh(); open(event);
  });
}
function refresh() {
  list(); choices();
  if (current) at("said").textContent = said(current);
}
const pictures = by => document.querySelectorAll(".camera").forEach(figure => figure.show(by));
const actions = {
  j: () => step(1), ArrowDown: () => step(1), ArrowRight: () => step(1),
  k: () => step(-1), ArrowUp: () => step(-1), ArrowLeft: () => step(-1),
  u: undo, x: () => label(""), n: () => at("new").focus(), f: () => at("label").focus(), s: () => at("sort").focus(),
  ",": () => pictures(-1), ".": () => pictures(1),
  "+": () => plots?.zoom(0.5), "=": () => plots?.zoom(0.5), "-": () => plots?.zoom(2), "0": () => plots?.all(),
};
onKeys(key => /^[1-9]$/.test(key) && names[key - 1] ? () => label(names[key - 1]) : actions[key]);
at("new").addEventListener("keydown", event => {
  if (event.key !== "Enter" || !at("new").value.trim()) return;
  label(at("new").value.trim()); at("new").value = ""; at("new").blur();
});
at("filters").addEventListener("submit", event => event.preventDefault());
at("filters").addEventListener("input", () => { list(); if (!shown.includes(current)) open(shown[0]); });
at("previous").addEventListener("click", () => step(-1));
at("next").addEventListener("click", () => step(1));
at("undo").addEventListener("click", undo);
tried(async () => {
  const found = await (await ask("/events")).json();
  ({events, names} = found);
  at("store").textContent = found.store;
  choices(); list(); open(shown[0]);
});
