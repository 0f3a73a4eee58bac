// What a session looks like: a card while it runs, a row when it is over, its pictures one by one in the viewer.

export const byId = (id) => document.getElementById(id);
export function put(element, text) { if (element.textContent !== text) element.textContent = text; }
export const plural = (count, word) => `${count} ${word}${count === 1 ? "" : "s"}`;
export const clockTime = (epoch) => new Date(epoch * 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });

export function seconds(time) {
  if (time >= 3600) return `${Math.floor(time / 3600)} h ${Math.floor(time / 60) % 60} min`;
  if (time >= 60) return `${Math.floor(time / 60)} min ${String(Math.floor(time) % 60).padStart(2, "0")} s`;
  return time >= 9.95 ? `${Math.round(time)} s` : `${Math.max(time, 0).toFixed(1)} s`;
}

function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "class") element.className = value; else element.setAttribute(key, value);
  }
  element.append(...children);
  return element;
}

function ifChanged(element, key, build) {  // so that what has not changed keeps its focus and its images
  const text = JSON.stringify(key);
  if (element.dataset.key === text) return;
  element.dataset.key = text;
  build();
}

const imageUrl = (session, picture, server) => `sessions/${session}/${picture.id}.png?server=${server.boot}`;
const pictureText = (picture) => `${picture.series}, ${picture.where}${picture.fallback ? `, not made by the network: ${picture.fallback}` : ""}`;

export function scanText(scan) {
  if (!scan) return "";
  const [x, y, z] = scan.matrix;
  const slices = scan.times > 1 ? `${plural(scan.slices, "slice")} × ${scan.times}` : plural(scan.slices, "slice");
  const parts = [`${x} × ${y}${z > 1 ? ` × ${z}` : ""}`, z > 1 ? `3-D, ${plural(scan.slices, "slab")}` : slices];
  if (scan.coils) parts.push(plural(scan.coils, "coil"));
  if (scan.acceleration > 1) parts.push(`R ${scan.acceleration}`);
  return parts.join(" · ");
}

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

function updateStages(body, stages) {
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

function updateAlerts(list, session) {
  const items = alertItems(session);
  ifChanged(list, items, () => list.replaceChildren(...items.map(([level, text]) => make("li", { "data-level": level }, text))));
}

function updateStrip(list, session, server) {
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

function newCard(session) {
  const card = byId("card").content.firstElementChild.cloneNode(true);
  card.id = `session-${session.number}`;
  card.querySelector("h3").id = `title-${session.number}`;
  card.setAttribute("aria-labelledby", `title-${session.number}`);
  card.querySelector("progress").id = `slices-${session.number}`;
  card.querySelector("label").htmlFor = `slices-${session.number}`;
  return card;
}

export function updateCard(card, session, server) {
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

updateCard.all = (place, sessions, server) => {
  const wanted = new Set(sessions.map((session) => `session-${session.number}`));
  for (const card of [...place.children]) if (!wanted.has(card.id)) card.remove();
  for (const session of sessions) {
    let card = byId(`session-${session.number}`);
    if (!card) { card = newCard(session); place.append(card); }
    updateCard(card, session, server);
  }
};

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

export function updateTiles(server) {
  const gb = (bytes) => `${(bytes / 1e9).toFixed(1)} GB`;
  const tile = (name, key, build) => { const place = byId(`tile-${name}`); ifChanged(place, key, () => place.replaceChildren(...build())); };
  tile("sessions", [server.active, server.limit], () => [make("b", {}, String(server.active)), ` of ${server.limit}`]);
  const queues = Object.entries(server.queues).filter(([, queue]) => queue.length > 0);
  tile("queue", queues, () => queues.length === 0 ? [make("b", {}, "0"), " waiting"] : queues.map(([device, queue]) => make("ol", { class: "queue", "aria-label": device },
    ...queue.map((number, place) => make("li", { title: place ? `session ${number} waits` : `session ${number} has the ${device}` }, `#${number}`)))));
  const { done = 0, fallback = 0, failed = 0, refused = 0 } = server.ended, sums = server.sums;
  tile("done", [done, fallback, failed, refused, sums.images], () => [make("b", {}, String(sums.images)), sums.images === 1 ? " image, " : " images, ",
    [`${done + fallback} done`, failed ? `${failed} failed` : "", refused ? `${refused} refused` : ""].filter(Boolean).join(", ")]);
  tile("fallbacks", [sums.fallbacks, sums.slices], () => [make("b", sums.fallbacks ? { class: "care" } : {}, String(sums.fallbacks)), ` of ${plural(sums.slices, "slice")}`]);
  const memory = server.gpu_bytes;
  tile("model", [server.models, memory, server.ready], () => server.models.length
    ? [...server.models.map(({ file, device }) => make("span", { class: "model" }, `${file.replace(/\.pt$/, "")} on ${device}`)), ...(memory.free ? [make("span", { class: "model" }, `${gb(memory.allocated)} used, ${gb(memory.free)} free`)] : [])]
    : [server.ready ? "–" : "being loaded"]);
}

export const viewer = {
  session: 0, picture: 0, server: null, pictures: [],
  async open(session, picture, server) {
    Object.assign(this, { session, picture, server, pictures: [] });
    byId("viewer").showModal();
    try { this.pictures = (await (await fetch(`api/sessions/${session}`, { cache: "no-store" })).json()).pictures; } catch { return; }
    this.draw();
  },
  draw() {
    const index = this.pictures.findIndex((picture) => picture.id === this.picture), picture = this.pictures[index];
    if (!picture) return;
    put(byId("viewer-title"), `Session ${this.session}, image ${picture.id}`);
    const image = byId("viewer-image"), url = imageUrl(this.session, picture, this.server);
    if (image.getAttribute("src") !== url) image.src = url;
    image.alt = pictureText(picture);
    put(byId("viewer-text"), `${pictureText(picture)} · ${picture.matrix.join(" × ")}`);
    byId("before").disabled = index === 0;
    byId("after").disabled = index === this.pictures.length - 1;
  },
  step(by) {
    const index = this.pictures.findIndex((picture) => picture.id === this.picture) + by;
    if (index >= 0 && index < this.pictures.length) { this.picture = this.pictures[index].id; this.draw(); }
  },
  refresh(running) {  // new images of the session that is looked at
    const session = byId("viewer").open && running.find((one) => one.number === this.session);
    if (session) { this.pictures = session.pictures; this.draw(); }
  },
  close() { if (byId("viewer").open) byId("viewer").close(); },
};
byId("before").addEventListener("click", () => viewer.step(-1));
byId("after").addEventListener("click", () => viewer.step(1));
byId("viewer").addEventListener("keydown", (event) => {
  if (event.key === "ArrowLeft") viewer.step(-1);
  if (event.key === "ArrowRight") viewer.step(1);
});
byId("viewer").addEventListener("click", (event) => { if (event.target === byId("viewer")) viewer.close(); });
