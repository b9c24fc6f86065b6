// The set-up. Text from outside goes in as text, never as markup; no secret is kept in the browser.
// Every address is relative: a proxy may give us a path of our own.

const WAIT_MS = 1000;
const WAIT_TRIES = 600;
const LASTING = 10;
const RECENT_MS = 1_800_000;
const BACK = {
  401: "The gateway is back. Give the set-up password again.",
  403: "The gateway is back, but with the backup's settings it does not know this address (gateway.publicBaseUrl).",
  404: "The gateway is back, and its set-up is closed: SETUP_PASSWORD was in a file that the backup replaced.",
};
const $ = (id) => document.getElementById(id);
let pageToken = "";
let uploadLimit = 0;
let restoring = null; // the notes on the backup that this page has sent

async function ask(path, body) {
  const options = { cache: "no-store", credentials: "same-origin" };
  if (body !== undefined) {
    options.method = "POST";
    options.headers = { "content-type": "application/json", "x-openclaw-setup": pageToken };
    options.body = JSON.stringify(body);
  }
  const answer = await fetch(`setup/${path}`, options);
  if (!answer.ok) {
    const told = await answer.json().catch(() => null);
    const wait = answer.headers.get("retry-after");
    throw refusal(path, answer.status, told, wait);
  }
  return answer;
}

function refusal(path, status, told, wait) {
  if (status === 401) {
    const why = path === "login" ? "This is not the set-up password." : "The session has ended; give the password again.";
    return Object.assign(new Error(why), { status });
  }
  const foreign = status === 413 ? "A proxy on the way lets no file of this size through" : `The answer was ${status}`;
  const sentences = [told?.error?.message ?? foreign, told?.error?.hint, wait && `Wait ${wait} s`];
  const words = sentences.filter(Boolean).map((each) => each[0].toUpperCase() + each.slice(1) + (/[.!?]$/.test(each) ? "" : "."));
  return Object.assign(new Error(words.join(" ")), { status });
}

function show(text) {
  $("line").textContent = text;
  if (text) $("line").scrollIntoView({ block: "nearest" });
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
  uploadLimit = state.uploadLimit;
  $("proxy").textContent = state.unlistedProxy;
  $("unlisted").hidden = !state.unlistedProxy;
  const last = state.lastRestore;
  if (restoring || (last && Date.now() - last.atMs < RECENT_MS)) showOutcome(last);
  $("waiting").replaceChildren(...state.waiting.map(waitingRow));
  $("door").hidden = true;
  $("steps").hidden = false;
}

function fitForm() {
  $("model").placeholder = ["ollama", "custom"].includes($("provider").value) ? "" : "the provider's usual one";
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

async function tellFetching(ended) {
  for (;;) {
    await pause(WAIT_MS);
    const state = ended.aborted ? null : await ask("state").then((answer) => answer.json(), () => null);
    if (ended.aborted || !state) return;
    const [done, total] = [state.fetching?.done, state.fetching?.total].map((bytes) => Math.round(bytes / 1e6));
    $("provider-line").textContent = state.fetching ? `Fetching it, ${done} of ${total} MB …` : "Asking it …";
  }
}

$("provider-form").addEventListener("submit", (event) => {
  event.preventDefault();
  $("provider-line").textContent = "Asking it …";
  doing(event.submitter, async () => {
    const local = $("provider").value === "embedded";
    const wish = { provider: $("provider").value, key: local ? "" : $("key").value };
    if (["ollama", "custom"].includes(wish.provider)) wish.baseUrl = $("base-url").value.trim();
    if (!local) wish.model = $("model").value.trim();
    const asked = new AbortController();
    if (local) tellFetching(asked.signal);
    try {
      const done = await (await ask("provider", wish)).json();
      $("key").value = "";
      const later = done.status === "applied" || done.status === "none" ? "" : "\nIt is used after the next start.";
      $("provider-line").textContent = `${done.model} answers (${done.durationMs} ms): ${done.answer}${later}`;
    } catch (error) {
      $("provider-line").textContent = "";
      throw error;
    } finally {
      asked.abort();
    }
    await refresh();
  });
});

$("pair").addEventListener("click", (event) =>
  doing(event.target, async () => {
    const { token } = await (await ask("pair", {})).json();
    location.assign(token ? `./#token=${encodeURIComponent(token)}` : "./");
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

function send(file, passphrase) {
  return new Promise((resolve, reject) => {
    const upload = new XMLHttpRequest();
    upload.open("POST", "setup/import");
    upload.setRequestHeader("content-type", "application/octet-stream");
    upload.setRequestHeader("x-openclaw-setup", pageToken);
    if (passphrase) upload.setRequestHeader("x-openclaw-passphrase", encodeURIComponent(passphrase));
    upload.responseType = "json";
    let sent = false;
    upload.upload.addEventListener("progress", (event) => tell(event.loaded / event.total));
    upload.upload.addEventListener("load", () => {
      sent = true;
      tell(null);
    });
    upload.addEventListener("load", () => {
      if (upload.status === 200) resolve(upload.response);
      else reject(refusal("import", upload.status, upload.response, upload.getResponseHeader("retry-after")));
    });
    // Once all of it is there, the gateway goes on without us: a proxy may have lost patience.
    upload.addEventListener("error", () => (sent ? resolve(null) : reject(new Error("The connection broke off. Nothing was changed."))));
    upload.send(file);
  });
}

function tell(share) {
  const bar = $("import-progress");
  bar.hidden = false;
  if (share === null) bar.removeAttribute("value");
  else bar.value = share;
  $("import-line").textContent = share === null ? "It is checked …" : `Sending, ${Math.round(share * 100)} % …`;
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// Sessions end with the process: the one that begins again does not know ours, and /setup may be closed there. While
// nothing answers, a proxy may say 403 or 404 in its place, so those count when they stay.
async function begunAgain() {
  let last = 0;
  let times = 0;
  for (let tries = 0; tries < WAIT_TRIES; tries += 1) {
    await pause(WAIT_MS);
    const status = (await fetch("setup/state", { cache: "no-store" }).catch(() => null))?.status ?? 0;
    times = status === last ? times + 1 : 1;
    last = status;
    if (status === 401 || (status in BACK && times === LASTING)) return status;
  }
  throw new Error("The gateway has not begun again. Its log says why.");
}

function showOutcome(last) {
  const line = $("outcome");
  const notes = (restoring ?? []).join(" ");
  line.textContent = !last
    ? "Nothing was restored."
    : last.why
      ? `Nothing was restored, all is as it was: ${last.why}.`
      : `The backup of ${new Date(last.madeAtMs).toLocaleString()} is in place. ${notes}`;
}

$("import-form").addEventListener("submit", (event) => {
  event.preventDefault();
  doing(event.submitter, async () => {
    const file = $("archive").files[0];
    if (file.size > uploadLimit) {
      throw new Error(`This file has ${file.size.toLocaleString()} bytes; ${uploadLimit.toLocaleString()} are taken (backup.uploadMaxBytes).`);
    }
    $("outcome").textContent = "";
    try {
      const staged = await send(file, $("import-passphrase").value);
      $("import-form").reset();
      $("import-progress").removeAttribute("value");
      $("import-line").textContent = "The gateway begins again …";
      restoring = staged?.notes ?? [];
      const status = await begunAgain();
      if (status === 401) showDoor();
      else $("steps").hidden = true;
      show(BACK[status]);
    } finally {
      $("import-progress").hidden = true;
      $("import-line").textContent = "";
    }
  });
});

fitForm();
const entrance = await fetch("setup/state", { cache: "no-store" });
if (entrance.ok) await refresh();
else showDoor();
