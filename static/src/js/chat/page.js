// What the scripts of a conversation share: its parts, what is kept in the tab, and asking the server.
export const talk = document.getElementById("conversation");
export const { chat, at, files: filesUrl } = talk.dataset;
export const me = document.body.dataset.user;
export const log = document.getElementById("log");
export const messages = document.getElementById("messages");
export const toNewest = document.getElementById("to-newest");
export const composer = document.getElementById("composer");
export const words = document.getElementById("content");

export const SETTLE = 300;
export const DRAFT = `larder:draft:${me}:${chat}`;
export const UNSENT = `larder:unsent:${me}:${chat}`;

export const isNewest = talk.dataset.newest === "true";
// `held`: what came of oneself while something is on its way, which may be just that.
export const state = { isGone: false, sending: 0, held: new Set() };

export const tell = (name, detail = {}) => document.body.dispatchEvent(new CustomEvent(name, { detail }));
export const toast = (message) => tell("toast", { message, level: "error" });
export const all = (selector, within = document) => [...within.querySelectorAll(selector)];

export function read(store, fallback) {
  try {
    return JSON.parse(sessionStorage.getItem(store)) ?? fallback;
  } catch {
    return fallback;
  }
}

export function keep(store, value) {
  if (value === null) sessionStorage.removeItem(store);
  else sessionStorage.setItem(store, JSON.stringify(value));
}

// Asking the server

export async function ask(url, options = {}) {
  const answer = await fetch(url, { ...options, headers: { "HX-Request": "true", ...options.headers } });
  const elsewhere = answer.headers.get("HX-Redirect");
  if (elsewhere) location.assign(elsewhere);
  return answer;
}

// What the answer says went wrong.
export function said(answer) {
  try {
    return JSON.parse(answer.headers.get("HX-Trigger")).toast.message;
  } catch {
    return "";
  }
}

export function parsed(html) {
  const template = document.createElement("template");
  template.innerHTML = html;
  return template.content;
}
