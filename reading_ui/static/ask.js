// Asking the hub: one way to send, one shape of failure.

export class Failure extends Error {
  // status 0: the hub could not be reached at all.
  constructor(status, code, message, body = {}) {
    super(message);
    this.status = status;
    this.code = code;
    this.body = body;
  }
}

export function csrf() {
  return document.querySelector('meta[name="csrf-token"]').content;
}

export async function ask(address, { method = "GET", json, form, signal, keepalive = false } = {}) {
  const headers = { Accept: "application/json", "X-CSRFToken": csrf() };
  let body;
  if (json !== undefined) {
    headers["Content-Type"] = "application/json";
    body = JSON.stringify(json);
  } else if (form) body = new URLSearchParams(form);
  let answer;
  try {
    answer = await fetch(address, { method, headers, body, signal, keepalive, credentials: "same-origin" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Failure(0, "offline", "");
  }
  const told = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Failure(answer.status, told.code ?? "", told.message ?? "", told);
  return told;
}
