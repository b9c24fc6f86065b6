// This browser as a device: an ed25519 key that cannot leave it, and the token that the gateway gave it.
// Kept in IndexedDB, where a key may be stored without being readable.

const DB = "openclaw-device";
const encoder = new TextEncoder();

function request(wish) {
  return new Promise((resolve, reject) => {
    wish.onsuccess = () => resolve(wish.result);
    wish.onerror = () => reject(wish.error);
  });
}

async function shelf(mode) {
  const opening = indexedDB.open(DB, 1);
  opening.onupgradeneeded = () => opening.result.createObjectStore("kept");
  const db = await request(opening);
  return db.transaction("kept", mode).objectStore("kept");
}

const kept = async (name) => request((await shelf("readonly")).get(name));
const keep = async (name, value) => request((await shelf("readwrite")).put(value, name));
const drop = async (name) => request((await shelf("readwrite")).delete(name));

function base64url(bytes) {
  return btoa(String.fromCharCode(...new Uint8Array(bytes))).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

const hex = (bytes) => [...new Uint8Array(bytes)].map((byte) => byte.toString(16).padStart(2, "0")).join("");

// Browsers give keys to secure pages only: https, or this machine.
export const possible = () => Boolean(globalThis.isSecureContext && crypto.subtle);

async function keyPair() {
  let pair = await kept("key");
  if (!pair) {
    pair = await crypto.subtle.generateKey("Ed25519", false, ["sign", "verify"]);
    await keep("key", pair);
  }
  return pair;
}

export async function signed({ client, role, scopes, token, nonce }) {
  const pair = await keyPair();
  const raw = await crypto.subtle.exportKey("raw", pair.publicKey);
  const id = hex(await crypto.subtle.digest("SHA-256", raw));
  const signedAt = Date.now();
  const fold = (text) => (text ?? "").trim().replace(/[A-Z]/g, (letter) => letter.toLowerCase());
  const fields = ["v3", id, client.id, client.mode, role, scopes.join(","), String(signedAt), token, nonce];
  fields.push(fold(client.platform), fold(client.deviceFamily));
  const signature = await crypto.subtle.sign("Ed25519", pair.privateKey, encoder.encode(fields.join("|")));
  return { id, publicKey: base64url(raw), signature: base64url(signature), signedAt, nonce };
}

export const token = () => kept("token");
export const keepToken = (value) => keep("token", value);
export const dropToken = () => drop("token");
