// Push messages to this device: the browser asks, then its subscription becomes a channel.
import htmx from "htmx.org";

const place = document.getElementById("push");

function decoded(key) {
  const base64 = key.replace(/-/g, "+").replace(/_/g, "/");
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
}

async function subscribe() {
  const worker = await navigator.serviceWorker.register("/sw.js");
  const subscription = await worker.pushManager.subscribe({
    userVisibleOnly: true,
    applicationServerKey: decoded(place.dataset.key),
  });
  const { endpoint, keys } = subscription.toJSON();
  const answer = await fetch("/api/v1/users/me/channels", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ kind: "web_push", label: place.dataset.label, subscription: { endpoint, keys } }),
  });
  if (!answer.ok) throw new Error((await answer.json()).detail);
}

if (place && "serviceWorker" in navigator && "PushManager" in window) {
  place.hidden = false;
  place.querySelector("button").addEventListener("click", async (event) => {
    event.target.disabled = true;
    try {
      await subscribe();
      window.location.reload();
    } catch (error) {
      const message = error.name === "NotAllowedError" ? place.dataset.failed : error.message;
      htmx.trigger(document.body, "toast", { message, level: "error" });
      event.target.disabled = false;
    }
  });
}
