/* The page: reads the files that are chosen, and draws the mask over the picture. Nothing leaves the browser. */

import {openModel, segment} from "./segment.mjs";

// A colour for each class, the first again after the last.
const COLOURS = [[230, 25, 75], [0, 130, 200], [255, 225, 25], [60, 180, 75], [145, 30, 180], [245, 130, 48]];
const byId = (id) => document.getElementById(id);
let model = null;
let picture = null;
let found = null;
let round = 0;
let work = Promise.resolve();
const complaints = new Map();

const runtime = import("./node_modules/onnxruntime-web/dist/ort.wasm.min.mjs").catch(() => {
  throw new Error("onnxruntime-web is not beside this page; run in its folder: npm install onnxruntime-web");
});
runtime.then((ort) => {
  // More threads need headers that a plain server does not send.
  ort.env.wasm.numThreads = 1;
}, (error) => complain("runtime", error.message));

/* Show a message until the same input is mended. */
function complain(about, message) {
  complaints.set(about, message);
  byId("error").textContent = [...complaints.values()].filter(Boolean).join(" · ");
}

async function readModel(file) {
  const opened = await openModel(await runtime, new Uint8Array(await file.arrayBuffer()));
  model = opened;
  const facts = ["model", "domain", "classes", "image_size", "quantise", "tiling", "image_reading"];
  const told = facts.filter((name) => model.facts.has(name)).map((name) => `${name}: ${model.facts.get(name)}`);
  byId("facts").textContent = told.join(" · ");
}

async function readPicture(file) {
  const bitmap = await createImageBitmap(file, {colorSpaceConversion: "none"});
  const canvas = byId("canvas");
  [canvas.width, canvas.height] = [bitmap.width, bitmap.height];
  const context = canvas.getContext("2d", {willReadFrequently: true});
  context.drawImage(bitmap, 0, 0);
  picture = context.getImageData(0, 0, canvas.width, canvas.height);
}

async function update(mine) {
  found = null;
  if (picture) draw();
  if (!model || !picture || mine !== round) return;
  byId("status").textContent = "segmenting …";
  // Lets the browser paint the line above before the work begins.
  await new Promise((resolve) => setTimeout(resolve, 30));
  const begin = performance.now();
  const result = await segment(model, picture, (done, all) => {
    byId("status").textContent = all > 1 ? `segmenting, part ${done} of ${all} …` : "segmenting …";
  });
  if (mine !== round) return;
  found = result;
  const share = found.ids.reduce((sum, id) => sum + (id > 0), 0) / found.ids.length;
  const seconds = (performance.now() - begin) / 1000;
  byId("status").textContent = `${(100 * share).toFixed(1)} % of the pixels are of an object; ${seconds.toFixed(1)} s`;
  draw();
}

function draw() {
  const opacity = Number(byId("opacity").value);
  const shown = new ImageData(new Uint8ClampedArray(picture.data), picture.width, picture.height);
  for (let pixel = 0; found && pixel < found.ids.length; pixel++) {
    if (!found.ids[pixel]) continue;
    const colour = COLOURS[(found.ids[pixel] - 1) % COLOURS.length];
    for (let channel = 0; channel < 3; channel++) {
      const at = 4 * pixel + channel;
      shown.data[at] = (1 - opacity) * shown.data[at] + opacity * colour[channel];
    }
  }
  byId("canvas").getContext("2d").putImageData(shown, 0, 0);
  byId("save").disabled = !found;
}

/* Offer the mask as a file: class ids as grey levels, or black and white for one class. */
function save() {
  const canvas = new OffscreenCanvas(picture.width, picture.height);
  const mask = new ImageData(picture.width, picture.height);
  found.ids.forEach((id, pixel) => {
    mask.data.fill(found.classes === 1 ? 255 * id : id, 4 * pixel, 4 * pixel + 3);
    mask.data[4 * pixel + 3] = 255;
  });
  canvas.getContext("2d").putImageData(mask, 0, 0);
  canvas.convertToBlob({type: "image/png"}).then((blob) => {
    const link = Object.assign(document.createElement("a"), {href: URL.createObjectURL(blob), download: "mask.png"});
    link.click();
    URL.revokeObjectURL(link.href);
  });
}

/* One file after the other: a session computes one picture at a time. */
function onFile(id, read) {
  byId(id).addEventListener("change", (event) => {
    const [file] = event.target.files;
    if (!file) return;
    const mine = ++round;
    work = work.then(async () => {
      byId("status").textContent = "reading …";
      try {
        await read(file);
        complain(id, "");
        await update(mine);
      } catch (error) {
        complain(id, `${file.name}: ${error.message ?? error}`);
      }
      if (!found) byId("status").textContent = "";
    });
  });
}

onFile("model", readModel);
onFile("picture", readPicture);
byId("opacity").addEventListener("input", () => picture && draw());
byId("save").addEventListener("click", save);
