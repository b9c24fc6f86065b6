// The Gateway protocol, version 4, in a browser: one socket, requests by id, events in order, back after a loss.

import * as device from "./device.js";

const CLIENT = { id: "openclaw-control-ui", version: "1", platform: "web", deviceFamily: "browser", mode: "webchat" };
const SCOPES = ["operator.admin", "operator.approvals", "operator.pairing", "operator.read", "operator.write"];
const LONGEST_PAUSE_MS = 15_000;
const REFUSED = 1008;

export class Refusal extends Error {
  constructor(error) {
    super(error?.message ?? "the gateway refused");
    this.code = error?.details?.code ?? error?.code ?? "";
    this.details = error?.details ?? {};
  }
}

export class Gateway extends EventTarget {
  #socket = null;
  #calls = new Map();
  #next = 1;
  #pause = 500;
  #sharedToken = "";
  #instance = crypto.randomUUID();
  #quiet = 0;
  hello = null;

  // Tells `open` (hello), `refused` (why), `lost`, and every event of the gateway under its own name.
  start(sharedToken) {
    this.#sharedToken = sharedToken;
    this.#open();
  }

  #tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }

  #open() {
    const url = new URL("./", location.href);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    url.hash = "";
    const socket = (this.#socket = new WebSocket(url));
    socket.onmessage = (message) => this.#take(socket, JSON.parse(message.data));
    socket.onclose = (close) => this.#closed(socket, close);
  }

  #closed(socket, close) {
    if (socket !== this.#socket) return;
    clearTimeout(this.#quiet);
    this.#socket = null;
    for (const call of this.#calls.values()) call.reject(new Error("the connection was lost"));
    this.#calls.clear();
    if (close.code === REFUSED || (close.code >= 4001 && close.code < 4100)) {
      if (close.code !== REFUSED) this.#tell("refused", new Refusal({ message: close.reason }));
      return;
    }
    this.#tell("lost", this.#pause);
    setTimeout(() => this.#open(), this.#pause * (0.75 + Math.random() / 2));
    this.#pause = Math.min(this.#pause * 2, LONGEST_PAUSE_MS);
  }

  #take(socket, frame) {
    if (frame.type === "res") {
      const call = this.#calls.get(frame.id);
      if (!call || (call.final && frame.ok && frame.payload?.status === "accepted")) return;
      this.#calls.delete(frame.id);
      if (frame.ok) call.resolve(frame.payload);
      else call.reject(new Refusal(frame.error));
    } else if (frame.event === "connect.challenge") {
      this.#connect(frame.payload.nonce);
    } else {
      this.#listen();
      this.#tell(frame.event, frame.payload);
    }
  }

  // Two ticks missed: the way is dead, though nobody has said so.
  #listen() {
    clearTimeout(this.#quiet);
    const tick = this.hello?.policy?.tickIntervalMs ?? 30_000;
    this.#quiet = setTimeout(() => this.#socket?.close(4000, "tick timeout"), tick * 2 + 2_000);
  }

  async #connect(nonce) {
    const own = device.possible() ? await device.token() : null;
    const token = this.#sharedToken || own || "";
    const client = { ...CLIENT, instanceId: this.#instance, timeZone: Intl.DateTimeFormat().resolvedOptions().timeZone };
    const params = { minProtocol: 4, maxProtocol: 4, client, role: "operator", scopes: SCOPES, caps: ["tool-events"] };
    if (token) params.auth = this.#sharedToken ? { token } : { deviceToken: token };
    if (device.possible()) {
      params.device = await device.signed({ client, role: "operator", scopes: SCOPES, token, nonce });
    }
    try {
      const hello = await this.call("connect", params);
      this.hello = hello;
      this.#pause = 500;
      if (hello.auth?.deviceToken) await device.keepToken(hello.auth.deviceToken);
      this.#listen();
      this.#tell("open", hello);
    } catch (error) {
      if (own && !this.#sharedToken) await device.dropToken();
      this.#tell("refused", error);
    }
  }

  call(method, params = {}, { final = false } = {}) {
    const id = String(this.#next++);
    return new Promise((resolve, reject) => {
      if (this.#socket?.readyState !== WebSocket.OPEN) {
        reject(new Error("not connected"));
        return;
      }
      this.#calls.set(id, { resolve, reject, final });
      this.#socket.send(JSON.stringify({ type: "req", id, method, params }));
    });
  }
}
