// The key images below the report: fetched again when the viewer has kept one; the new one is ticked.
import { ask } from "./ask.js";
import { _ } from "./words.js";

export async function refreshKeyImages(form, address) {
  const list = document.getElementById("key-images");
  if (!list) return;
  const { key_images: images } = await ask(address);
  const known = new Map([...list.querySelectorAll("input")].map((box) => [Number(box.value), box.checked]));
  list.replaceChildren(...images.map((image) => item(image, known.get(image.id) ?? true)));
  document.getElementById("no-key-images").hidden = images.length > 0;
}

function item(image, ticked) {
  const box = Object.assign(document.createElement("input"), { type: "checkbox", name: "key_images", value: image.id, checked: ticked });
  const picture = Object.assign(document.createElement("img"), { src: image.address, alt: image.caption || _("关键图像") });
  const label = document.createElement("label");
  label.append(box, picture);
  const caption = Object.assign(document.createElement("span"), { className: "sub", textContent: image.caption, title: image.caption });
  const line = document.createElement("li");
  line.append(label, caption);
  return line;
}
