"use strict";
// What all pages share. Texts from a bag or a store go into a page as text, never as markup.
const at = id => document.getElementById(id);
function make(tag, text, attributes = {}) {
  const made = document.createElement(tag);
  if (text !== undefined && text !== null) made.textContent = text;
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}
const number = (value, digits, unit = "") =>
  value === null || value === undefined ? "–" : Number(value).toFixed(digits) + (unit && " " + unit);

// Little-endian numbers in base64, unpacked where they are first needed.
function unpacked(holder, name, kind) {
  if (typeof holder[name] === "string") {
    const text = atob(holder[name]), bytes = new Uint8Array(text.length);
    for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
    holder[name] = new kind(bytes.buffer);
  }
  return holder[name];
}

// The first place in an ascending array, between begin and end, that holds x or more.
function lowerBound(array, x, begin = 0, end = array.length) {
  while (begin < end) {
    const middle = (begin + end) >> 1;
    if (array[middle] < x) begin = middle + 1; else end = middle;
  }
  return begin;
}

// Events that pass all tests, sorted by a key such as "-peak_score"; what is not known comes last.
function chosen(events, tests, key) {
  const sign = key.startsWith("-") ? -1 : 1, name = key.replace("-", "");
  return events.filter(e => tests.every(test => test(e))).sort((a, b) =>
    (a[name] === null) - (b[name] === null) ||
    (a[name] < b[name] ? -sign : a[name] > b[name] ? sign : a.number - b.number));
}

// Calls the action of a key, but not while something is being typed.
function onKeys(actionOf) {
  document.addEventListener("keydown", event => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape") { event.target.blur(); return; }
    if (["INPUT", "SELECT", "TEXTAREA"].includes(event.target.tagName)) return;
    const action = actionOf(event.key);
    if (action) { event.preventDefault(); action(); }
  });
}

const color = name => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
// A line's colour, "#rrggbb", as it is seen well on this paper: nearer to white on a dark one.
function inked(hex) {
  const share = Number(color("lighten"));
  const parts = [1, 3, 5].map(at => parseInt(hex.slice(at, at + 2), 16)).map(part => Math.round(part + share * (255 - part)));
  return "#" + parts.map(part => part.toString(16).padStart(2, "0")).join("");
}
