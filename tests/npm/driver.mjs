// Drives the packages' clients for the tests: one JSON object a line on stdin, one a line on stdout.
// {id, op, ...} is answered with {id, ok, result | error}; what a client reports by itself is {client, what, ...}.

import { createHash, generateKeyPairSync, sign } from "node:crypto";
import { createInterface } from "node:readline";
import { mock } from "node:test";
import {
  GatewayClient,
  createSessionProjection,
  getGatewaySessionMessageSubscriptionCoordinator,
  reduceSessionProjection,
  reduceSessionProjectionRunEvent,
} from "@openclaw/gateway-client";

const clients = new Map();
const devices = new Map();
const tokens = new Map();
const subscriptions = new Map();

const say = (line) => process.stdout.write(JSON.stringify(line) + "\n");

const told = (error) => ({
  name: error.name,
  code: error.code,
  gatewayCode: error.gatewayCode,
  message: error.message,
  details: error.details,
  retryable: error.retryable,
  retryAfterMs: error.retryAfterMs,
});

const rawKey = (pem) => pem.export({ format: "jwk" }).x;

function makeDevice(name, spoiled) {
  const { publicKey, privateKey } = generateKeyPairSync("ed25519");
  const raw = rawKey(publicKey);
  const deviceId = createHash("sha256").update(Buffer.from(raw, "base64url")).digest("hex");
  const other = generateKeyPairSync("ed25519");
  devices.set(name, {
    deviceId,
    publicKey: spoiled === "key" ? other.publicKey : publicKey,
    privateKey: spoiled === "signature" ? other.privateKey : privateKey,
  });
  return { deviceId, publicKey: raw };
}

// A device's tokens live in this process, as an app keeps them on its disk.
function hostOf(client, name) {
  const device = devices.get(name);
  return {
    deviceIdentity: { deviceId: device.deviceId, privateKeyPem: name, publicKeyPem: name },
    hostDeps: {
      signDevicePayload: (_pem, payload) => sign(null, Buffer.from(payload), device.privateKey).toString("base64url"),
      publicKeyRawBase64UrlFromPem: () => rawKey(device.publicKey),
      loadDeviceAuthToken: ({ role }) => tokens.get(`${name}/${role}`) ?? null,
      storeDeviceAuthToken: ({ role, token, scopes }) => {
        tokens.set(`${name}/${role}`, { token, scopes });
        say({ client, what: "token", role, scopes });
      },
      clearDeviceAuthToken: ({ role }) => {
        tokens.delete(`${name}/${role}`);
        say({ client, what: "token-cleared", role });
      },
    },
  };
}

const operations = {
  open({ client, options, device }) {
    const report = (what) => (payload) => say({ client, what, ...payload });
    clients.get(client)?.stop();
    const made = new GatewayClient({
      ...options,
      ...(device ? hostOf(client, device) : { deviceIdentity: null }),
      onHelloOk: (hello) => report("hello")({ hello }),
      onEvent: (event) => report("event")({ frame: event }),
      onGap: report("gap"),
      onConnectError: (error) => report("connect-error")({ error: told(error) }),
      onReconnectPaused: report("paused"),
      onClose: (code, reason, info) => report("close")({ code, reason, phase: info?.phase }),
    });
    clients.set(client, made);
    made.start();
  },
  async request({ client, method, params, options }) {
    let accepted;
    const answer = await clients.get(client).request(method, params, {
      ...options,
      onAccepted: (payload) => {
        accepted = payload;
      },
    });
    return { answer, accepted };
  },
  async stop({ client }) {
    await clients.get(client)?.stopAndWait();
    clients.delete(client);
  },
  async follow({ client, key }) {
    const found = await getGatewaySessionMessageSubscriptionCoordinator(clients.get(client)).acquire(key);
    subscriptions.set(`${client}/${key}`, found);
    return found;
  },
  leave: ({ client, key }) =>
    getGatewaySessionMessageSubscriptionCoordinator(clients.get(client)).release(subscriptions.get(`${client}/${key}`)),
  device: ({ name, spoiled }) => makeDevice(name, spoiled),
  token: ({ name, role }) => tokens.get(`${name}/${role}`),
  // What a screen shows: turns being sent and the frames that came, in order, then the history loaded anew.
  project({ scope, steps, history }) {
    let state = createSessionProjection(scope);
    const reduce = (event) => {
      state = reduceSessionProjection(state, event);
    };
    for (const { pending, event, payload } of steps) {
      if (pending) {
        reduce({ type: "sendPending", ...pending });
      } else if (event === "session.message") {
        reduce({ type: "messagePersisted", message: payload.message, envelope: payload });
      } else if (event === "chat") {
        state = reduceSessionProjectionRunEvent(state, payload)?.projection ?? state;
      }
    }
    const live = state.messages;
    reduce({ type: "snapshotLoaded", messages: history });
    return { live, loaded: state.messages, runs: state.runs };
  },
  // The client's watch on ticks runs on intervals of half a minute: the test turns its clock instead of waiting.
  hold: () => mock.timers.enable({ apis: ["setInterval", "Date"], now: Date.now() }),
  advance: ({ ms }) => mock.timers.tick(ms),
  release: () => mock.timers.reset(),
};

for await (const line of createInterface({ input: process.stdin })) {
  const { id, op, ...rest } = JSON.parse(line);
  Promise.resolve()
    .then(() => operations[op](rest))
    .then((result) => say({ id, ok: true, result }))
    .catch((error) => say({ id, ok: false, error: told(error) }));
}
for (const client of clients.values()) client.stop();
