// The set-up. Text from outside goes in as text, never as markup; no secret is kept in the browser.

const $ = (id) => document.getElementById(id);
let pageToken = "";

async function ask(path, body) {
  const options = { cache: "no-store", credentials: "same-origin" };
  if (body !== undefined) {
    options.method = "POST";
    options.headers = { "content-type": "application/json", "x-openclaw-setup": pageToken };
    options.body = JSON.stringify(body);
  }
  const answer = await fetch(`/setup/${path}`, options);
  if (!answer.ok) {
    const told = await answer.json().catch(() => null);
    const wait = answer.headers.get("retry-after");
    if (answer.status === 401) {
      const why = path === "login" ? "This is not the set-up password." : "The session has ended; give the password again.";
      throw Object.assign(new Error(why), { status: 401 });
    }
    const words = [told?.error?.message ?? `${answer.status}`, told?.error?.hint, wait && `Wait ${wait} s.`];
    throw Object.assign(new Error(words.filter(Boolean).join(" ")), { status: answer.status });
  }
  return answer;
}

function show(text) {
  $("line").textContent = text;
}

function showDoor() {
  $("steps").hidden = true;
  $("door").hidden = false;
  $("password").focus();
}

async function doing(button, work) {
  button.disabled = true;
  show("");
  try {
    await work();
  } catch (error) {
    show(error.message);
    if (error.status === 401) showDoor();
  } finally {
    button.disabled = false;
  }
}

function waitingRow(one) {
  const row = document.createElement("li");
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = "Let it in";
  button.addEventListener("click", () =>
    doing(button, async () => {
      await ask("approve", { requestId: one.requestId });
      await refresh();
    }),
  );
  row.append(`${one.name || "a device"} at ${one.address}, ${one.deviceId.slice(0, 16)} `, button);
  return row;
}

async function refresh() {
  const state = await (await ask("state")).json();
  pageToken = state.pageToken;
  $("model-now").textContent = state.model;
  $("unlisted").hidden = !state.unlistedProxy;
  $("waiting").replaceChildren(...state.waiting.map(waitingRow));
  $("door").hidden = true;
  $("steps").hidden = false;
}

function fitForm() {
  for (const part of document.querySelectorAll("[data-for]")) {
    part.hidden = !part.dataset.for.split(" ").includes($("provider").value);
  }
}

$("door").addEventListener("submit", (event) => {
  event.preventDefault();
  doing(event.submitter, async () => {
    const password = $("password").value;
    $("password").value = "";
    await ask("login", { password });
    await refresh();
  });
});

$("provider").addEventListener("change", fitForm);

$("provider-form").addEventListener("submit", (event) => {
  event.preventDefault();
  $("provider-line").textContent = "Asking it …";
  doing(event.submitter, async () => {
    const local = $("provider").value === "embedded";
    const wish = { provider: $("provider").value, key: local ? "" : $("key").value };
    if (["ollama", "custom"].includes(wish.provider)) wish.baseUrl = $("base-url").value.trim();
    if (!local) wish.model = $("model").value.trim();
    try {
      const done = await (await ask("provider", wish)).json();
      $("key").value = "";
      const later = done.status === "applied" || done.status === "none" ? "" : " It is used after the next start.";
      $("provider-line").textContent = `${done.model} answers (${done.durationMs} ms): ${done.answer}.${later}`;
    } catch (error) {
      $("provider-line").textContent = "";
      throw error;
    }
    await refresh();
  });
});

$("pair").addEventListener("click", (event) =>
  doing(event.target, async () => {
    const { token } = await (await ask("pair", {})).json();
    location.assign(token ? `/#token=${encodeURIComponent(token)}` : "/");
  }),
);

$("export-form").addEventListener("submit", (event) => {
  event.preventDefault();
  doing(event.submitter, async () => {
    const answer = await ask("export", { passphrase: $("passphrase").value });
    $("passphrase").value = "";
    const link = document.createElement("a");
    link.href = URL.createObjectURL(await answer.blob());
    link.download = /filename="([^"]+)"/.exec(answer.headers.get("content-disposition"))?.[1] ?? "openclaw-backup";
    link.click();
    URL.revokeObjectURL(link.href);
  });
});

fitForm();
const entrance = await fetch("/setup/state", { cache: "no-store" });
if (entrance.ok) await refresh();
else showDoor();
