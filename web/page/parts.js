// Small tools of the page: elements, times, how a scan and a picture are called.

export const byId = (id) => document.getElementById(id);
export function put(element, text) { if (element.textContent !== text) element.textContent = text; }
export const plural = (count, word) => `${count} ${word}${count === 1 ? "" : "s"}`;
export const clockTime = (epoch) => new Date(epoch * 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });

export function seconds(time) {
  if (time >= 3600) return `${Math.floor(time / 3600)} h ${Math.floor(time / 60) % 60} min`;
  if (time >= 60) return `${Math.floor(time / 60)} min ${String(Math.floor(time) % 60).padStart(2, "0")} s`;
  return time >= 9.95 ? `${Math.round(time)} s` : `${Math.max(time, 0).toFixed(1)} s`;
}

export function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "class") element.className = value; else element.setAttribute(key, value);
  }
  element.append(...children);
  return element;
}

export function ifChanged(element, key, build) {  // so that what has not changed keeps its focus and its images
  const text = JSON.stringify(key);
  if (element.dataset.key === text) return;
  element.dataset.key = text;
  build();
}

export const imageUrl = (session, picture, server) => `sessions/${session}/${picture.id}.png?server=${server.boot}`;
export const pictureText = (picture) => `${picture.series}, ${picture.where}${picture.fallback ? `, not made by the network: ${picture.fallback}` : ""}`;

export function scanText(scan) {
  if (!scan) return "";
  const [x, y, z] = scan.matrix;
  const slices = scan.times > 1 ? `${plural(scan.slices, "slice")} × ${scan.times}` : plural(scan.slices, "slice");
  const parts = [`${x} × ${y}${z > 1 ? ` × ${z}` : ""}`, z > 1 ? `3-D, ${plural(scan.slices, "slab")}` : slices];
  if (scan.coils) parts.push(plural(scan.coils, "coil"));
  if (scan.acceleration > 1) parts.push(`R ${scan.acceleration}`);
  return parts.join(" · ");
}
