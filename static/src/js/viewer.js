// A picture, large, before the page it is in; its neighbours by arrows, keys and swipes.
const viewer = document.getElementById("viewer");
const image = viewer?.querySelector("img");
const SWIPE = 40;

let links = [];
let at = 0;

function show(index) {
  at = index;
  const small = links[at].querySelector("img");
  image.alt = small.alt || links[at].getAttribute("aria-label");
  // The small one, until the large one is there.
  image.style.backgroundImage = `url("${small.currentSrc}")`;
  image.src = links[at].href;
  for (const button of viewer.querySelectorAll("[data-step]")) button.hidden = !links[at + Number(button.dataset.step)];
}

function step(by) {
  if (links[at + by]) show(at + by);
}

function start() {
  image.addEventListener("load", () => (image.style.backgroundImage = ""));

  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-large]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    links = [...(link.closest(".pictures, .photos") ?? link.parentElement).querySelectorAll("a[data-large]")];
    show(links.indexOf(link));
    viewer.showModal();
  });

  viewer.addEventListener("click", ({ target }) => {
    const button = target.closest("[data-step]");
    if (button) step(Number(button.dataset.step));
    else viewer.close();
  });
  viewer.addEventListener("close", () => image.removeAttribute("src"));

  // Forward is where one reads on.
  const forward = document.documentElement.dir === "rtl" ? -1 : 1;
  viewer.addEventListener("keydown", ({ key }) => {
    const by = { ArrowRight: forward, ArrowLeft: -forward }[key];
    if (by) step(by);
  });

  let from = null;
  viewer.addEventListener("touchstart", ({ touches }) => {
    from = touches.length === 1 && !(window.visualViewport?.scale > 1.01) ? touches[0].clientX : null;
  }, { passive: true });
  viewer.addEventListener("touchend", ({ changedTouches: [touch] }) => {
    const moved = from === null ? 0 : touch.clientX - from;
    if (Math.abs(moved) > SWIPE) step(moved < 0 ? forward : -forward);
  });
}

if (viewer) start();
