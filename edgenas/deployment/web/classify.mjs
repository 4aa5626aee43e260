// An exported network in ONNX Runtime Web: `open` it, and it classifies what `pixelsOf` takes from an image, a canvas or a video.
// `square` makes the same pixels of an image as `edgenas.data.prepare.square` does with Pillow: to the last bit, but for tall
// pictures in Pillow 13, which goes down before it goes across there, and so rounds some values to the next one.

const BACKGROUND = 128; // the grey around padded pictures
const PRECISION = 2 ** 22; // of Pillow's weights, which are integers

/** The network of a folder with model.json, model.onnx, ort.mjs and ort.wasm. */
export async function open(folder) {
  const about = await (await fetch(`${folder}model.json`)).json();
  const ort = await import(`${folder}ort.mjs`);
  ort.env.wasm.wasmPaths = { wasm: new URL(`${folder}ort.wasm`, document.baseURI).href };
  ort.env.wasm.numThreads = 1; // several need headers that not every server sends
  const session = await ort.InferenceSession.create(`${folder}model.onnx`, { executionProviders: ["wasm"] });
  return new Network(about, ort, session);
}

class Network {
  constructor(about, ort, session) {
    [this.about, this.ort, this.session] = [about, ort, session];
  }

  /** The most probable classes of an image, `{data, width, height}` with red, green, blue and alpha of every pixel. */
  async classify(image, top = 5) {
    const how = this.about.preprocessing;
    const size = how.resolution;
    const values = asInput(square(image, size, how.fit ?? "crop"), how);
    const input = new this.ort.Tensor(how.input ?? "float32", values, [1, 3, size, size]);
    const outputs = await this.session.run({ [this.session.inputNames[0]]: input });
    const scores = outputs[this.session.outputNames[0]].data;
    const probabilities = this.about.output === "probabilities" ? [...scores] : softmax(scores);
    const found = this.about.classes.map((label, i) => ({ label, probability: probabilities[i] }));
    return found.sort((a, b) => b.probability - a.probability).slice(0, top);
  }
}

/** What is to be seen in an image, a canvas or a video, as it comes: in its own size. */
export function pixelsOf(source) {
  const [width, height] = [source.videoWidth ?? source.width, source.videoHeight ?? source.height];
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.fillStyle = `rgb(${BACKGROUND} ${BACKGROUND} ${BACKGROUND})`; // shows through what is transparent
  context.fillRect(0, 0, width, height);
  context.drawImage(source, 0, 0);
  return context.getImageData(0, 0, width, height);
}

/** Red, green and blue of `size` x `size` pixels, one after the other. */
export function square({ data, width, height }, size, fit = "crop") {
  if (fit === "pad") {
    const scale = size / Math.max(width, height);
    const [across, down] = [width, height].map((side) => Math.max(1, rounded(scale * side)));
    const inner = resized(data, width, height, across, down, [0, 0, width, height]);
    const whole = new Uint8Array(3 * size * size).fill(BACKGROUND);
    const [left, above] = [(size - across) >> 1, (size - down) >> 1];
    for (let y = 0; y < down; y++) {
      whole.set(inner.subarray(3 * across * y, 3 * across * (y + 1)), 3 * (size * (y + above) + left));
    }
    return whole;
  }
  const side = Math.min(width, height);
  const [left, above] = [(width - side) * 0.5, (height - side) * 0.5];
  const box = fit === "squeeze" ? [0, 0, width, height] : [left, above, left + side, above + side];
  return resized(data, width, height, size, size, box);
}

/** Half a pixel goes to the even one, as in Python. */
function rounded(value) {
  const below = Math.floor(value);
  return value - below === 0.5 ? below + (below % 2) : Math.round(value);
}

/** Antialiased bilinear as Pillow computes it: across, then down, each time to whole numbers. box: of the image, that is taken. */
function resized(data, width, height, across, down, [left, above, right, below]) {
  const wide = new Uint8Array(3 * across * height);
  weights(width, left, right, across).forEach(({ first, taps }, x) => {
    for (let y = 0; y < height; y++) {
      for (let channel = 0; channel < 3; channel++) {
        let sum = PRECISION / 2;
        for (let i = 0; i < taps.length; i++) sum += taps[i] * data[4 * (width * y + first + i) + channel];
        wide[3 * (across * y + x) + channel] = clipped(sum);
      }
    }
  });
  const found = new Uint8Array(3 * across * down);
  weights(height, above, below, down).forEach(({ first, taps }, y) => {
    for (let at = 0; at < 3 * across; at++) {
      let sum = PRECISION / 2;
      for (let i = 0; i < taps.length; i++) sum += taps[i] * wide[3 * across * (first + i) + at];
      found[3 * across * y + at] = clipped(sum);
    }
  });
  return found;
}

function clipped(sum) {
  return Math.min(255, Math.max(0, Math.floor(sum / PRECISION)));
}

/** For each of `count` pixels between `from` and `to` of a line of `length`: the first that it is made of, and their weights. */
function weights(length, from, to, count) {
  const scale = (to - from) / count;
  const reach = Math.max(scale, 1);
  return Array.from({ length: count }, (_, i) => {
    const center = from + (i + 0.5) * scale;
    const first = Math.max(0, Math.trunc(center - reach + 0.5));
    const last = Math.min(length, Math.trunc(center + reach + 0.5));
    const taps = Array.from({ length: last - first }, (_, j) => {
      return Math.max(0, 1 - Math.abs((j + first - center + 0.5) * (1 / reach)));
    });
    const sum = taps.reduce((a, b) => a + b, 0);
    return { first, taps: taps.map((tap) => Math.trunc(0.5 + (tap / sum) * PRECISION)) };
  });
}

/** Pixels as the network takes them: channel after channel, normalised where it does not do that itself. */
export function asInput(pixels, { input = "float32", mean, std }) {
  const count = pixels.length / 3;
  const values = input === "uint8" ? new Uint8Array(pixels.length) : new Float32Array(pixels.length);
  for (let channel = 0; channel < 3; channel++) {
    const shift = Math.fround(Math.fround(mean[channel]) * 255);
    const scale = Math.fround(Math.fround(std[channel]) * 255);
    for (let i = 0; i < count; i++) {
      const pixel = pixels[3 * i + channel];
      values[channel * count + i] = input === "uint8" ? pixel : Math.fround(pixel - shift) / scale;
    }
  }
  return values;
}

function softmax(scores) {
  const most = Math.max(...scores);
  const powers = Array.from(scores, (score) => Math.exp(score - most));
  const sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((power) => power / sum);
}
