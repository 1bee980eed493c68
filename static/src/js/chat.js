// A conversation that goes on by itself. What is said is drawn by the server; here it is put where it belongs.
import { arrange, steadily } from "./chat/log.js";
import { refresh, subscribe } from "./chat/news.js";
import { watchOlder } from "./chat/older.js";
import { composer } from "./chat/page.js";
import { markRead } from "./chat/reading.js";
import { startWriting } from "./chat/writing.js";
import "./viewer.js";

// The phone's keyboard lies over the page where the browser does not make room for it.

function makeRoom() {
  const { height, offsetTop, scale } = window.visualViewport;
  const hidden = scale > 1.01 ? 0 : Math.max(0, window.innerHeight - height - offsetTop);
  document.documentElement.style.setProperty("--keyboard", `${hidden}px`);
}

window.visualViewport?.addEventListener("resize", makeRoom);
window.visualViewport?.addEventListener("scroll", makeRoom);

// What htmx swapped in by itself, such as a reaction, is put in order too.
document.body.addEventListener("htmx:oobAfterSwap", () => steadily(() => {}));

if (composer) startWriting();
arrange();
if (location.hash) document.getElementById(location.hash.slice(1))?.scrollIntoView({ block: "center" });
else document.querySelector("#messages > .is-first-new")?.scrollIntoView({ block: "start" });
watchOlder();
subscribe();
markRead();
if (document.body.dataset.live) refresh().catch(() => {});
