// What a running and a past session have in common: seconds per stage, warnings, pictures.
import { ifChanged, imageUrl, make, pictureText, plural, put, seconds } from "./parts.js";
import { viewer } from "./viewer.js";

const STAGE_NAMES = { receive: "waiting for the host", prepare: "model, while reading", other: "opening, closing", queue: "waiting for the device" };
const WAITING = new Set(["receive", "prepare", "other", "queue"]);

function stageRows(stages) {
  const total = stages.reduce((sum, [, spent]) => sum + spent, 0);
  const shown = stages.filter(([name, spent]) => spent >= 0.01 * total && spent >= 0.001);
  const rest = total - shown.reduce((sum, [, spent]) => sum + spent, 0);
  const longest = Math.max(...shown.map(([, spent]) => spent), rest, 1e-9);
  if (rest >= 0.001) shown.push([shown.length ? "all others" : "together", rest]);
  return shown.map(([name, spent]) => [STAGE_NAMES[name] || name, spent, spent / longest, WAITING.has(name)]);
}

export function updateStages(body, stages) {
  const rows = stageRows(stages);
  ifChanged(body, rows.map(([name]) => name), () => {
    body.replaceChildren(...rows.map(([name, , , waiting]) => make("tr", waiting ? { class: "waiting" } : {},
      make("th", { scope: "row" }, name),
      make("td", { class: "bar", "aria-hidden": "true" }, make("span")),
      make("td", { class: "time" }))));
  });
  rows.forEach(([, spent, share], index) => {
    const row = body.rows[index];
    row.cells[1].firstChild.style.width = `${(100 * share).toFixed(1)}%`;
    put(row.cells[2], spent < 9.95 ? `${spent.toFixed(2)} s` : seconds(spent));
  });
}

function alertItems(session) {
  const items = Object.entries(session.reasons || {}).map(([reason, count]) => ["care", `${plural(count, "slice")} not made by the network: ${reason}`]);
  const told = Object.keys(session.reasons || {});
  for (const text of session.warnings || []) if (!told.some((reason) => text.startsWith(reason))) items.push(["warning", text]);
  if (session.error) items.unshift(["bad", session.error]);
  if (session.not_pictured) items.push(["note", `${plural(session.not_pictured, "image")} sent but not pictured here: they came faster than they can be painted, or cannot be`]);
  return items;
}

export function updateAlerts(list, session) {
  const items = alertItems(session);
  ifChanged(list, items, () => list.replaceChildren(...items.map(([level, text]) => make("li", { "data-level": level }, text))));
}

export function updateStrip(list, session, server) {
  const wanted = new Set(session.pictures.map((picture) => String(picture.id)));
  for (const item of [...list.children]) if (!wanted.has(item.dataset.id)) item.remove();
  const there = new Set([...list.children].map((item) => item.dataset.id));
  for (const picture of session.pictures) {
    if (there.has(String(picture.id))) continue;
    const image = make("img", { src: imageUrl(session.number, picture, server), alt: `Image ${picture.id}: ${pictureText(picture)}`, loading: "lazy" });
    const button = make("button", { type: "button", class: picture.fallback ? "thumb fallback" : "thumb", title: pictureText(picture) }, image);
    button.addEventListener("click", () => viewer.open(session.number, picture.id, server));
    list.append(make("li", { "data-id": String(picture.id) }, button));
    list.scrollLeft = list.scrollWidth;
  }
  list.hidden = session.pictures.length < 1;
}
