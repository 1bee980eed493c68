// What others do arrives by itself. The socket only says that something changed and who did it; pages fetch the rest.
const PING = 25_000;
const PATIENCE = 10_000;
const SLOWEST = 30_000;
const SETTLE = 400;
const SEEN = "larder:seen";

const me = document.body.dataset.user;
let socket = null;
let failures = 0;
let silence = null;
let refresh = null;
let chats = null;
// Staff who acts for somebody ends that session themselves, and is on the way to their own.
let goingBack = false;

function connect() {
  if (socket) return;
  socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws`);
  socket.addEventListener("message", ({ data }) => receive(JSON.parse(data)));
  socket.addEventListener("close", reconnect);
}

function reconnect({ code }) {
  clearTimeout(silence);
  socket = null;
  // Refused for good: whoever is signed in again gets a new page.
  if (code === 4401) return;
  if (code === 4403) tell("live:cut");
  const wait = Math.min(SLOWEST, 1000 * 2 ** failures) * (0.5 + Math.random() / 2);
  failures += 1;
  setTimeout(connect, wait);
}

function listen() {
  clearTimeout(silence);
  silence = setTimeout(() => {
    socket.send('{"action":"ping"}');
    silence = setTimeout(() => socket.close(), PATIENCE);
  }, PING);
}

function receive(frame) {
  listen();
  if (frame.id) sessionStorage.setItem(SEEN, frame.id);
  switch (frame.type) {
    case "connection.established":
      document.body.dataset.live = "true";
      resume();
      tell("live:open");
      break;
    case "lot.changed":
      if (frame.actor && frame.actor.id !== me && frame.said) tell("toast", { message: frame.said, level: "info" });
      scheduleRefresh();
      break;
    case "notification.created":
    case "notification.read":
      tell("notifications:changed");
      break;
    case "chat.message":
    case "chat.changed":
    case "chat.deleted":
    case "chat.read":
      scheduleChats();
    // falls through
    case "chat.typing":
      tell("chat:frame", frame);
      break;
    case "session.revoked":
      if (!goingBack) location.assign("/login");
      break;
    case "error":
      // Away for longer than is remembered: look at everything anew.
      if (frame.code === "too_old") {
        sessionStorage.removeItem(SEEN);
        tell("stock:changed");
        tell("notifications:changed");
        tell("chats:changed");
        tell("live:missed");
      }
  }
}

// The page is a little older than the socket: what came in between is said again, or, by nothing seen yet, looked up.
function resume() {
  failures = 0;
  const seen = sessionStorage.getItem(SEEN);
  if (seen) socket.send(JSON.stringify({ action: "resume", last_id: Number(seen) }));
  else {
    tell("stock:changed");
    tell("live:missed");
  }
}

// What a page has to say itself goes when there is somebody to hear it.
document.body.addEventListener("live:say", ({ detail }) => {
  if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify(detail));
});

// One's own taps refresh the page by themselves, and what is fetched after them holds all that was told before.
function scheduleRefresh() {
  refresh ??= setTimeout(() => tell("stock:changed"), SETTLE);
}

function scheduleChats() {
  chats ??= setTimeout(() => {
    chats = null;
    tell("chats:changed");
  }, SETTLE);
}

document.body.addEventListener("stock:changed", () => {
  clearTimeout(refresh);
  refresh = null;
});

function tell(name, detail = {}) {
  document.body.dispatchEvent(new CustomEvent(name, { detail }));
}

if (me) {
  connect();
  document.addEventListener("submit", ({ target }) => {
    goingBack ||= target.getAttribute("action") === "/acting/end";
  });
  // A page that comes back from the browser's own memory has a dead socket.
  window.addEventListener("pageshow", (event) => event.persisted && connect());
}
