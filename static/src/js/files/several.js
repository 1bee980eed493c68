// Several pictures from one form: a line for each, and one after the other on its way.
import { Upload } from "../upload.js";
import { complain, isTooLarge, progress, say, take, why } from "./answers.js";
import { begin, forget, part, preview, refuse } from "./seen.js";

// What a line sends: its file, and its upload while that is on its way.
const sent = new WeakMap();
const underWay = new Set();

export const isBusy = () => underWay.size > 0;

const linesOf = (form, ...states) =>
  [...part(form, "queue").children].filter(({ dataset }) => !states.length || states.includes(dataset.state));

export function queue(form, files) {
  const room = Math.max(0, Number(form.dataset.room) - linesOf(form, "waiting", "going", "failed").length);
  complain(form, files.length > room ? form.dataset.tooMany : "");
  for (const line of linesOf(form, "refused")) drop(form, line);
  for (const file of files.slice(0, room)) add(form, file);
  sendNext(form);
}

function add(form, file) {
  const line = part(form, "line").content.cloneNode(true).firstElementChild;
  sent.set(line, { file });
  part(line, "name").textContent = file.name;
  preview(part(line, "preview"), file);
  part(line, "again").addEventListener("click", () => {
    wait(line);
    part(line, "leave").focus();
    sendNext(form);
  });
  part(line, "leave").addEventListener("click", () => {
    const { upload } = sent.get(line);
    if (line.dataset.state === "going") upload.cancel();
    else drop(form, line);
  });
  part(form, "queue").append(line);
  if (isTooLarge(form, file)) giveUp(line, form.dataset.tooLarge);
  else wait(line);
}

function wait(line) {
  line.dataset.state = "waiting";
  begin(line);
}

async function sendNext(form) {
  const [line] = linesOf(form, "waiting");
  if (underWay.has(form) || !line) return;
  underWay.add(form);
  const { file } = sent.get(line);
  line.dataset.state = "going";
  say(form, `${form.dataset.sending} ${file.name}`);
  const upload = new Upload(file, {
    url: form.action,
    headers: { "HX-Request": "true" },
    onprogress: (share) => progress(form, line, share),
  });
  sent.set(line, { file, upload });
  const [answer, failure] = await upload.done.then((good) => [good], (bad) => [null, bad]);
  underWay.delete(form);
  say(form, "");
  if (failure) fail(form, line, failure);
  else finish(form, line, answer);
  // Who was signed out is on the way to the door.
  if (!(answer ?? failure.answer)?.header("HX-Redirect")) sendNext(form);
}

function finish(form, line, answer) {
  take(form, answer, !linesOf(form, "waiting").length);
  drop(form, line);
}

function fail(form, line, failure) {
  const { answer } = failure;
  if (failure.isCancelled) {
    drop(form, line);
    say(form, form.dataset.cancelled);
  } else if (answer?.header("HX-Redirect")) {
    take(form, answer);
  } else {
    giveUp(line, why(form, answer), failure.mayRetry);
  }
}

function giveUp(line, text, mayRetry = false) {
  line.dataset.state = mayRetry ? "failed" : "refused";
  refuse(line, text, mayRetry);
}

function drop(form, line) {
  const hadFocus = line.contains(document.activeElement);
  const next = line.nextElementSibling ?? line.previousElementSibling;
  forget(part(line, "preview"));
  line.remove();
  if (hadFocus) (next ? part(next, "leave") : form.elements.file).focus({ preventScroll: true });
}
