// What one sees of a file on its way: its picture, how far it is, and what came of it.

export const part = (within, name) => within.querySelector(`[data-${name}]`);

export function preview(image, file) {
  forget(image);
  image.hidden = false;
  image.src = URL.createObjectURL(file);
}

export function forget(image) {
  if (image.src) URL.revokeObjectURL(image.src);
  image.removeAttribute("src");
}

// Not every browser draws what every camera makes, and not every file is a picture.
document.addEventListener(
  "error",
  ({ target }) => {
    if (target.matches?.("[data-preview]")) target.hidden = true;
  },
  true,
);

// When all of it is there, nobody knows for how long it is looked at.
export function fill(within, share) {
  const bar = part(within, "progress");
  bar.value = share * 100;
  bar.nextElementSibling.textContent = `${Math.floor(share * 100)} %`;
  if (share === 1) bar.removeAttribute("value");
}

export const showBar = (within, isShown) => (part(within, "progress").parentElement.hidden = !isShown);

export function begin(line) {
  part(line, "why").textContent = "";
  part(line, "again").hidden = true;
  showBar(line, true);
  fill(line, 0);
}

export function refuse(line, why, mayRetry) {
  showBar(line, false);
  part(line, "why").textContent = why;
  part(line, "again").hidden = !mayRetry;
}
