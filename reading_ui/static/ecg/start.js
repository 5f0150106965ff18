// Brings the ECG sheet of a page to life, and lets any element of the page point at a place on it:
//   <div id="ecg-sheet" data-sheet-url="/ecgs/123/sheet.svg"></div>
//   <button data-ecg-leads="II,III,aVF" data-ecg-t0="3.2" data-ecg-t1="4.1">…</button>
//   <button data-ecg-leads="II,V1" data-ecg-spans="3.2-4.1,7.0-7.9">…</button>   each press shows the next of them

import { mountSheet } from "./sheet.js";

const shown = new WeakMap(); // which of its places a pointing element showed last

function nextSpan(pointing, spans) {
  const number = ((shown.get(pointing) ?? -1) + 1) % spans.length;
  shown.set(pointing, number);
  return spans[number].split("-");
}

const element = document.getElementById("ecg-sheet");
if (element) {
  const sheet = mountSheet(element);
  if (element.dataset.beats) sheet.markBeats(JSON.parse(element.dataset.beats));
  document.addEventListener("click", (event) => {
    const pointing = event.target instanceof Element ? event.target.closest("[data-ecg-leads]") : null;
    if (pointing === null) return;
    const { ecgLeads, ecgT0, ecgT1, ecgSpans } = pointing.dataset;
    const span = ecgSpans ? nextSpan(pointing, ecgSpans.split(",")) : [ecgT0, ecgT1];
    const [t0_s, t1_s] = span.map((written) => (written ? Number(written) : null));
    sheet.highlight({ leads: ecgLeads ? ecgLeads.split(",") : [], t0_s, t1_s });
  });
}
