// Shows push messages and opens what they are about. Keeps no pages: they would be out of date.
self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));

self.addEventListener("push", (event) => {
  const { title, body, url, tag, actions } = event.data.json();
  const data = { url, ...Object.fromEntries(actions.map(({ action, url: to }) => [action, to])) };
  const offered = actions.map(({ action, title: text }) => ({ action, title: text }));
  event.waitUntil(self.registration.showNotification(title, { body, tag, actions: offered, data }));
});

self.addEventListener("notificationclick", (event) => {
  event.notification.close();
  const to = event.notification.data[event.action || "url"];
  event.waitUntil(self.clients.openWindow(to));
});
