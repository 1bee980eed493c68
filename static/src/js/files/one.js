// One picture, which takes the place of what was there.
import { Upload } from "../upload.js";
import { complain, isTooLarge, progress, say, take, why } from "./answers.js";
import { fill, forget, part, preview, showBar } from "./seen.js";

// On its way now, by the form it goes from.
const underWay = new Map();

export const isBusy = () => underWay.size > 0;

// Sends the file, and puts what is answered in the place of the part of the page that the form belongs to.
export async function send(form, file) {
  underWay.get(form)?.cancel();
  complain(form, "");
  if (isTooLarge(form, file)) {
    complain(form, form.dataset.tooLarge);
    return;
  }
  show(form, file);
  const upload = new Upload(file, {
    url: form.action,
    headers: { "HX-Request": "true" },
    onprogress: (share) => progress(form, form, share),
  });
  underWay.set(form, upload);
  const [answer, failure] = await upload.done.then((good) => [good], (bad) => [null, bad]);
  // Another file may have taken its place.
  if (underWay.get(form) !== upload) return;
  underWay.delete(form);
  if (failure) fail(form, file, failure);
  else take(form, answer);
}

export function cancel(form) {
  const upload = underWay.get(form);
  if (upload) upload.cancel();
  else {
    complain(form, "");
    rest(form);
  }
}

function show(form, file) {
  preview(part(form, "preview"), file);
  part(form, "ways").hidden = true;
  part(form, "work").hidden = false;
  part(form, "retry").hidden = true;
  showBar(form, true);
  fill(form, 0);
  part(form, "cancel").focus({ preventScroll: true });
  say(form, form.dataset.sending);
}

function fail(form, file, failure) {
  if (failure.isCancelled) {
    rest(form);
    say(form, form.dataset.cancelled);
    return;
  }
  const { answer } = failure;
  if (answer?.header("HX-Redirect")) {
    take(form, answer);
    return;
  }
  if (failure.mayRetry) {
    showBar(form, false);
    part(form, "retry").hidden = false;
    part(form, "retry").onclick = () => send(form, file);
    part(form, "retry").focus({ preventScroll: true });
  } else {
    rest(form);
  }
  say(form, "");
  complain(form, why(form, answer));
}

function rest(form) {
  forget(part(form, "preview"));
  part(form, "work").hidden = true;
  part(form, "ways").hidden = false;
  form.elements.file.focus({ preventScroll: true });
}
