// Comfort on the order form: the resident number fills in sex and birth date, Ctrl+Enter places the order.
const WEIGHTS = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];

// The number's check character fits (GB 11643, ISO 7064 MOD 11-2); the server checks again, and more.
export function read(text) {
  const number = text.normalize("NFKC").replace(/[\s-]/g, "").toUpperCase();
  if (!/^\d{17}[\dX]$/.test(number)) return null;
  const sum = WEIGHTS.reduce((total, weight, place) => total + weight * Number(number[place]), 0);
  const born = `${number.slice(6, 10)}-${number.slice(10, 12)}-${number.slice(12, 14)}`;
  return { fits: "10X98765432"[sum % 11] === number[17], born, sex: Number(number[16]) % 2 ? "M" : "F" };
}

const field = document.getElementById("resident_id");
const said = document.getElementById("resident-said");
field?.addEventListener("input", () => {
  const told = read(field.value);
  said.className = `hint ${told ? (told.fits ? "good" : "bad") : ""}`;
  said.textContent = told ? (told.fits ? said.dataset.good : said.dataset.bad) : "";
  if (!told?.fits) return;
  const born = document.getElementById("birth_date");
  if (!born.value) born.value = told.born;
  const sexes = [...document.getElementsByName("sex")];
  if (!sexes.some((one) => one.checked)) sexes.find((one) => one.value === told.sex).checked = true;
});

document.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && event.ctrlKey) document.querySelector("[data-submits]")?.click();
});
