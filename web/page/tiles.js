// The server in numbers.
import { byId, ifChanged, make, plural } from "./parts.js";

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
