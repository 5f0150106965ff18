// The report's width: dragged, moved by arrow keys, remembered in this browser.

const divider = document.querySelector("[data-divider]");
const PLACE = "report-width-px";
const LEAST = 320;

const widest = () => Math.max(LEAST, window.innerWidth - 480);

function set(width) {
  const most = widest();
  const chosen = Math.round(Math.min(Math.max(width, LEAST), most));
  divider.parentElement.style.setProperty("--report-width", `${chosen}px`);
  tell(chosen, most);
  return chosen;
}

function tell(width, most) {
  for (const [name, value] of [["min", LEAST], ["max", most], ["now", Math.round(width)]]) divider.setAttribute(`aria-value${name}`, String(value));
}

function remember(width) {
  try {
    localStorage.setItem(PLACE, String(width));
  } catch {
    // storage shut by the browser: the width holds until the page is left
  }
}

if (divider) {
  const present = () => divider.nextElementSibling.getBoundingClientRect().width;
  tell(present(), widest());
  try {
    const kept = Number(localStorage.getItem(PLACE));
    if (kept) set(kept);
  } catch {
    // storage shut by the browser: the width of the style sheet
  }
  divider.addEventListener("pointerdown", (event) => {
    divider.setPointerCapture(event.pointerId);
    event.preventDefault();
  });
  divider.addEventListener("pointermove", (event) => {
    if (divider.hasPointerCapture(event.pointerId)) remember(set(window.innerWidth - event.clientX - 4));
  });
  divider.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: 24, ArrowRight: -24 }[event.key];
    if (!step) return;
    event.preventDefault();
    remember(set(present() + step));
  });
}
