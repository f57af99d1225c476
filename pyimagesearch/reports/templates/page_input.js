// Keys, controls, and what the window does.
for (const name of ["label", "decided", "order"])
  $(name).addEventListener("change", (event) => { filters[name] = event.target.value; select(); });
$("search").addEventListener("input", (event) => { filters.search = event.target.value; select(); });
$("inspector").addEventListener("input", (event) => {
  try { store?.setItem("inspector", event.target.value); } catch { store = null; }
});
$("opacity").addEventListener("input", (event) => setHeat(Number(event.target.value)));
$("undo").addEventListener("click", takeBack);
tools.addEventListener("submit", (event) => event.preventDefault());
tools.addEventListener("change", (event) => { if (event.target.name === "view") showView(event.target.value); });
list.addEventListener("click", (event) => {
  const node = event.target.closest(".card");
  if (!node) return;
  list.focus({ preventScroll: true });
  choose(Number(node.dataset.position), false);
});
const page = () => Math.max(1, Math.floor(window.innerHeight / rowHeight) - 1) * columns;
const moves = {
  ArrowLeft: () => chosen - 1, ArrowRight: () => chosen + 1,
  ArrowUp: () => (chosen < columns ? chosen : chosen - columns),
  ArrowDown: () => Math.min(chosen + columns, order.length - 1),
  Home: () => 0, End: () => order.length - 1,
  PageUp: () => chosen - page(), PageDown: () => chosen + page(),
};
const heatBy = (percents) => setHeat(Number($("opacity").value) + percents);
const keys = {
  1: () => judge("defect"), 2: () => judge("fine"), 0: () => judge(""),
  u: takeBack, c: () => detail.querySelector(".comment input")?.focus(),
  z: () => showFull(!isFull), "+": () => zoomBy(STEP), "=": () => zoomBy(STEP), "-": () => zoomBy(1 / STEP),
  ",": () => heatBy(-10), ".": () => heatBy(10),
  f: () => {
    $("label").value = filters.label = LABELS[(LABELS.indexOf(filters.label) + 1) % LABELS.length];
    select();
  },
  v: () => showView(VIEWS[(VIEWS.indexOf(view) + 1) % VIEWS.length]),
};
classes.slice(0, LAST_KEY - FIRST_CLASS_KEY + 1).forEach((kind, i) => { keys[i + FIRST_CLASS_KEY] = () => judge("defect", kind); });
document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input, select");
  const isText = typing && ["text", "search"].includes(typing.type);
  if ((event.ctrlKey || event.metaKey) && event.key === "z" && !isText) takeBack();
  else if (event.ctrlKey || event.metaKey || event.altKey) return;
  else if (isText && (event.key === "Escape" || event.key === "Enter")) list.focus({ preventScroll: true });
  else if (event.key === "Escape" && isFull) showFull(false);
  else if (typing && !(typing.type === "radio" || typing.type === "range")) return;
  // A radio button, a slider or a list uses arrows itself.
  else if ((typing || event.target.closest(".scroll")) && event.key in moves) return;
  else if (event.key in moves) choose(moves[event.key]());
  else if (event.key in keys) keys[event.key]();
  else return;
  event.preventDefault();
});
let waiting = false;
const soon = (what) => {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => { waiting = false; what(); });
};
window.addEventListener("scroll", () => soon(paint), { passive: true });
let known = 0;
new ResizeObserver(() => document.documentElement.style.setProperty("--tools", tools.offsetHeight + "px")).observe(tools);
new ResizeObserver(() => {
  if (list.clientWidth === known || printing) return;
  known = list.clientWidth;
  layOut();
  show();
}).observe(list);
window.addEventListener("resize", () => soon(() => {
  // The keyboard of a phone, which changes the window's height, must not close itself.
  if (!printing && !document.activeElement?.closest(".comment")) show();
}));
window.addEventListener("beforeprint", () => {
  printing = true;
  cardWidth = PRINTED_CARD;
  clear();
  paint();
  for (const one of list.querySelectorAll("img")) one.loading = "eager";
});
window.addEventListener("afterprint", () => { printing = false; layOut(); });
setHeat(Number($("opacity").value));
showKept();
select();
known = list.clientWidth;
if (served) receive().then(() => { select(); send(); showKept(); }, () => send());
