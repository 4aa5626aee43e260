// Keeps the page and its network in the browser, so that it works without a network. `VERSION` changes with the files.
const VERSION = "@VERSION@";
const FILES = ["./", "index.html", "classify.mjs", "model.json", "model.onnx", "ort.mjs", "ort.wasm"];

self.addEventListener("install", (event) => {
  event.waitUntil(caches.open(VERSION).then((cache) => cache.addAll(FILES)).then(() => self.skipWaiting()));
});

self.addEventListener("activate", (event) => {
  const older = async () => (await caches.keys()).filter((name) => name.startsWith("edgenas-") && name !== VERSION);
  event.waitUntil(older().then((names) => Promise.all(names.map((name) => caches.delete(name)))).then(() => self.clients.claim()));
});

self.addEventListener("fetch", (event) => {
  event.respondWith(caches.match(event.request, { ignoreSearch: true }).then((kept) => kept ?? fetch(event.request)));
});
