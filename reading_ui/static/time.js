// What is left until a deadline, as words and as a degree of hurry. Values in, values out.
import { _ } from "./words.js";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

// { words, hurry: "" | "soon" | "over" }; soon within half an hour.
export function remaining(until, now) {
  const left = until - now;
  const span = Math.abs(left);
  let words;
  if (span < MINUTE) words = _("不到 1 分钟");
  else if (span < HOUR) words = _("{minutes} 分钟", { minutes: Math.floor(span / MINUTE) });
  else if (span < DAY) words = _("{hours} 小时 {minutes} 分", { hours: Math.floor(span / HOUR), minutes: Math.floor((span % HOUR) / MINUTE) });
  else words = _("{days} 天 {hours} 小时", { days: Math.floor(span / DAY), hours: Math.floor((span % DAY) / HOUR) });
  if (left < 0) return { words: _("超时 {span}", { span: words }), hurry: "over" };
  return { words, hurry: left <= 30 * MINUTE ? "soon" : "" };
}

export function tick(root = document, now = Date.now()) {
  for (const element of root.querySelectorAll("time[data-countdown]")) {
    const { words, hurry } = remaining(Date.parse(element.dateTime), now);
    if (element.textContent !== words) element.textContent = words;
    element.classList.toggle("soon", hurry === "soon");
    element.classList.toggle("over", hurry === "over");
  }
}
