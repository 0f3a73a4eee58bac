// Sessions that are over: a row each, which opens.
import { updateAlerts, updateStages, updateStrip } from "./details.js";
import { byId, clockTime, ifChanged, imageUrl, make, pictureText, plural, scanText, seconds } from "./parts.js";
import { viewer } from "./viewer.js";

const OUTCOMES = { done: ["good", "done"], fallback: ["care", "fallback"], failed: ["bad", "failed"] };

function cell(name, ...content) {
  return make("td", { role: "cell", "data-name": name }, ...content);
}

function imagesOf(session, server) {
  const picture = session.picture, count = make("span", { class: "count" }, String(session.images));
  if (!picture) return count;
  const image = make("img", { src: imageUrl(session.number, picture, server), alt: `Last image of session ${session.number}: ${pictureText(picture)}`, loading: "lazy" });
  const button = make("button", { type: "button", class: picture.fallback ? "thumb fallback" : "thumb" }, image);
  button.addEventListener("click", () => viewer.open(session.number, picture.id, server));
  return make("span", { class: "images" }, count, button);
}

function pastRow(session, server) {
  const [level, word] = OUTCOMES[session.outcome] || ["bad", session.outcome || "over"];
  const details = `details-${session.number}`;
  const button = make("button", { type: "button", class: "more", "aria-expanded": "false", "aria-controls": details }, `${session.number}`);
  const outcome = cell("Outcome", make("span", { class: "outcome", "data-level": level }, word));
  if (session.error) outcome.append(make("span", { class: "why" }, session.error));
  else if (session.fallbacks) outcome.append(make("span", { class: "why" }, `${session.fallbacks} of ${plural(session.slices, "slice")} not made by the network`));
  else if (session.warned) outcome.append(make("span", { class: "why calm" }, plural(session.warned, "warning")));
  const kept = cell("Kept");
  if (session.report) kept.append(make("a", { href: `sessions/${session.number}/report.html`, target: "_blank", rel: "noopener" }, `Report`), " ");
  if (session.spool) kept.append(make("code", { title: "name of the spooled raw data" }, session.spool));
  if (!session.report && !session.spool) kept.append(make("span", { class: "none" }, "–"));
  const scan = cell("Scan", make("span", {}, scanText(session.scan) || "–"), make("span", { class: "why calm" }, [session.host === "unknown" ? "" : session.host, session.pipeline].filter(Boolean).join(" · ")));
  const row = make("tr", { role: "row", id: `past-${session.number}`, "data-level": level },
    make("th", { role: "rowheader", scope: "row" }, button), cell("Began", clockTime(session.began)), scan,
    cell("Duration", seconds(session.ended - session.began)), cell("Images", imagesOf(session, server)), outcome, kept);
  const more = make("tr", { role: "row", id: details, class: "details", hidden: "" }, make("td", { role: "cell", colspan: "7" }));
  button.addEventListener("click", () => toggle(button, more, session.number, server));
  return [row, more];
}

async function toggle(button, more, number, server) {
  const open = more.hidden;
  more.hidden = !open;
  button.setAttribute("aria-expanded", String(open));
  if (!open) return;
  const place = more.firstElementChild;
  try {
    const answer = await fetch(`api/sessions/${number}`, { cache: "no-store" });
    if (!answer.ok) throw new Error(String(answer.status));
    const session = await answer.json();
    const alerts = make("ul", { class: "alerts" }), strip = make("ol", { class: "strip", "aria-label": `Images of session ${number}` });
    const stages = make("table", { class: "stages" }, make("caption", {}, "Seconds per stage"), make("tbody"));
    updateAlerts(alerts, session);
    updateStages(stages.tBodies[0], session.stages);
    updateStrip(strip, session, server);
    const text = `${plural(session.lines, "line")}, ${plural(session.slices, "slice")}, ${plural(session.images, "image")} sent`;
    place.replaceChildren(make("p", { class: "counts" }, text), alerts, make("div", { class: "halves" }, stages, strip));
  } catch {
    place.replaceChildren(make("p", {}, "The server does not answer, or has forgotten this session."));
  }
}

const changing = (session) => [session.report, session.spool, session.picture];

export function updatePast(body, sessions, server) {
  const wanted = new Set(sessions.flatMap((session) => [`past-${session.number}`, `details-${session.number}`]));
  for (const row of [...body.children]) if (!wanted.has(row.id)) row.remove();
  for (const session of [...sessions].reverse()) {
    const row = byId(`past-${session.number}`);
    if (!row) {
      const made = pastRow(session, server);
      made[0].dataset.key = JSON.stringify(changing(session));
      body.prepend(...made);
      continue;
    }
    ifChanged(row, changing(session), () => {  // painted, or reported on, after the session was over
      const anew = pastRow(session, server)[0];
      for (const index of [4, 6]) row.cells[index].replaceChildren(...anew.cells[index].childNodes);
    });
  }
}
