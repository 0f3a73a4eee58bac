// A session that runs: one card.
import { updateAlerts, updateStages, updateStrip } from "./details.js";
import { byId, ifChanged, imageUrl, make, pictureText, plural, put, scanText, seconds } from "./parts.js";
import { viewer } from "./viewer.js";

function newCard(session) {
  const card = byId("card").content.firstElementChild.cloneNode(true);
  card.id = `session-${session.number}`;
  card.querySelector("h3").id = `title-${session.number}`;
  card.setAttribute("aria-labelledby", `title-${session.number}`);
  card.querySelector("progress").id = `slices-${session.number}`;
  card.querySelector("label").htmlFor = `slices-${session.number}`;
  return card;
}

function updateCard(card, session, server) {
  const part = (name) => card.querySelector(name);
  put(part("h3"), `Session ${session.number}`);
  put(part(".pill"), session.doing);
  part(".pill").dataset.doing = session.doing.startsWith("host silent") ? "care" : session.doing.startsWith("waits") ? "wait" : "go";
  ifChanged(part(".facts"), [session.host, session.pipeline, session.scan], () => {
    const scan = scanText(session.scan);
    part(".facts").replaceChildren(make("span", {}, [session.host === "unknown" ? "" : session.host, session.pipeline].filter(Boolean).join(" · ")), ...(scan ? [make("span", { class: "scan" }, scan)] : []));
  });
  const expected = session.scan ? session.scan.expected : 0, progress = part("progress");
  put(part(".slices-label"), expected ? `Slice ${Math.min(session.slices, expected)} of ${expected}` : plural(session.slices, "slice"));
  progress.hidden = !expected;
  if (expected) { progress.max = expected; progress.value = Math.min(session.slices, expected); }
  ifChanged(part(".counts"), [session.received, session.lines, session.images, session.began], () => {
    part(".counts").replaceChildren(
      make("span", {}, make("b", {}, String(session.images)), session.images === 1 ? " image sent" : " images sent"),
      make("span", {}, make("b", {}, String(Math.max(session.lines, session.received))), " readouts arrived"),
      make("span", {}, make("b", { "data-since": String(session.began) }, seconds(server.now - session.began)), " so far"));
  });
  updateAlerts(part(".alerts"), session);
  updateStages(part(".stages tbody"), session.stages);
  const last = session.pictures.at(-1), latest = part(".latest");
  latest.hidden = !last;
  part(".no-image").hidden = Boolean(last);
  put(part(".no-image"), server.pictures ? "no image yet" : "images are switched off");
  if (last) {
    ifChanged(latest, last, () => {
      const image = latest.querySelector("img");
      image.src = imageUrl(session.number, last, server);
      image.alt = `Latest image: ${pictureText(last)}`;
      latest.title = pictureText(last);
      latest.classList.toggle("fallback", Boolean(last.fallback));
      latest.onclick = () => viewer.open(session.number, last.id, server);
    });
  }
  updateStrip(part(".strip"), session, server);
}

export function updateCards(place, sessions, server) {
  const wanted = new Set(sessions.map((session) => `session-${session.number}`));
  for (const card of [...place.children]) if (!wanted.has(card.id)) card.remove();
  for (const session of sessions) {
    let card = byId(`session-${session.number}`);
    if (!card) { card = newCard(session); place.append(card); }
    updateCard(card, session, server);
  }
}
