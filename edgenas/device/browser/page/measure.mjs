// The timer of a browser, as device_timer.py is that of a machine with Python: it asks the computer for a task, does it with
// ONNX Runtime Web, and posts the answer. See exchange.py for what is asked and server.py for the addresses.

const FILL_MS = 3; // how long a model runs within a round: many short visits outlive a busy spell better than one long visit
const WARM_UP_RUNS = 2;
const LEAST_RUNS = 5;
// Once after it is opened: WebAssembly is compiled better while it runs, and a GPU's shaders when they are first needed.
const FIRST_RUNS = 400;
const FIRST_MS = 100;
const TICKS = 50; // of the clock, at least, in one sample
const BEAT_MS = 2000; // so often the computer hears of us
const PATIENCE_S = 60; // without an answer from the computer, as when the Wi-Fi is lost
const SEED = 1;

let page = ""; // what this page is called, once it has been let in
const now = () => performance.now();
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Lets the page draw, and tell that it is alive. Timers would take 4 ms. */
function breathe() {
  return new Promise((resolve) => {
    const channel = new MessageChannel();
    channel.port1.onmessage = () => {
      channel.port1.close();
      resolve();
    };
    channel.port2.postMessage(null);
  });
}

let ort;
let threads; // that ONNX Runtime was loaded with; it is loaded once
let current = { task: 0, done: 0 };

// ---- talking with the computer ----

class Ended extends Error {}

let ended = null; // why, once the computer has told it while we measured

async function beat() {
  try {
    await post("progress", current);
  } catch (error) {
    if (error instanceof Ended) ended = error;
  }
}

async function talk(path, options = {}) {
  const end = now() + PATIENCE_S * 1000;
  for (;;) {
    let response;
    try {
      response = await fetch(path, { ...options, headers: { "X-Page": page }, cache: "no-store" });
    } catch (error) {
      if (now() > end) throw new Ended("The computer does not answer. Has the command there ended?");
      await pause(1000);
      continue;
    }
    if (response.ok) return response;
    const sentence = await response.text();
    throw response.status === 400 ? new Error(sentence) : new Ended(sentence);
  }
}

const post = (path, content) => talk(path, { method: "POST", body: JSON.stringify(content) });
const file = async (task, number) => (await talk(`files/${task.number}/${number}`)).arrayBuffer();

function show(words, share) {
  document.getElementById("status").textContent = document.title = words;
  const bar = document.getElementById("bar");
  if (share === undefined) bar.removeAttribute("value");
  else bar.value = share;
}

async function progress(words, done, steps) {
  show(`${words} ${done} of ${steps}`, done / steps);
  current.done = done;
  await post("progress", current);
}

// ---- sessions ----

async function load(task) {
  if (ort !== undefined && threads === task.threads) return;
  if (ort !== undefined) {
    location.reload();
    await new Promise(() => {}); // the page that comes is given this task again
  }
  ort = await import("./ort.mjs");
  threads = task.threads;
  ort.env.wasm.wasmPaths = { wasm: new URL("ort.wasm", location.href) };
  ort.env.wasm.numThreads = threads;
  ort.env.logLevel = "error";
}

/** A model in ONNX Runtime Web. resident: input and output stay where the model runs, and the input is random. */
class Session {
  static async open(model, provider, resident) {
    const session = new Session();
    session.onGpu = resident && provider === "webgpu";
    session.inner = await ort.InferenceSession.create(model, {
      executionProviders: [provider],
      graphOptimizationLevel: "all",
      ...(session.onGpu ? { preferredOutputLocation: "gpu-buffer" } : {}),
      // An operator that the GPU does not have would run on the CPU without a word, and be timed as the GPU's.
      ...(provider === "webgpu" ? { extra: { session: { disable_cpu_ep_fallback: "1" } } } : {}),
    });
    const [input] = session.inner.inputMetadata;
    session.name = input.name;
    session.shape = input.shape.map((size) => (typeof size === "number" ? size : 1));
    session.type = input.type;
    if (resident) session.feeds = { [session.name]: await session.randomInput() };
    return session;
  }

  async randomInput() {
    const random = generator(SEED);
    const length = this.shape.reduce((a, b) => a * b, 1);
    const values =
      this.type === "uint8" // what passes between the blocks of an int8 network
        ? Uint8Array.from({ length }, () => 256 * random())
        : Float32Array.from({ length }, () => 2 * random() - 1);
    if (!this.onGpu) return new ort.Tensor(this.type, values, this.shape);
    const device = await ort.env.webgpu.device;
    // The size is rounded up to what WebGPU writes at once.
    this.buffer = device.createBuffer({
      size: Math.ceil(values.byteLength / 16) * 16,
      usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST,
    });
    device.queue.writeBuffer(this.buffer, 0, values);
    this.device = device;
    return ort.Tensor.fromGpuBuffer(this.buffer, { dataType: this.type, dims: this.shape });
  }

  /** Run once on the random input, to the very end. */
  async invoke() {
    const outputs = await this.inner.run(this.feeds);
    if (!this.onGpu) return;
    await this.device.queue.onSubmittedWorkDone();
    for (const output of Object.values(outputs)) output.dispose();
  }

  /** The first output for an input of the model's own shape. */
  async run(values) {
    const input = this.type === "uint8" ? Uint8Array.from(values) : values; // what comes here are floats, of whole pixels too
    const outputs = await this.inner.run({ [this.name]: new ort.Tensor(this.type, input, this.shape) });
    return outputs[this.inner.outputNames[0]];
  }

  async release() {
    await this.inner.release();
    this.buffer?.destroy();
  }
}

// ---- timing ----

/** Mulberry32: numbers in [0, 1), the same for the same seed. */
function generator(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let bits = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    bits = (bits + Math.imul(bits ^ (bits >>> 7), 61 | bits)) ^ bits;
    return ((bits ^ (bits >>> 14)) >>> 0) / 2 ** 32;
  };
}

function shuffle(items, random) {
  for (let last = items.length - 1; last > 0; last--) {
    const other = Math.floor(random() * (last + 1));
    [items[last], items[other]] = [items[other], items[last]];
  }
}

/** Milliseconds between two readings of the clock that differ: 0.005 on an isolated page, 0.1 and more otherwise. */
function clockTick() {
  let least = Infinity;
  for (let i = 0; i < 20; i++) {
    const start = now();
    let end = start;
    while (end === start) end = now();
    least = Math.min(least, end - start);
  }
  return least;
}

/** Browsers slow down pages that nobody sees, and when all is over there is nothing left to measure. */
async function ready() {
  if (ended) throw ended;
  while (document.hidden) {
    show("Waiting: bring this page to the front.");
    await new Promise((resolve) => document.addEventListener("visibilitychange", resolve, { once: true }));
  }
}

async function runsMs(session, runs) {
  const start = now();
  for (let i = 0; i < runs; i++) await session.invoke();
  return now() - start;
}

/** Runs it until it is as fast as it gets, and returns how many runs make a sample that the clock can tell. */
async function warmUp(session, tick) {
  let least = await runsMs(session, 1);
  const end = now() + FIRST_MS;
  for (let runs = 1; runs < FIRST_RUNS && now() < end; runs++) least = Math.min(least, await runsMs(session, 1));
  return Math.ceil((TICKS * tick) / Math.max(least, tick));
}

async function leastMs(session, runs) {
  await runsMs(session, WARM_UP_RUNS);
  let least = Infinity;
  const end = now() + FILL_MS;
  for (let samples = 0; samples < LEAST_RUNS || now() < end; samples++) {
    least = Math.min(least, (await runsMs(session, runs)) / runs);
  }
  return least;
}

// ---- what is asked ----

async function environment(task) {
  if (task.provider === "webgpu" && !(await navigator.gpu?.requestAdapter())) {
    throw new Error("it shows no GPU. WebGPU needs Chrome 121 or newer, on Android 12 or newer.");
  }
  // What ONNX Runtime uses, and not what else the browser could offer.
  const session = await Session.open(await file(task, 0), task.provider, true);
  await session.release();
  let adapter = null;
  if (task.provider === "webgpu") {
    const info = (await ort.env.webgpu.device).adapterInfo;
    const words = Object.fromEntries(["vendor", "architecture", "device", "description"].map((k) => [k, info[k] ?? ""]));
    adapter = { ...words, fallback: info.isFallbackAdapter ?? (await navigator.gpu.requestAdapter()).isFallbackAdapter ?? null };
  }
  const details = ["architecture", "bitness", "model", "platformVersion"];
  const agent = (await navigator.userAgentData?.getHighEntropyValues(details)) ?? {};
  const known = ["platform", ...details].map((name) => [name, String(agent[name] ?? "")]);
  return {
    environment: {
      ...Object.fromEntries(known),
      user_agent: navigator.userAgent,
      cores: navigator.hardwareConcurrency,
      tick_ms: clockTick(),
      isolated: crossOriginIsolated,
      runtime_version: ort.env.versions.web,
      adapter,
    },
  };
}

async function time(task) {
  const sessions = [];
  try {
    for (let number = 0; number < task.models; number++) {
      show(`Opening model ${number + 1} of ${task.models}`, number / task.models);
      sessions.push(await Session.open(await file(task, number), task.provider, true));
    }
    const tick = clockTick();
    const runs = [];
    for (const [number, session] of sessions.entries()) {
      show(`Warming up model ${number + 1} of ${task.models}`, number / task.models);
      await ready();
      runs.push(await warmUp(session, tick));
      await breathe();
    }
    const times = sessions.map(() => []);
    const order = sessions.map((_, number) => number);
    const random = generator(SEED);
    for (let round = 0; round < task.rounds; round++) {
      await progress(`${task.title}: round`, round, task.rounds);
      shuffle(order, random);
      for (const number of order) {
        await ready();
        times[number].push(await leastMs(sessions[number], runs[number]));
        await breathe();
      }
    }
    return { times_ms: times };
  } finally {
    for (const session of sessions) await session.release();
  }
}

async function run(task) {
  const session = await Session.open(await file(task, 0), task.provider, false);
  try {
    const images = new Float32Array(await file(task, 1));
    const size = images.length / task.images;
    const outputs = [];
    let shape;
    for (let number = 0; number < task.images; number++) {
      await progress(`${task.title}: image`, number, task.images);
      const output = await session.run(images.slice(number * size, (number + 1) * size));
      shape = output.dims.slice(1);
      outputs.push(Array.from(await output.getData()));
    }
    return { outputs, shape };
  } finally {
    await session.release();
  }
}

const TASKS = { environment, time, run };

// ---- from the first task to the last ----

async function stayAwake() {
  if (!document.hidden) await navigator.wakeLock?.request("screen").catch(() => {});
}

async function deliver(task, answer) {
  try {
    await post("answer", { task: task.number, ...answer });
  } catch (error) {
    if (error instanceof Ended) throw error;
    await post("answer", { task: task.number, error: error.message });
  }
}

async function main() {
  document.addEventListener("visibilitychange", stayAwake);
  await stayAwake();
  let beats;
  try {
    ({ page } = await (await post("open")).json());
    beats = setInterval(beat, BEAT_MS);
    for (;;) {
      const response = await talk("task");
      if (response.status === 204) {
        show("Waiting for the computer.");
        continue;
      }
      const task = await response.json();
      current = { task: task.number, done: 0 };
      let answer;
      try {
        await load(task);
        answer = await TASKS[task.do](task);
      } catch (error) {
        if (error instanceof Ended) throw error;
        answer = { error: error.message };
      }
      await deliver(task, answer);
    }
  } catch (error) {
    show(error.message, 1);
    document.getElementById("advice").hidden = true;
  } finally {
    clearInterval(beats);
  }
}

await main();
