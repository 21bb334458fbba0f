// Keeps the page up to date while a sync runs, without taking anything out of a person's hands:
// open parts stay open, the focus stays where it is, and nothing moves while somebody types.
"use strict";

const every = 1000;

function busy(content) {
  const at = document.activeElement;
  return content.contains(at) && at.matches("input, select, textarea");
}

async function refresh(content, pulse) {
  const open = new Set([...content.querySelectorAll("details[open]")].map(keyOf));
  const focused = content.contains(document.activeElement) ? pathTo(document.activeElement) : null;
  const answer = await fetch(location.pathname + location.search.replace(/[?&]note=[^&]*/, ""));
  if (!answer.ok) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("content");
  const note = content.querySelector(".note");
  if (note) fresh.prepend(note);
  for (const each of fresh.querySelectorAll("details")) each.open = open.has(keyOf(each));
  if (busy(content)) return;
  content.replaceChildren(...fresh.childNodes);
  content.dataset.pulse = pulse;
  if (focused) follow(content, focused)?.focus();
}

function keyOf(details) {
  return details.dataset.key ?? details.querySelector("summary").textContent;
}

// Where an element is: the part that it is in, and which of that part's controls it is.
function pathTo(element) {
  const part = element.closest("details");
  const controls = [...(part ?? document).querySelectorAll("a, button, summary")];
  return { part: part ? keyOf(part) : null, index: controls.indexOf(element) };
}

function follow(content, { part, index }) {
  const within = part === null ? document : [...content.querySelectorAll("details")].find((each) => keyOf(each) === part);
  return within?.querySelectorAll("a, button, summary")[index];
}

async function watch() {
  const content = document.getElementById("content");
  try {
    const { pulse } = await (await fetch("/ui/pulse")).json();
    document.body.classList.remove("away");
    if (pulse !== content.dataset.pulse && !busy(content)) await refresh(content, pulse);
  } catch {
    document.body.classList.add("away");
  }
  setTimeout(watch, every);
}

setTimeout(watch, every);
