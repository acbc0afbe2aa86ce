"use strict";

// Everything here is convenience: asking, reading and copying work without it.

const RECENT = "recent questions";
const MOST_RECENT = 12;
const said = document.getElementById("said");
const results = [...document.querySelectorAll(".result")];
let chosen = -1;

function say(text) {
  if (!said) return;
  said.textContent = text;
  setTimeout(() => { if (said.textContent === text) said.textContent = ""; }, 3000);
}

function choose(number) {
  if (!results.length) return;
  if (chosen >= 0) results[chosen].classList.remove("chosen");
  chosen = Math.max(0, Math.min(results.length - 1, number));
  results[chosen].classList.add("chosen");
  results[chosen].scrollIntoView({ block: "nearest" });
  results[chosen].querySelector("a.open").focus({ preventScroll: true });
}

async function copy(link) {
  try {
    const response = await fetch(link.href);
    if (!response.ok) throw new Error(response.statusText);
    await navigator.clipboard.writeText(await response.text());
    say(`Copied as ${link.textContent}.`);
  } catch {
    say("This could not be copied: open the form and copy it from there.");
  }
}

document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-form]");
  if (link && !event.ctrlKey && !event.metaKey && !event.shiftKey && navigator.clipboard) {
    event.preventDefault();
    copy(link);
  }
});

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const typing = event.target.closest("input, select, textarea");
  const box = document.getElementById("q") || document.getElementById("find");
  if (typing && event.key === "Escape") { typing.blur(); return; }
  if (typing && !(typing === box && event.key === "ArrowDown")) return;
  const here = results[chosen >= 0 ? chosen : 0];
  if (event.key === "/" && box) { event.preventDefault(); box.focus(); box.select(); }
  else if (event.key === "ArrowDown" && results.length) { event.preventDefault(); choose(chosen + 1); }
  else if (event.key === "ArrowUp" && results.length) { event.preventDefault(); choose(chosen - 1); }
  else if (event.key === "o" && here) { (here.querySelector("a.source") || here.querySelector("a.open")).click(); }
  else if (event.key === "c" && here) { event.preventDefault(); copy(here.querySelector("a[data-form]")); }
  else if (event.key === "Enter" && here && event.target === document.body) { here.querySelector("a.open").click(); }
});

function recent() {
  try {
    const kept = JSON.parse(localStorage.getItem(RECENT) || "[]");
    return Array.isArray(kept) ? kept.filter((each) => typeof each === "string") : [];
  } catch {
    return [];
  }
}

function remember(question) {
  try {
    const others = recent().filter((each) => each !== question);
    localStorage.setItem(RECENT, JSON.stringify([question, ...others].slice(0, MOST_RECENT)));
  } catch { /* a browser that keeps nothing is only less convenient */ }
}

const box = document.getElementById("q");
if (box && box.defaultValue && results.length) remember(box.defaultValue);

const list = document.querySelector("#recent ul");
if (list) {
  for (const question of recent()) {
    const link = document.createElement("a");
    link.href = `/?q=${encodeURIComponent(question)}`;
    link.textContent = question;
    link.dir = "auto";
    const item = document.createElement("li");
    item.append(link);
    list.append(item);
  }
  document.getElementById("recent").hidden = !list.children.length;
  document.getElementById("forget").addEventListener("click", () => {
    try { localStorage.removeItem(RECENT); } catch { /* nothing was kept */ }
    document.getElementById("recent").hidden = true;
  });
}

const cited = document.getElementById("cited");
if (cited && location.hash === "#cited") cited.scrollIntoView({ block: "center" });
