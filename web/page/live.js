// Asks the server once a second and shows what it says; keeps asking when the server is away.
import { updateCards } from "./cards.js";
import { byId, clockTime, plural, put, seconds } from "./parts.js";
import { updatePast } from "./past.js";
import { updateTiles } from "./tiles.js";
import { viewer } from "./viewer.js";

const EVERY_MS = 1000, HIDDEN_MS = 5000, PATIENCE_MS = 5000;
let boot = null, lastHeard = null, lost = false, offset = 0;

async function ask() {
  try {
    const answer = await fetch("api/sessions", { cache: "no-store", signal: AbortSignal.timeout(PATIENCE_MS) });
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    show(await answer.json());
  } catch (error) {
    if (error instanceof TypeError || error instanceof DOMException || error instanceof SyntaxError || String(error.message).startsWith("status")) away();
    else { away(); throw error; }
  } finally {
    setTimeout(ask, document.hidden ? HIDDEN_MS : EVERY_MS);
  }
}

function show(found) {
  const { server, health, running, past } = found;
  if (boot !== null && boot !== server.boot) forget();
  boot = server.boot;
  lastHeard = Date.now();
  offset = server.now - lastHeard / 1000;
  lost = false;
  document.body.classList.remove("lost");
  const level = health.level;
  byId("health").dataset.level = level;
  put(byId("headline"), health.text);
  put(byId("subline"), level === "good" || level === "note" ? calm(server, running) : "");
  points(health.points, health.more);
  put(byId("version"), server.version);
  updateTiles(server);
  updateCards(byId("running"), running, server);
  byId("nobody").hidden = running.length > 0;
  updatePast(byId("past-rows"), past, server);
  byId("past").hidden = past.length === 0;
  byId("no-past").hidden = past.length > 0;
  viewer.refresh(running, server);
  const mark = { good: "", note: "", care: "! ", bad: "!! " }[level];
  document.title = `${mark}${running.length} running · smug-recon`;
  tick();
}

function calm(server, running) {
  if (running.length === 0) return "Ready for a scan.";
  const waiting = Object.values(server.queues).reduce((sum, queue) => sum + Math.max(queue.length - 1, 0), 0);
  const warnings = running.reduce((sum, session) => sum + session.warnings.length, 0);
  return `${plural(running.length, "session")} running, ${warnings ? `${plural(warnings, "warning")}, ` : ""}${waiting ? `${waiting} waiting for the device` : "nobody waits"}.`;
}

function points(found, more = 0) {
  if (more) found = [...found, ["care", `${more} more: see the sessions below.`]];
  const list = byId("points"), key = JSON.stringify(found);
  if (list.dataset.key === key) return;
  list.dataset.key = key;
  list.replaceChildren(...found.map(([level, text]) => {
    const item = document.createElement("li");
    item.dataset.level = level;
    item.textContent = text;
    return item;
  }));
}

function away() {
  lost = true;
  document.body.classList.add("lost");
  byId("health").dataset.level = "lost";
  put(byId("headline"), "Connection lost");
  put(byId("subline"), (lastHeard === null ? "The server has not answered yet" : `What is shown below is from ${clockTime(lastHeard / 1000)}`) + "; trying again every second.");
  points([]);
  document.title = "connection lost · smug-recon";
}

function forget() {  // another server: its sessions count from 1 again
  byId("running").replaceChildren();
  byId("past-rows").replaceChildren();
  viewer.close();
}

function tick() {
  const now = Date.now() / 1000 + offset;
  put(byId("clock"), clockTime(now));
  if (lost) return;
  for (const timed of document.querySelectorAll("[data-since]")) put(timed, seconds(now - Number(timed.dataset.since)));
}

const THEMES = ["auto", "dark", "light"];
function theme(name) {
  document.documentElement.dataset.theme = name;
  const button = byId("theme");
  button.textContent = { auto: "Auto", dark: "Dark", light: "Light" }[name];
  button.setAttribute("aria-label", `Colours: ${name}. Change`);
  try { localStorage.setItem("theme", name); } catch { /* a browser that keeps nothing */ }
}
let kept = null;
try { kept = localStorage.getItem("theme"); } catch { /* the same */ }
theme(THEMES.includes(kept) ? kept : "auto");
byId("theme").addEventListener("click", () => {
  theme(THEMES[(THEMES.indexOf(document.documentElement.dataset.theme) + 1) % THEMES.length]);
});

setInterval(tick, 1000);
ask();
