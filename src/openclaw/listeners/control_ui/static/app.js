// The pages: chat, devices, approvals, status. Text from outside goes in as text, never as markup.

import * as device from "./device.js";
import { Gateway } from "./gateway.js";

const $ = (id) => document.getElementById(id);
const gateway = new Gateway();
const state = { key: "main", runs: new Map(), page: "chat" };

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

const line = (text) => ($("line").textContent = text);
// A command as it is: what turns the writing direction, hides or breaks a line is made visible before a person decides.
const plain = (text) => String(text).replace(/\n/g, "⏎").replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, "\uFFFD");
const time = (ms) => (ms ? new Date(ms).toLocaleString() : "never");
const textOf = (message) =>
  typeof message?.content === "string"
    ? message.content
    : (message?.content ?? []).filter((part) => part.type === "text").map((part) => part.text).join("");

async function ask(method, params, options) {
  try {
    return await gateway.call(method, params, options);
  } catch (error) {
    line(error.message);
    return null;
  }
}

// ---- the way in

function showDoor(why) {
  $("house").hidden = true;
  $("door").hidden = false;
  $("door-why").textContent = why;
  $("door-token").focus();
}

$("door-form").addEventListener("submit", (event) => {
  event.preventDefault();
  gateway.start($("door-token").value.trim());
});

gateway.addEventListener("refused", ({ detail: error }) => {
  const ids = error.details?.requestId ? ` Approve it with: openclaw devices approve ${error.details.requestId}` : "";
  showDoor(`${error.message}.${ids}`);
});

gateway.addEventListener("lost", () => line("Connection lost; trying again …"));

gateway.addEventListener("open", async ({ detail: hello }) => {
  $("door-token").value = "";
  $("door").hidden = true;
  $("house").hidden = false;
  line(`openclaw ${hello.server?.version ?? ""}`);
  if (state.key === "main") state.key = hello.snapshot?.sessionDefaults?.mainSessionKey ?? "main";
  await ask("sessions.subscribe", {});
  await Promise.all([showSessions(), openSession(state.key), showDevices()]);
});

// ---- pages

function turnTo(page) {
  state.page = ["chat", "devices", "approvals", "status"].includes(page) ? page : "chat";
  for (const section of document.querySelectorAll(".page")) section.hidden = section.id !== `page-${state.page}`;
  for (const link of document.querySelectorAll("nav > a")) {
    if (link.dataset.page === state.page) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  if (state.page === "status" && gateway.hello) showStatus();
}

addEventListener("hashchange", () => turnTo(location.hash.slice(1)));

// ---- sessions

async function showSessions() {
  const found = await ask("sessions.list", { limit: 50 });
  if (!found) return;
  const rows = found.sessions.map((row) => {
    const name = row.label || row.displayName || row.key;
    const button = element("button", { type: "button", textContent: name, title: row.key });
    if (row.key === state.key) button.setAttribute("aria-current", "true");
    button.addEventListener("click", () => openSession(row.key));
    return element("li", {}, button);
  });
  $("sessions").replaceChildren(...rows);
}

async function openSession(key) {
  state.key = key;
  state.runs.clear();
  location.hash = "chat";
  turnTo("chat");
  $("chat-title").textContent = key;
  $("chat-model").textContent = "";
  $("messages").replaceChildren();
  const history = await ask("chat.history", { sessionKey: key, limit: 200 });
  if (!history || state.key !== key) return;
  for (const message of history.messages) show(message);
  settle();
  showSessions();
  showApprovals();
}

$("new-session").addEventListener("click", () => {
  const prefix = state.key.split(":").slice(0, 2).join(":");
  openSession(`${prefix}:web-${crypto.randomUUID().slice(0, 8)}`);
});

// ---- chat

function show(message) {
  const text = textOf(message);
  if (!text) return null;
  const kind = message.role === "user" ? "user" : message.role === "assistant" ? "assistant" : "note";
  const row = element("li", { className: kind, textContent: text });
  $("messages").append(row);
  row.scrollIntoView({ block: "end" });
  if (message.model) $("chat-model").textContent = [message.provider, message.model].filter(Boolean).join("/");
  return row;
}

function note(text, kind = "note") {
  const row = element("li", { className: kind, textContent: text });
  $("messages").append(row);
  row.scrollIntoView({ block: "end" });
}

function settle() {
  $("stop").hidden = state.runs.size === 0;
}

gateway.addEventListener("chat", ({ detail: told }) => {
  if (told.sessionKey !== state.key) return;
  if (told.state === "status") return;
  let row = state.runs.get(told.runId);
  if (told.state === "delta") {
    if (!row) {
      row = show({ role: "assistant", content: " " });
      row.textContent = "";
      state.runs.set(told.runId, row);
    }
    row.textContent = textOf(told.message);
    row.scrollIntoView({ block: "end" });
  } else {
    state.runs.delete(told.runId);
    if (told.message && row) row.textContent = textOf(told.message);
    else if (told.message) show(told.message);
    if (told.state === "aborted") note("Stopped.");
    if (told.state === "error") note(told.errorMessage ?? "The run failed.", "error");
    showSessions();
  }
  settle();
});

gateway.addEventListener("agent", ({ detail: told }) => {
  if (told.sessionKey !== state.key || told.stream !== "tool") return;
  if (told.data.phase === "start") note(`Tool: ${told.data.name}`);
});

gateway.addEventListener("sessions.changed", ({ detail: told }) => {
  if (told.reason === "reset" && told.sessionKey === state.key) openSession(state.key);
  else showSessions();
});

async function send() {
  const message = $("draft").value.trim();
  if (!message) return;
  $("draft").value = "";
  show({ role: "user", content: message });
  const idempotencyKey = crypto.randomUUID();
  try {
    const answer = await gateway.call("chat.send", { sessionKey: state.key, message, idempotencyKey });
    if (answer.status === "started" && !message.startsWith("/")) $("stop").hidden = false;
  } catch (error) {
    note(`Not sent: ${error.message}`, "error");
    $("draft").value = message;
  }
}

$("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  send();
});

$("draft").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    send();
  }
});

$("stop").addEventListener("click", () => ask("chat.abort", { sessionKey: state.key }));

// ---- devices and approvals

function row(title, detail, ...actions) {
  const text = element("div", {}, element("strong", { textContent: title }));
  text.append(element("br"), element("span", { className: "quiet", textContent: detail }));
  const buttons = actions.map(([name, act]) => {
    const button = element("button", { type: "button", textContent: name });
    button.addEventListener("click", async () => {
      button.disabled = true;
      await act();
    });
    return button;
  });
  return element("li", {}, text, ...buttons);
}

async function showDevices() {
  const found = await ask("device.pair.list", {});
  if (!found) return;
  const decide = (verb, requestId) => async () => {
    await ask(`device.pair.${verb}`, { requestId });
    await showDevices();
  };
  $("devices-waiting").textContent = found.pending.length || "";
  $("devices-pending").replaceChildren(
    ...found.pending.map((one) =>
      row(
        one.displayName || one.clientId || one.deviceId.slice(0, 12),
        `${one.platform ?? ""} asks for ${(one.scopes ?? []).join(", ") || "no scopes"} · ${one.deviceId}`,
        ["Approve", decide("approve", one.requestId)],
        ["Reject", decide("reject", one.requestId)],
      ),
    ),
  );
  $("devices-paired").replaceChildren(
    ...found.paired.map((one) =>
      row(
        one.displayName || one.clientId || one.deviceId.slice(0, 12),
        `${one.platform ?? ""} · ${(one.scopes ?? []).join(", ")} · paired ${time(one.approvedAtMs)} · ${one.deviceId}`,
        [
          "Remove",
          async () => {
            if (confirm("Remove this device? It has to be paired again to come back.")) {
              await ask("device.pair.remove", { deviceId: one.deviceId });
            }
            await showDevices();
          },
        ],
      ),
    ),
  );
}

// Each kind has its own list and its own answer; a person sees one list of what waits.
const APPROVALS = ["exec.approval", "plugin.approval"];
const DECISIONS = { "allow-once": "Allow once", "allow-always": "Allow always", deny: "Deny" };

function approvalRow(kind, one) {
  const request = one.request ?? {};
  const facts = [
    request.warningText ?? request.description,
    request.detail,
    request.tainted ? "the agent has read text from outside" : "",
    request.cwd ? `in ${request.cwd}` : "",
    request.agentId ? `agent ${request.agentId}` : "",
    `until ${time(one.expiresAtMs)}`,
  ];
  const decide = (decision) => async () => {
    await ask(`${kind}.resolve`, { id: one.id, decision });
    await showApprovals();
  };
  const offered = request.allowedDecisions ?? ["allow-once", "deny"];
  return row(
    plain(request.command ?? request.title ?? one.id),
    plain(facts.filter(Boolean).join(" · ")),
    ...offered.filter((each) => DECISIONS[each]).map((each) => [DECISIONS[each], decide(each)]),
  );
}

async function showApprovals() {
  const lists = await Promise.all(APPROVALS.map((kind) => ask(`${kind}.list`, {})));
  if (lists.some((found) => !found)) return;
  const waiting = lists.flatMap((found, at) => found.map((one) => [APPROVALS[at], one]));
  const here = waiting.filter(([, one]) => one.request?.sessionKey === state.key);
  $("approvals-waiting").textContent = waiting.length || "";
  $("approvals").replaceChildren(...waiting.map(([kind, one]) => approvalRow(kind, one)));
  $("chat-approvals").replaceChildren(...here.map(([kind, one]) => approvalRow(kind, one)));
}

for (const name of ["device.pair.requested", "device.pair.resolved"]) gateway.addEventListener(name, showDevices);
for (const kind of APPROVALS) {
  for (const what of ["requested", "resolved"]) gateway.addEventListener(`${kind}.${what}`, showApprovals);
}

async function showStatus() {
  const health = await ask("health", {});
  if (!health) return;
  const rows = [
    ["Version", gateway.hello.server?.version],
    ["Up for", `${Math.round((gateway.hello.snapshot?.uptimeMs ?? 0) / 1000)} s at connect`],
    ["Default agent", health.defaultAgentId],
    ["Agents", (health.agents ?? []).map((agent) => agent.agentId).join(", ")],
    ["Sessions", health.sessions?.count],
    ["Channels", (health.channelOrder ?? []).join(", ") || "none"],
    ["Event loop", `p99 ${health.eventLoop?.delayP99Ms ?? "?"} ms`],
    ["Signed in by", gateway.hello.auth?.method],
    ["Scopes", (gateway.hello.auth?.scopes ?? []).join(", ")],
  ];
  $("status").replaceChildren(
    ...rows.flatMap(([name, value]) => [
      element("dt", { textContent: name }),
      element("dd", { textContent: String(value ?? "") }),
    ]),
  );
}

// ---- start: a token in the fragment is used once and taken out of the address

const fragment = new URLSearchParams(location.hash.slice(1));
const given = fragment.get("token") ?? "";
if (given) history.replaceState(null, "", location.pathname + location.search);
turnTo(given ? "chat" : location.hash.slice(1));
if (given || (device.possible() && (await device.token()))) gateway.start(given);
else showDoor("");
