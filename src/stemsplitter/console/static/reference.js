// "Try it" of the API reference: sends a request with the reader's key and shows the response.

const key = document.querySelector("#key");
const KEY = "api-key"; // of the tab's storage

for (const element of document.querySelectorAll(".try")) element.hidden = false;
if (key) {
  key.value = sessionStorage.getItem(KEY) ?? "";
  key.addEventListener("change", () => sessionStorage.setItem(KEY, key.value.trim()));
}

export function address(path, parameters) {
  const query = new URLSearchParams();
  for (const { name, value, where } of parameters) {
    if (where === "path") path = path.replace(`{${name}}`, encodeURIComponent(value));
    else if (value) query.append(name, value);
  }
  return query.size ? `${path}?${query}` : path;
}

async function send(form) {
  const inputs = [...form.querySelectorAll("input")];
  const parameters = inputs.map((input) => ({ name: input.name, value: input.value.trim(), where: input.dataset.in }));
  const body = form.querySelector("[data-body]")?.value;
  const headers = { Authorization: `Bearer ${key.value.trim()}` };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  // no cookies: the request has the rights of the key only
  const response = await fetch(address(form.dataset.path, parameters), { method: form.dataset.method, headers, body, credentials: "omit" });
  const text = await response.text();
  let shown = text;
  try {
    shown = JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    // not JSON: shown as it is
  }
  return `${response.status} ${response.statusText}\n\n${shown}`.trim();
}

document.addEventListener("submit", async (event) => {
  const form = event.target.closest("[data-try]");
  if (!form) return;
  event.preventDefault();
  const output = form.querySelector("[data-response]");
  const button = form.querySelector("button");
  output.hidden = false;
  if (!key.value.trim()) {
    output.textContent = "Enter your API key at the top of the page.";
    key.focus();
    return;
  }
  button.disabled = true;
  output.textContent = "…";
  try {
    output.textContent = await send(form);
  } catch {
    output.textContent = "The server did not respond. Try again.";
  } finally {
    button.disabled = false;
  }
});
