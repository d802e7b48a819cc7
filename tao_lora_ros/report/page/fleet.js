"use strict";
// A table of a fleet: a cell a robot and day, and the hardest events of all or of one cell.
(() => {
const data = JSON.parse(at("data").textContent);
const MOST_ROWS = 300;
const NO_DAY = "1970-01-01";  // of bags that could not be read
const unique = name => [...new Set(data.cells.map(cell => cell[name]))].sort();
const count = cell => data.old === null ? cell.events : cell.found;
const listed = data.old === null ? "Hardest events" : `Events gained, lost and changed since ${data.old}`;
const cellOf = new Map(data.cells.map(cell => [`${cell.robot}\n${cell.day}`, cell]));
let chosenCell = null;

function sum(name) { return data.cells.reduce((total, cell) => total + cell[name], 0); }

function drawGrid() {
  const days = unique("day"), most = Math.max(...data.cells.map(count), 1);
  const head = make("tr");
  head.append(make("th", "robot"), ...days.map(day => make("th", day === NO_DAY ? "no stamp" : day, { class: "n" })));
  at("grid").append(head);
  for (const robot of unique("robot")) {
    const row = make("tr");
    row.append(make("th", robot, { scope: "row" }));
    for (const day of days) {
      const cell = cellOf.get(`${robot}\n${day}`), box = make("td");
      if (cell) box.append(button(cell, most));
      row.append(box);
    }
    at("grid").append(row);
  }
}

function button(cell, most) {
  const about = `${cell.bags} bags, ${cell.failed} failed, ${number(cell.hours, 2, "h")}, ` +
    `${cell.events} events, hardest ${number(cell.hardest, 1, "N")}`;
  const made = make("button", String(count(cell)), { title: about, "aria-pressed": "false" });
  made.setAttribute("aria-label", `${cell.robot}, ${cell.day}: ${about}`);
  made.classList.toggle("some", count(cell) > 0);
  made.classList.toggle("failed", cell.failed > 0);
  made.style.setProperty("--heat", String(Math.round(15 + 70 * count(cell) / most)));
  made.addEventListener("click", () => choose(chosenCell === cell ? null : cell, made));
  return made;
}

function choose(cell, pressed) {
  chosenCell = cell;
  for (const other of at("grid").querySelectorAll("button"))
    other.setAttribute("aria-pressed", String(cell !== null && other === pressed));
  drawEvents();
}

function drawEvents() {
  const cell = chosenCell;
  const found = data.events.filter(e => !cell || (e.robot === cell.robot && e.day === cell.day));
  const shown = found.slice(0, MOST_ROWS), all = cell ? cell.found : sum("found");
  at("which").textContent = (cell ? `${listed}: ${cell.robot}, ${cell.day}` : listed) +
    (shown.length < all ? ` (${shown.length} of ${all})` : "");
  fill("events", shown.map(line));
}

function fill(table, rows) {
  const none = make("tr");
  none.append(make("td", "none"));
  at(table).replaceChildren(...(rows.length ? rows : [none]));
}

function line(event) {
  const row = make("tr", null, { tabindex: "0" });
  for (const text of [event.robot, event.day, event.bag.split("/").pop()]) row.append(make("td", text));
  const numbers = [[event.onset_s, 3], null, null, [event.peak_force ?? event.mean_load, 1],
    [event.acceleration_change, 1], [event.duration, 3], [event.peak_score, 2]];
  numbers.forEach((pair, i) => row.append(pair ? make("td", number(...pair), { class: "n" })
    : make("td", i === 1 ? [event.what, event.kind].filter(Boolean).join(" ") : event.label ?? "–")));
  row.title = event.bag;
  row.addEventListener("click", () => report(event, row));
  row.addEventListener("keydown", key => { if (key.key === "Enter") report(event, row); });
  return row;
}

async function report(event, row) {
  const tab = window.open("about:blank");  // in the click: later it would be a pop-up
  row.classList.add("busy");
  const nonce = document.querySelector("script[nonce]").nonce;
  const answer = await ask(`/events/${event.number}?nonce=${encodeURIComponent(nonce)}`)
    .then(got => got.json()).catch(error => ({ error: error.message }));
  row.classList.remove("busy");
  if (answer.error) {
    if (tab) tab.close();
    row.title = answer.error;
    row.lastChild.textContent = answer.error;
    return;
  }
  const url = URL.createObjectURL(new Blob([answer.page], { type: "text/html" }));
  if (tab) tab.location = url; else location = url;
}

at("sums").textContent = `${unique("robot").length} robots, ${sum("bags")} bags (${sum("failed")} failed), ` +
  `${number(sum("hours"), 2, "h")}, ${sum("events")} events`;
fill("failed", data.failed.map(bag => {
  const row = make("tr");
  row.append(make("td", bag.robot), make("td", bag.bag), make("td", bag.error));
  return row;
}));
drawGrid();
drawEvents();
})();
