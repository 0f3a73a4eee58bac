"use strict";
// Scrolls through stacks of images and windows them; everything it shows is in this file.
(() => {
  const DATA = JSON.parse(document.getElementById("data").textContent);
  const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
  const short = (value) => Math.abs(value) >= 100 ? String(Math.round(value)) : Number(value.toPrecision(3)).toString();

  function colours(stops) {  // 256 colours between some, as bytes
    const table = new Uint8ClampedArray(256 * 3);
    for (let n = 0; n < 256; n++) {
      const at = n / 255 * (stops.length - 1), low = Math.min(Math.floor(at), stops.length - 2);
      for (let c = 0; c < 3; c++) table[3 * n + c] = stops[low][c] + (at - low) * (stops[low + 1][c] - stops[low][c]);
    }
    return table;
  }
  const TABLES = {
    grey: colours([[0, 0, 0], [255, 255, 255]]),
    difference: colours([[159, 208, 255], [44, 111, 179], [11, 17, 22], [179, 87, 44], [255, 207, 159]]),
    spread: colours([[11, 17, 22], [77, 34, 102], [168, 58, 103], [238, 125, 79], [251, 226, 143]]),
  };

  async function unpacked(plane, slope) {  // base64, deflate, low and high bytes, differences along a row: values
    const packed = Uint8Array.from(atob(plane.data), (letter) => letter.charCodeAt(0));
    const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
    const halves = new Uint8Array(await new Response(stream).arrayBuffer());
    const size = plane.w * plane.h, values = new Float32Array(size);
    for (let y = 0, n = 0; y < plane.h; y++) {
      for (let x = 0, code = 0; x < plane.w; x++, n++) {
        code = (code + halves[n] + 256 * halves[size + n]) & 65535;
        values[n] = code * slope;
      }
    }
    return { w: plane.w, h: plane.h, values };
  }

  function paint(canvas, image, low, high, table) {
    if (canvas.width !== image.w || canvas.height !== image.h) { canvas.width = image.w; canvas.height = image.h; }
    const context = canvas.getContext("2d"), picture = context.createImageData(image.w, image.h), step = 255 / Math.max(high - low, 1e-20);
    for (let n = 0; n < image.values.length; n++) {
      const entry = 3 * clamp(Math.round((image.values[n] - low) * step), 0, 255);
      picture.data[4 * n] = table[entry];
      picture.data[4 * n + 1] = table[entry + 1];
      picture.data[4 * n + 2] = table[entry + 2];
      picture.data[4 * n + 3] = 255;
    }
    context.putImageData(picture, 0, 0);
  }

  class Viewer {
    constructor(root, tabs) {
      this.root = root;
      this.tabs = tabs;
      this.cache = new Map();
      this.canvases = [...root.querySelectorAll("canvas")];
      this.figures = [...root.querySelectorAll(".panels figure")];
      this.find = (name) => root.querySelector(name);
      this.controls = { slice: this.find(".slice"), level: this.find(".level"), width: this.find(".width"), gain: this.find(".gain") };
      this.show(0);
      this.listen();
    }

    get tab() { return this.tabs[this.at]; }

    show(tab) {
      const before = this.tab;
      this.at = tab;
      const same = before && before.labels.length === this.tab.labels.length;
      this.slice = same ? this.slice : Math.floor((this.tab.labels.length - 1) / 2);
      this.controls.slice.max = this.tab.labels.length - 1;
      this.canvases[0].setAttribute("aria-valuemax", this.tab.labels.length);
      this.find(".frame").style.aspectRatio = this.tab.aspect;
      if (this.tabs.length > 1) {
        this.find("figcaption b").textContent = this.tab.panels[0].title;
        const label = this.canvases[0].getAttribute("aria-label");
        this.canvases[0].setAttribute("aria-label", this.tab.panels[0].title + label.slice(label.indexOf(" image:")));
      }
      this.find(".viewer-note").textContent = this.note ?? this.find(".viewer-note").textContent;
      this.reset();
    }

    reset() {
      this.level = this.tab.centre;
      this.width = this.tab.width;
      this.draw();
    }

    window(level, width) {
      this.level = clamp(level, 0, this.tab.largest);
      this.width = clamp(width, this.tab.largest / 1000, this.tab.largest);
      this.draw();
    }

    scroll(steps) {
      const next = clamp(this.slice + steps, 0, this.tab.labels.length - 1);
      if (next === this.slice) return false;
      this.slice = next;
      this.draw();
      return true;
    }

    image(panel, number) {
      const planes = this.tab.panels[panel].planes, key = `${this.at}/${panel}/${number}`;
      if (!planes[number]) return Promise.resolve(null);
      if (!this.cache.has(key)) {
        if (this.cache.size > 48) this.cache.delete(this.cache.keys().next().value);
        this.cache.set(key, unpacked(planes[number], this.tab.panels[panel].slope));
      }
      return this.cache.get(key);
    }

    async difference(number) {
      const [one, two] = await Promise.all([this.image(0, number), this.image(1, number)]);
      if (!one || !two || one.values.length !== two.values.length) return null;
      return { w: one.w, h: one.h, values: one.values.map((value, n) => value - two.values[n]) };
    }

    draw() {
      this.say();
      const turn = this.turn = (this.turn ?? 0) + 1, number = this.slice;
      const found = this.tab.panels.map((panel, n) => panel.kind === "difference" ? this.difference(number) : this.image(n, number));
      this.drawn = Promise.all(found).then((images) => {
        if (turn !== this.turn) return;
        this.images = images;
        images.forEach((image, n) => {
          const panel = this.tab.panels[n], [low, high] = this.range(panel);
          if (image) paint(this.canvases[n], image, low, high, TABLES[panel.kind]);
          else this.canvases[n].getContext("2d").clearRect(0, 0, this.canvases[n].width, this.canvases[n].height);
        });
        this.root.dataset.ready = String(turn);
      });
    }

    range(panel) {
      if (panel.kind === "spread") return [0, panel.top];
      if (panel.kind === "difference") { const half = this.tab.width / Number(this.controls.gain.value); return [-half, half]; }
      return [this.level - this.width / 2, this.level + this.width / 2];
    }

    say() {
      const { tab, controls, slice } = this, text = `${tab.labels[slice]} (${slice + 1} of ${tab.labels.length})`;
      controls.slice.value = slice;
      controls.slice.setAttribute("aria-valuetext", text);
      this.find(".slice-out").textContent = text;
      this.canvases[0].setAttribute("aria-valuenow", slice + 1);
      this.canvases[0].setAttribute("aria-valuetext", text);
      for (const [name, value] of [["level", this.level], ["width", this.width]]) {
        controls[name].value = Math.round(1000 * value / tab.largest);
        controls[name].setAttribute("aria-valuetext", short(value));
        this.find(`.${name}-out`).textContent = short(value);
      }
      this.figures.forEach((figure, n) => {
        const [low, high] = this.range(tab.panels[n]), kind = tab.panels[n].kind;
        figure.querySelector(".range").textContent = kind === "grey" ? `${short(low)} … ${short(high)}` : "";
        const ends = figure.querySelectorAll(".ends span");
        if (ends.length) [ends[0].textContent, ends[1].textContent] = [short(low), (kind === "difference" ? "+" : "") + short(high)];
      });
      const standIn = this.find(".stand-in");
      standIn.hidden = !tab.fallback[slice];
      standIn.textContent = tab.fallback[slice] ? `Not the network's image: ${tab.fallback[slice]}` : "";
    }

    listen() {
      const { controls, canvases } = this;
      controls.slice.addEventListener("input", () => this.scroll(Number(controls.slice.value) - this.slice));
      controls.level.addEventListener("input", () => this.window(Number(controls.level.value) / 1000 * this.tab.largest, this.width));
      controls.width.addEventListener("input", () => this.window(this.level, Number(controls.width.value) / 1000 * this.tab.largest));
      controls.gain?.addEventListener("change", () => this.draw());
      this.find(".reset").addEventListener("click", () => this.reset());
      for (const radio of this.root.querySelectorAll(".tabs input")) radio.addEventListener("change", () => this.show(Number(radio.value)));
      canvases[0].addEventListener("keydown", (event) => this.key(event));
      for (const [n, canvas] of canvases.entries()) {
        canvas.addEventListener("pointerdown", (event) => this.press(event, canvas));
        canvas.addEventListener("pointermove", (event) => this.probe(event, canvas, n));
        canvas.addEventListener("pointerleave", () => { this.find(".probe").textContent = ""; });
        canvas.addEventListener("wheel", (event) => {
          if (!this.root.contains(document.activeElement)) return;  // who reads the page scrolls the page
          if (this.scroll(Math.sign(event.deltaY))) event.preventDefault();
        }, { passive: false });
      }
    }

    key(event) {
      if (event.ctrlKey || event.altKey || event.metaKey) return;
      const step = this.tab.largest / 50, wide = event.shiftKey;
      const left = (sign) => wide ? this.window(this.level, this.width + sign * step) : this.window(this.level + sign * step, this.width);
      const does = {
        ArrowUp: () => this.scroll(1), ArrowDown: () => this.scroll(-1), PageUp: () => this.scroll(10), PageDown: () => this.scroll(-10),
        Home: () => this.scroll(-this.slice), End: () => this.scroll(this.tab.labels.length), ArrowLeft: () => left(-1), ArrowRight: () => left(1),
        r: () => this.reset(), R: () => this.reset(),
      }[event.key];
      if (!does) return;
      event.preventDefault();
      does();
    }

    press(event, canvas) {
      if (event.button !== 0) return;
      this.canvases[0].focus({ preventScroll: true });
      canvas.setPointerCapture(event.pointerId);
      const from = { x: event.clientX, y: event.clientY, level: this.level, width: this.width, slice: this.slice };
      const size = canvas.getBoundingClientRect();
      const move = (next) => {
        const x = (next.clientX - from.x) / size.width, y = (next.clientY - from.y) / size.height;
        if (event.pointerType === "touch") this.scroll(from.slice + Math.round(x * Math.max(this.tab.labels.length, 4)) - this.slice);
        else this.window(from.level + y * this.tab.largest, from.width + x * this.tab.largest);
      };
      canvas.addEventListener("pointermove", move);
      const stop = () => canvas.removeEventListener("pointermove", move);
      canvas.addEventListener("pointerup", stop, { once: true });
      canvas.addEventListener("pointercancel", stop, { once: true });
    }

    probe(event, canvas, panel) {
      const image = this.images?.[panel], size = canvas.getBoundingClientRect();
      if (!image) return;
      const x = Math.floor((event.clientX - size.left) / size.width * image.w), y = Math.floor((event.clientY - size.top) / size.height * image.h);
      if (x < 0 || y < 0 || x >= image.w || y >= image.h) return;
      this.find(".probe").textContent = `${x}, ${y}: ${short(image.values[y * image.w + x])}`;
    }
  }

  const roots = document.querySelectorAll(".viewer");
  if (!("DecompressionStream" in window)) {
    for (const root of roots) root.querySelector(".viewer-note").textContent = "This browser is too old to open the images: one of 2023 or later does.";
    return;
  }
  window.viewers = [...roots].map((root) => new Viewer(root, DATA[Number(root.dataset.viewer)].tabs));
})();
