/*
 * From the pixels of a picture to a mask, with an exported ONNX file: what `naslora predict` does around a model.
 *
 * Nothing here knows the page or a browser. Pictures are {data, width, height}, data RGBA as a canvas gives them; planes
 * of numbers are Float32Array, row by row.
 */

const PADDING_RGB = [124, 116, 104];

/* Return what an ONNX file says of itself, a Map of strings: field 14 of its protobuf message, key 1 and value 2. */
export function readFacts(bytes) {
  const facts = new Map();
  for (const [field, entry] of fields(bytes)) {
    if (field !== 14) continue;
    const texts = new Map(Array.from(fields(entry), ([key, text]) => [key, new TextDecoder().decode(text)]));
    facts.set(texts.get(1), texts.get(2) ?? "");
  }
  return facts;
}

function* fields(bytes) {
  let at = 0;
  const number = () => {
    for (let value = 0, weight = 1; ; weight *= 128) {
      if (at >= bytes.length) throw new Error("this is no ONNX file, or only a part of one");
      const byte = bytes[at++];
      value += (byte & 127) * weight;
      if (byte < 128) return value;
    }
  };
  while (at < bytes.length) {
    const key = number();
    const kind = key % 8;
    if (![0, 1, 2, 5].includes(kind)) throw new Error("this is no ONNX file");
    if (kind === 0) number();
    else {
      const length = kind === 2 ? number() : kind === 1 ? 8 : 4;
      if (at + length > bytes.length) throw new Error("this is no ONNX file, or only a part of one");
      if (kind === 2) yield [Math.floor(key / 8), bytes.subarray(at, at + length)];
      at += length;
    }
  }
}

/* Open an exported file. `ort` is onnxruntime-web, `bytes` the content of the file. */
export async function openModel(ort, bytes) {
  const facts = readFacts(bytes);
  if (facts.get("producer") !== "naslora") throw new Error("this file was not written by naslora export onnx");
  return {ort, facts, session: await ort.InferenceSession.create(bytes, {executionProviders: ["wasm"]})};
}

/*
 * Segment a picture; a model of crops sees it part by part, and the logits of parts are blended where they overlap.
 *
 * Returns {ids, classes}: the class of each pixel, 0 is the background, and how many classes the model has.
 */
export async function segment(model, picture, progress = () => {}) {
  const {width, height} = picture;
  const isTiled = model.facts.has("scale");
  const window = isTiled ? Number(model.facts.get("window_px")) : Math.max(width, height);
  const overlap = isTiled ? Number(model.facts.get("overlap_px")) : 0;
  const classes = Number(model.facts.get("classes"));
  const sums = Array.from({length: classes}, () => new Float32Array(width * height));
  const total = new Float32Array(width * height);
  const [across, down] = [slope(width, window, overlap), slope(height, window, overlap)];
  const places = starts(height, window, overlap).flatMap((top) =>
    starts(width, window, overlap).map((left) => [top, left])
  );
  for (const [done, [top, left]] of places.entries()) {
    const part = cut(picture, top, left, window);
    const logits = await logitsOf(model, part, window);
    for (let y = 0; y < part.height; y++) {
      for (let x = 0; x < part.width; x++) {
        const weight = down[y] * across[x];
        const pixel = (top + y) * width + left + x;
        total[pixel] += weight;
        for (let label = 0; label < classes; label++) {
          sums[label][pixel] += weight * logits[label][y * part.width + x];
        }
      }
    }
    progress(done + 1, places.length);
  }
  const ids = new Uint8Array(width * height);
  for (let pixel = 0; pixel < ids.length; pixel++) {
    let best = 0;
    for (let label = 0; label < classes; label++) {
      // A logit above 0 is a probability above that of the background.
      if (sums[label][pixel] / total[pixel] > best) {
        best = sums[label][pixel] / total[pixel];
        ids[pixel] = label + 1;
      }
    }
  }
  return {ids, classes};
}

/* Return the logits of every class as large as a part of a picture, of which the model sees `window` pixels a side. */
async function logitsOf({ort, facts, session}, part, window) {
  const size = Number(facts.get("image_size"));
  const [width, height] = [part.width, part.height].map((side) =>
    Math.min(size, Math.max(1, Math.floor(side * (size / window) + 0.5)))
  );
  const pixels = new Uint8Array(3 * size * size);
  for (let channel = 0; channel < 3; channel++) {
    const plane = shrink(channelOf(part, channel), part.width, part.height, width, height);
    pixels.fill(PADDING_RGB[channel], channel * size * size, (channel + 1) * size * size);
    for (let y = 0; y < height; y++) {
      pixels.set(plane.subarray(y * width, (y + 1) * width), channel * size * size + y * size);
    }
  }
  const images = new ort.Tensor("uint8", pixels, [1, 3, size, size]);
  const {low_res_masks: low} = await session.run({images}, ["low_res_masks"]);
  const [, classes, rows, columns] = low.dims;
  return Array.from({length: classes}, (_, label) => {
    const whole = sample(low.data.subarray(label * rows * columns, (label + 1) * rows * columns), columns, rows, size, size);
    const inside = new Float32Array(width * height);
    for (let y = 0; y < height; y++) inside.set(whole.subarray(y * size, y * size + width), y * width);
    return sample(inside, width, height, part.width, part.height);
  });
}

function cut(picture, top, left, window) {
  const [width, height] = [Math.min(window, picture.width - left), Math.min(window, picture.height - top)];
  const data = new Uint8ClampedArray(4 * width * height);
  for (let y = 0; y < height; y++) {
    const begin = 4 * ((top + y) * picture.width + left);
    data.set(picture.data.subarray(begin, begin + 4 * width), 4 * y * width);
  }
  return {data, width, height};
}

function channelOf(picture, channel) {
  return Float32Array.from({length: picture.width * picture.height}, (_, pixel) => picture.data[4 * pixel + channel]);
}

/* Where parts begin along a side: as few as cover it with at least this overlap, evenly spaced. */
function starts(length, window, overlap) {
  const count = Math.max(1, Math.ceil((length - overlap) / (window - overlap)));
  const last = Math.max(0, length - window);
  return Array.from({length: count}, (_, index) => (count === 1 ? 0 : toEven((index * last) / (count - 1))));
}

function toEven(value) {
  const below = Math.floor(value);
  return value - below === 0.5 ? below + (below % 2) : Math.round(value);
}

/* Weights of a part's pixels along a side: they rise over the overlap, and fall over that at the other end. */
function slope(length, window, overlap) {
  const count = Math.min(length, window);
  const rise = Array.from({length: count}, (_, index) =>
    Math.sin((Math.PI / 2) * Math.min(1, (index + 0.5) / Math.max(overlap, 1))) ** 2
  );
  return rise.map((value, index) => value * rise[count - 1 - index]);
}

/*
 * Resize a plane of 0..255 as the training did, which is Pillow's bilinear: a triangle as wide as a pixel of the result
 * averages where it shrinks, along rows first, rounded after each direction. A canvas would give other pixels.
 */
export function shrink(plane, width, height, newWidth, newHeight) {
  const [rows, columns] = [triangles(height, newHeight), triangles(width, newWidth)];
  const narrow = new Float32Array(newWidth * height);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < newWidth; x++) {
      const {first, weights} = columns[x];
      let sum = 0;
      for (let k = 0; k < weights.length; k++) sum += weights[k] * plane[y * width + first + k];
      narrow[y * newWidth + x] = Math.floor(sum + 0.5);
    }
  }
  const result = new Float32Array(newWidth * newHeight);
  for (let y = 0; y < newHeight; y++) {
    const {first, weights} = rows[y];
    for (let x = 0; x < newWidth; x++) {
      let sum = 0;
      for (let k = 0; k < weights.length; k++) sum += weights[k] * narrow[(first + k) * newWidth + x];
      result[y * newWidth + x] = Math.floor(sum + 0.5);
    }
  }
  return result;
}

function triangles(length, newLength) {
  const step = length / newLength;
  const reach = Math.max(step, 1);
  return Array.from({length: newLength}, (_, index) => {
    const centre = (index + 0.5) * step;
    const first = Math.max(0, Math.floor(centre - reach + 0.5));
    const end = Math.min(length, Math.floor(centre + reach + 0.5));
    const raw = Array.from({length: end - first}, (_, k) => Math.max(0, 1 - Math.abs(first + k + 0.5 - centre) / reach));
    const sum = raw.reduce((one, other) => one + other, 0);
    return {first, weights: raw.map((value) => value / sum)};
  });
}

/* Resize a plane of logits: bilinear between the four nearest, also where it shrinks. */
export function sample(plane, width, height, newWidth, newHeight) {
  const between = (index, length, newLength) => {
    const at = Math.max(0, ((index + 0.5) * length) / newLength - 0.5);
    const low = Math.min(length - 1, Math.floor(at));
    return [low, Math.min(length - 1, low + 1), at - low];
  };
  const columns = Array.from({length: newWidth}, (_, x) => between(x, width, newWidth));
  const result = new Float32Array(newWidth * newHeight);
  for (let y = 0; y < newHeight; y++) {
    const [above, below, down] = between(y, height, newHeight);
    for (let x = 0; x < newWidth; x++) {
      const [left, right, across] = columns[x];
      const upper = plane[above * width + left] * (1 - across) + plane[above * width + right] * across;
      const lower = plane[below * width + left] * (1 - across) + plane[below * width + right] * across;
      result[y * newWidth + x] = upper * (1 - down) + lower * down;
    }
  }
  return result;
}
