"use strict";

const byId = (id) => document.getElementById(id);
const selects = [byId("first"), byId("second")];
let limits = {max_upload_bytes: Infinity};
let chosen = null;
let round = 0;

const megabytes = (bytes) => `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB`;
const percent = (share) => `${(100 * share).toFixed(share < 0.01 ? 2 : 1)} %`;

function complain(message) {
  byId("error").textContent = message;
  byId("error").hidden = !message;
}

async function readAnswer(response) {
  const content = await response.json().catch(() => ({error: `the server answered with ${response.status}`}));
  if (!response.ok) throw new Error(content.error);
  return content;
}

async function listModels() {
  limits = await fetch("api/models").then(readAnswer);
  byId("limit").textContent = `PNG, JPEG, WebP, BMP or TIFF, up to ${megabytes(limits.max_upload_bytes)}`;
  const names = limits.models.map((model) => new Option(model.title, model.name));
  selects[0].replaceChildren(...names);
  selects[1].replaceChildren(new Option("nothing", ""), ...names.map((option) => option.cloneNode(true)));
  byId("example").textContent = names[0]?.value ?? "NAME";
  byId("origin").textContent = location.origin;
  if (!names.length) complain("There is no model yet: start naslora run in the project's folder, then load this page again.");
}

async function predict(model, image) {
  const form = new FormData();
  form.set("image", image, "image");
  form.set("model", model);
  form.set("output", "json");
  for (;;) {
    const response = await fetch("api/predict", {method: "POST", body: form});
    if (response.status !== 503) return readAnswer(response);
    const seconds = Number(response.headers.get("Retry-After")) || 1;
    byId("status").textContent = `The server is busy; trying again in ${seconds} s …`;
    await new Promise((resolve) => setTimeout(resolve, 1000 * seconds));
  }
}

function toBlob(dataUri) {
  const bytes = Uint8Array.from(atob(dataUri.split(",")[1]), (letter) => letter.charCodeAt(0));
  return new Blob([bytes], {type: "image/png"});
}

/* Black is background in every mask; of one class the rest is white, and gets the class's colour. */
async function drawMask(canvas, blob, answer) {
  const picture = await createImageBitmap(blob);
  canvas.width = answer.width;
  canvas.height = answer.height;
  const context = canvas.getContext("2d", {willReadFrequently: true});
  context.drawImage(picture, 0, 0);
  const pixels = context.getImageData(0, 0, canvas.width, canvas.height);
  const only = answer.classes.length === 1 ? rgb(answer.classes[0].colour) : null;
  for (let at = 0; at < pixels.data.length; at += 4) {
    if (!(pixels.data[at] || pixels.data[at + 1] || pixels.data[at + 2])) pixels.data[at + 3] = 0;
    else if (only) pixels.data.set(only, at);
  }
  context.putImageData(pixels, 0, 0);
}

function rgb(colour) {
  return [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
}

function describe(answer) {
  const several = answer.classes.length > 1;
  const parts = answer.classes.filter((one) => !several || one.share > 0).map((one) => {
    const entry = document.createElement("span");
    const key = document.createElement("span");
    key.className = "key";
    key.style.background = one.colour;
    entry.append(key, `${several ? `class ${one.id}: ` : ""}${percent(one.share)} of the image`);
    return entry;
  });
  const facts = document.createElement("span");
  facts.textContent = `${answer.width} × ${answer.height} px, ${answer.seconds.toFixed(2)} s`;
  return parts.length ? [...parts, facts] : ["found nothing", facts];
}

async function buildPane(answer, image, url) {
  // Not cloneNode: pictures of a template's own document never load.
  const pane = document.importNode(byId("pane").content, true).firstElementChild;
  const [photo, canvas, link] = ["img", "canvas", "a"].map((name) => pane.querySelector(name));
  const option = [...selects[0].options].find((one) => one.value === answer.model);
  const mask = toBlob(answer.mask);
  pane.querySelector("h2").textContent = option?.textContent ?? answer.model;
  pane.querySelector(".found").replaceChildren(...describe(answer));
  link.href = URL.createObjectURL(mask);
  link.download = `${(image.name ?? "image").replace(/\.[^.]*$/, "")}_mask.png`;
  canvas.setAttribute("aria-label", `Mask: ${pane.querySelector(".found").textContent}`);
  photo.width = answer.width;
  photo.height = answer.height;
  photo.src = url;
  await Promise.all([
    drawMask(canvas, mask, answer),
    photo.decode().catch(() => {
      photo.remove();
      pane.querySelector(".found").append("This browser cannot show such a file; the mask fits it all the same.");
    }),
  ]);
  return pane;
}

function forget(panes) {
  for (const link of panes.querySelectorAll("a")) URL.revokeObjectURL(link.href);
}

async function refresh() {
  const image = chosen;
  const mine = ++round;
  if (!image) return;
  complain("");
  if (image.size > limits.max_upload_bytes) {
    complain(`${image.name} has ${megabytes(image.size)}; the server takes up to ${megabytes(limits.max_upload_bytes)}.`);
    return;
  }
  const models = selects.map((select) => select.value).filter(Boolean);
  byId("status").textContent = "Looking at the image …";
  const url = URL.createObjectURL(image);
  try {
    const answers = [];
    for (const model of models) answers.push(await predict(model, image));
    const panes = await Promise.all(answers.map((answer) => buildPane(answer, image, url)));
    if (mine !== round) return;
    forget(byId("panes"));
    byId("panes").replaceChildren(...panes);
    byId("panes").classList.toggle("two", panes.length > 1);
    showOpacity();
    byId("status").textContent = image.name ?? "";
  } catch (error) {
    if (mine !== round) return;
    byId("status").textContent = "";
    complain(error instanceof TypeError ? "The server does not answer; is it still running?" : error.message);
  } finally {
    URL.revokeObjectURL(url);
  }
}

function showOpacity() {
  const value = byId("opacity").value;
  byId("opacity-value").textContent = `${value} %`;
  for (const canvas of document.querySelectorAll(".stage canvas")) canvas.style.opacity = value / 100;
}

function choose(files) {
  if (!files?.length) return;
  chosen = files[0];
  refresh();
}

byId("file").addEventListener("change", (event) => choose(event.target.files));
byId("opacity").addEventListener("input", showOpacity);
byId("controls").addEventListener("submit", (event) => event.preventDefault());
for (const select of selects) select.addEventListener("change", refresh);
document.addEventListener("paste", (event) => choose(event.clipboardData?.files));
document.addEventListener("dragover", (event) => {
  event.preventDefault();
  byId("drop").classList.add("over");
});
for (const name of ["dragleave", "drop"]) document.addEventListener(name, () => byId("drop").classList.remove("over"));
document.addEventListener("drop", (event) => {
  event.preventDefault();
  choose(event.dataTransfer?.files);
});
listModels().catch((error) => complain(error.message));
