// Passkeys: the browser and the server talk in base64url through this file. What needs it is hidden until it runs.
const decode = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));

function encode(buffer) {
  const binary = Array.from(new Uint8Array(buffer), (byte) => String.fromCharCode(byte)).join("");
  return btoa(binary).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
}

const withIds = (list = []) => list.map((one) => ({ ...one, id: decode(one.id) }));

async function send(path, body) {
  const answer = await fetch(`/api/v1${path}`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body ?? {}),
  });
  const said = answer.status === 204 ? {} : await answer.json();
  if (said.code === "confirmation_needed") {
    window.location.assign(`/confirm?next=${encodeURIComponent(window.location.pathname)}`);
    await new Promise(() => {});
  }
  if (!answer.ok) throw new Error(said.detail);
  return said;
}

async function get(optionsPath) {
  const { challenge, options } = await send(optionsPath);
  const found = await navigator.credentials.get({
    publicKey: {
      ...options,
      challenge: decode(options.challenge),
      allowCredentials: withIds(options.allowCredentials),
    },
  });
  const { clientDataJSON, authenticatorData, signature, userHandle } = found.response;
  const response = {
    clientDataJSON: encode(clientDataJSON),
    authenticatorData: encode(authenticatorData),
    signature: encode(signature),
    userHandle: userHandle && encode(userHandle),
  };
  return { challenge, credential: { id: found.id, rawId: encode(found.rawId), type: found.type, response } };
}

async function create() {
  const { challenge, options } = await send("/users/me/passkeys/options");
  const made = await navigator.credentials.create({
    publicKey: {
      ...options,
      challenge: decode(options.challenge),
      user: { ...options.user, id: decode(options.user.id) },
      excludeCredentials: withIds(options.excludeCredentials),
    },
  });
  const response = {
    clientDataJSON: encode(made.response.clientDataJSON),
    attestationObject: encode(made.response.attestationObject),
    transports: made.response.getTransports?.() ?? [],
  };
  return { challenge, credential: { id: made.id, rawId: encode(made.rawId), type: made.type, response } };
}

const acts = {
  "sign-in": async () => send("/auth/login/passkey", await get("/auth/login/passkey/options")),
  confirm: async () => send("/users/me/confirm/passkey", await get("/auth/login/passkey/options")),
  add: async (place) => {
    const name = place.querySelector("[name=name]").value;
    return send("/users/me/passkeys", { name, ...(await create()) });
  },
};

for (const place of window.PublicKeyCredential ? document.querySelectorAll("[data-passkey]") : []) {
  const button = place.querySelector("button");
  const error = place.querySelector("[role=alert]");
  place.hidden = false;
  place.closest("[data-passkey-place]")?.removeAttribute("hidden");
  place.parentElement.querySelector("[data-no-passkeys]")?.remove();

  place.addEventListener(place.matches("form") ? "submit" : "click", async (event) => {
    if (!place.matches("form") && !button.contains(event.target)) return;
    event.preventDefault();
    button.disabled = true;
    error.hidden = true;
    try {
      await acts[place.dataset.passkey](place);
      window.location.assign(place.dataset.next);
    } catch (failure) {
      // What the browser says is for programmers; what the server says is for people.
      error.textContent = failure instanceof DOMException ? place.dataset.failed : failure.message;
      error.hidden = false;
      button.disabled = false;
    }
  });
}
