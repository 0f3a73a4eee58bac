// One picture after the other, large; the keys left and right.
import { byId, imageUrl, pictureText, put } from "./parts.js";

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
