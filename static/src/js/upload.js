// One file on its way to the server: how far it is, what came of it, and a way to call it off.

// Why an upload came to nothing. `status` is 0 when there was no answer.
export class UploadFailed extends Error {
  constructor(message, { status = 0, isCancelled = false, answer = null } = {}) {
    super(message);
    this.status = status;
    this.isCancelled = isCancelled;
    this.answer = answer;
  }

  // The same file again may go through: nobody answered, or somebody was busy.
  get mayRetry() {
    return !this.isCancelled && (this.status === 0 || this.status === 429 || this.status >= 500);
  }
}

// What the server said: `body` is what JSON says, else text.
class Answer {
  constructor(request) {
    this.status = request.status;
    this.header = (name) => request.getResponseHeader(name);
    const isJson = /\bjson\b/.test(this.header("Content-Type") ?? "");
    this.body = isJson ? JSON.parse(request.responseText) : request.responseText;
  }

  get isGood() {
    return this.status >= 200 && this.status < 300;
  }

  // Of a problem: what is wrong with the file, or with the whole of it.
  get message() {
    return this.body.errors?.[0]?.message ?? this.body.detail ?? "";
  }
}

// `new Upload(file, { url, field, more, headers, onprogress })`: `done` resolves to the answer, or rejects with
// `UploadFailed`; `onprogress` hears the share that has been sent, from 0 to 1. `more`: other fields of the form.
export class Upload {
  constructor(file, { url, field = "file", more = {}, headers = {}, onprogress = () => {} }) {
    const form = new FormData();
    for (const [name, value] of Object.entries(more)) form.append(name, value);
    form.append(field, file, file.name);
    this.request = new XMLHttpRequest();
    this.request.open("POST", url);
    for (const [name, value] of Object.entries(headers)) this.request.setRequestHeader(name, value);
    this.request.upload.addEventListener("progress", ({ loaded, total }) => total && onprogress(loaded / total));
    this.done = new Promise((resolve, reject) => {
      this.request.addEventListener("load", () => {
        const answer = new Answer(this.request);
        if (answer.isGood) resolve(answer);
        else reject(new UploadFailed(answer.message, { status: answer.status, answer }));
      });
      this.request.addEventListener("error", () => reject(new UploadFailed("")));
      this.request.addEventListener("abort", () => reject(new UploadFailed("", { isCancelled: true })));
    });
    this.request.send(form);
  }

  cancel() {
    this.request.abort();
  }
}
