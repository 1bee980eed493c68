// The composer: a draft that stays, Enter, and files that are pasted, dropped or chosen.
import { attach } from "./files.js";
import { DRAFT, UNSENT, chat, composer, isNewest, keep, read, talk, tell, words } from "./page.js";
import { choose, closePeople, propose } from "./people.js";
import { attempt, fail, pend, send } from "./sending.js";

const TYPED = 3000;

export function grow() {
  words.style.blockSize = "auto";
  words.style.blockSize = `${words.scrollHeight + 2}px`;
}

let saidTyping = 0;

export function startWriting() {
  const draft = read(DRAFT, "");
  if (!words.value && draft) words.value = draft;
  grow();

  words.addEventListener("input", () => {
    grow();
    keep(DRAFT, words.value || null);
    propose();
    if (words.value && Date.now() - saidTyping > TYPED) {
      saidTyping = Date.now();
      tell("live:say", { action: "typing", chat_id: chat });
    }
  });

  words.addEventListener("keydown", (event) => {
    if (choose(event) || event.isComposing) return;
    // On a phone Enter is a new line: the thumb has a button.
    if (event.key === "Enter" && !event.shiftKey && matchMedia("(hover: hover)").matches) {
      event.preventDefault();
      composer.requestSubmit();
    }
  });

  words.addEventListener("blur", () => setTimeout(closePeople, 150));

  composer.addEventListener("submit", (event) => {
    event.preventDefault();
    send();
  });

  words.addEventListener("paste", (event) => {
    const pasted = [...(event.clipboardData?.files ?? [])];
    if (!pasted.length) return;
    event.preventDefault();
    attach(pasted);
  });

  for (const id of ["files", "camera"]) {
    const input = document.getElementById(id);
    const take = () => {
      attach([...input.files]);
      input.value = "";
    };
    input.addEventListener("change", take);
    // Chosen before this script was here.
    take();
  }

  talk.addEventListener("dragover", (event) => {
    if (![...event.dataTransfer.types].includes("Files")) return;
    event.preventDefault();
    talk.classList.add("is-over");
  });
  talk.addEventListener("dragleave", (event) => {
    if (!talk.contains(event.relatedTarget)) talk.classList.remove("is-over");
  });
  talk.addEventListener("drop", (event) => {
    talk.classList.remove("is-over");
    if (!event.dataTransfer.files.length) return;
    event.preventDefault();
    attach([...event.dataTransfer.files]);
  });

  // What is answered came with htmx, from a sheet that closes: go on writing.
  const sheet = document.getElementById("sheet");
  let isAnswering = false;
  document.body.addEventListener("htmx:afterSwap", ({ detail }) => {
    if (detail.target.id !== "about") return;
    isAnswering = sheet.open;
    if (!sheet.open) words.focus();
  });
  sheet.addEventListener("close", () => {
    if (isAnswering) words.focus();
    isAnswering = false;
  });

  // What did not go before the page was left can still go, once.
  for (const entry of isNewest ? read(UNSENT, []) : []) {
    const item = pend(entry);
    if (entry.isAway) attempt(entry, item);
    else fail(item, "");
  }
}
