// Brings the ECG sheet of a page to life, and lets any element of the page point at a place on it:
//   <div id="ecg-sheet" data-sheet-url="/ecgs/123/sheet.svg"></div>
//   <button data-ecg-leads="II,III,aVF" data-ecg-t0="3.2" data-ecg-t1="4.1">…</button>

import { mountSheet } from "./sheet.js";

const element = document.getElementById("ecg-sheet");
if (element) {
  const sheet = mountSheet(element);
  if (element.dataset.beats) sheet.markBeats(JSON.parse(element.dataset.beats));
  document.addEventListener("click", (event) => {
    const pointing = event.target instanceof Element ? event.target.closest("[data-ecg-leads]") : null;
    if (pointing === null) return;
    const { ecgLeads, ecgT0, ecgT1 } = pointing.dataset;
    sheet.highlight({
      leads: ecgLeads ? ecgLeads.split(",") : [],
      t0_s: ecgT0 ? Number(ecgT0) : null,
      t1_s: ecgT1 ? Number(ecgT1) : null,
    });
  });
}
