// The service worker: the offline page, and songs that other apps share. The server puts the constants VERSION, OFFLINE,
// SHARED and FILES before this text. Pages always come from the server; only the offline page and its files are kept.

const CACHE = `offline ${VERSION}`;
const HELD_MS = 60_000; // for which shared songs wait for the page that continues with them

let shared = [];
let collected = () => {};

addEventListener("install", (event) => {
  const fill = async () => {
    const cache = await caches.open(CACHE);
    // the offline page as the server has it now; its files have their version in the URL
    await cache.addAll([new Request(OFFLINE, { cache: "reload" }), ...FILES]);
    await skipWaiting();
  };
  event.waitUntil(fill());
});

addEventListener("activate", (event) => {
  const clean = async () => {
    for (const name of await caches.keys()) if (name !== CACHE) await caches.delete(name);
    await registration.navigationPreload?.enable(); // so that pages do not wait for this script
    await clients.claim();
  };
  event.waitUntil(clean());
});

async function open(event) {
  try {
    return (await event.preloadResponse) ?? (await fetch(event.request));
  } catch (error) {
    const page = await caches.match(OFFLINE, { cacheName: CACHE });
    if (page) return page;
    throw error;
  }
}

async function receive(event) {
  const form = await event.request.formData();
  shared = form.getAll("song").filter((part) => part instanceof File);
  const wait = new Promise((resolve) => {
    collected = resolve;
    setTimeout(resolve, HELD_MS);
  });
  event.waitUntil(wait); // this script is not stopped meanwhile
  return Response.redirect(SHARED, 303);
}

addEventListener("fetch", (event) => {
  const { method, mode, url } = event.request;
  const { origin, pathname } = new URL(url);
  if (origin !== location.origin) return;
  if (method === "POST" && mode === "navigate" && pathname === SHARED) event.respondWith(receive(event));
  else if (method === "GET" && mode === "navigate") event.respondWith(open(event));
  else if (method === "GET" && FILES.includes(pathname)) {
    event.respondWith(caches.match(event.request, { cacheName: CACHE }).then((kept) => kept ?? fetch(event.request)));
  }
});

// the page that continues with the shared songs asks for them once
addEventListener("message", (event) => {
  event.ports[0]?.postMessage(shared);
  shared = [];
  collected();
});
