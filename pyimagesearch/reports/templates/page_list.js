// What is listed, and the selected image. Only the cards that are in sight exist.
const LABELS = ["all", "anomaly", "normal"];
const GAP = 10, LEAST_CARD = 150, TEXT = 72, PRINTED = 120, PRINTED_CARD = 160;
const FIRST_CLASS_KEY = 3, LAST_KEY = 9;
let order = [], chosen = 0, columns = 1, cardWidth = LEAST_CARD, rowHeight = 1, printing = false;
const filters = { label: "all", decided: "all", search: "", order: "score" };
const cells = new Map();
const placeOf = (index) => {
  if (!cells.has(index)) cells.set(index, cellOf(index));
  return cells.get(index);
};
const ordering = {
  score: (a, b) => a - b,
  calm: (a, b) => b - a,
  place: (a, b) => placeOf(a) - placeOf(b) || a - b,
  name: (a, b) => (shown[a] < shown[b] ? -1 : shown[a] > shown[b] ? 1 : a - b),
};
let matching = []; // whatever their verdict
function select() {
  const current = order[chosen], wanted = filters.search.toLowerCase();
  matching = [...rows.keys()].filter((i) =>
    (filters.label === "all" || labelOf(i) === filters.label) && (!wanted || lowered[i].includes(wanted)));
  order = matching.filter((i) => filters.decided === "all" || (recordOf(i).verdict || "none") === filters.decided);
  order.sort(ordering[filters.order]);
  chosen = Math.max(0, order.indexOf(current));
  layOut();
  show();
  announce();
}
function announce(first = "") {
  const n = matching.reduce((sum, i) => sum + (recordOf(i).verdict !== ""), 0);
  $("judged").max = Math.max(1, matching.length);
  $("judged").value = n;
  $("progress").textContent = `${n.toLocaleString("en")} of ${matching.length.toLocaleString("en")} judged`;
  const here = detail.querySelector(".here span");
  if (here) here.textContent = $("progress").textContent;
  const total = [...records.values()].filter((record) => record.verdict).length;
  status.textContent =
    `${first}${counted(order.length, "image", "images")} of ${rows.length.toLocaleString("en")} shown, ${counted(total, "verdict", "verdicts")}`;
}

// --- cards ---
const cards = new Map();
function clear() {
  for (const card of cards.values()) card.remove();
  cards.clear();
}
function layOut() {
  const width = list.clientWidth;
  columns = Math.max(2, Math.floor((width + GAP) / (LEAST_CARD + GAP)));
  cardWidth = Math.floor((width - (columns - 1) * GAP) / columns);
  rowHeight = Math.round((cardWidth - 14) * 0.75) + TEXT + GAP;
  list.style.height = Math.max(120, Math.ceil(order.length / columns) * rowHeight - GAP) + "px";
  clear();
  $("none").hidden = order.length > 0;
  paint();
}
function card(position) {
  const index = order[position], row = rows[index];
  const node = make("div", "card");
  node.id = "card-" + position;
  node.setAttribute("role", "option");
  node.setAttribute("aria-posinset", position + 1);
  node.setAttribute("aria-setsize", order.length);
  node.dataset.position = position;
  node.style.width = cardWidth + "px";
  node.style.height = rowHeight - GAP + "px";
  node.style.transform =
    `translate(${(position % columns) * (cardWidth + GAP)}px, ${Math.floor(position / columns) * rowHeight}px)`;
  const title = make("p", "name", short(shown[index].slice(common)));
  title.title = shown[index];
  const numbers = make("p", "row");
  numbers.append(make("span", "", decimals(row[SCORE])), make("span", "", "p " + decimals(row[P_VALUE])));
  const tags = make("p", "row");
  tags.append(make("span", "tag " + labelOf(index), labelOf(index)), make("span", "verdict tag"));
  node.append(picture(index, cardWidth - 14, Math.round((cardWidth - 14) * 0.75)), title, numbers, tags);
  mark(node, position);
  return node;
}
function mark(node, position) {
  const { verdict, class: kind, comment } = recordOf(order[position]);
  const tag = node.querySelector(".verdict");
  tag.textContent = (kind || verdict) + (comment ? " ✎" : "");
  tag.className = "verdict tag " + verdict;
  node.setAttribute("aria-selected", position === chosen);
}
function markAgain(index) {
  const position = order.indexOf(index), node = cards.get(position);
  if (node) mark(node, position);
}
function paint() {
  const top = list.getBoundingClientRect().top;
  let first = Math.max(0, Math.floor(-top / rowHeight) - 1) * columns;
  let last = Math.min(order.length, (Math.ceil((window.innerHeight - top) / rowHeight) + 1) * columns);
  if (printing) [first, last] = [0, Math.min(order.length, PRINTED)];
  for (const [position, node] of cards)
    if ((position < first || position >= last) && position !== chosen) {
      node.remove();
      cards.delete(position);
    }
  for (let position = first; position < last; position++) ensure(position);
  if (order.length) {
    ensure(chosen);
    list.setAttribute("aria-activedescendant", "card-" + chosen);
  } else list.removeAttribute("aria-activedescendant");
}
function ensure(position) {
  if (cards.has(position)) return;
  const node = card(position);
  cards.set(position, node);
  list.append(node);
}

// --- the selected image ---
function fact(name, value, className = "") {
  const pair = make("div");
  pair.append(make("dt", "", name), make("dd", className, value));
  return pair;
}
function button(text, press, className = "", keys = "", said = "") {
  const node = make("button", className, text);
  node.type = "button";
  if (keys) node.setAttribute("aria-keyshortcuts", keys);
  if (said) { node.setAttribute("aria-label", said); node.title = said; }
  node.addEventListener("click", press);
  return node;
}
function room() {
  if (isFull) {
    const beside = window.innerWidth > 820;
    return beside ? [window.innerWidth - 380, window.innerHeight - 112] : [window.innerWidth - 24, Math.floor(window.innerHeight * 0.52)];
  }
  if (window.matchMedia("(max-width: 820px)").matches) {
    const width = Math.floor((window.innerWidth - 38) * 0.46);
    return [width, Math.min(width, Math.floor(window.innerHeight * 0.28))];
  }
  const width = Math.max(260, detail.clientWidth - 28);
  return [width, Math.min(width, Math.max(180, window.innerHeight - tools.offsetHeight - 430))];
}
function show() {
  detail.hidden = !order.length;
  detail.classList.toggle("full", isFull);
  if (!order.length) return;
  const index = order[chosen], row = rows[index], photo = row[PHOTO];
  const body = make("div", "body"), head = make("div", "head"), pictured = make("div", "pictured"), said = make("div", "said");
  const shownBox = picture(index, ...room());
  pictured.append(shownBox, zoomButtons(), whereAmI());
  if (view === "heat" && photo && photo.heat) pictured.append(scale());
  head.append(make("h2", "", shown[index].slice(common)), make("p", "folder", shown[index].slice(0, common)), choice(index));
  const facts = make("dl", "facts"), percents = 100 * row[P_VALUE];
  facts.append(fact("label", labelOf(index), "tag " + labelOf(index)), fact("score", decimals(row[SCORE])), fact("p-value", decimals(row[P_VALUE])));
  const rare = `${percents >= 10 ? Math.round(percents) : Number(percents.toPrecision(2))}% of normal images score as high.`;
  const why = photo && photo.why ? photo.why
    : row[IS_ANOMALY] ? "Its heat map is not in this report." : "No part of it is above the threshold.";
  said.append(facts, make("p", "why", `${why} ${row[IS_ANOMALY] ? "At most" : "About"} ${rare}`));
  if (photo && photo.nearest) said.append(nearest(photo));
  const way = served ? (settings.root === null ? null : "images/" + index) : original(row[NAME]);
  if (way !== null) {
    const link = make("a", "", "Open the image file");
    link.href = way;
    link.target = "_blank";
    link.rel = "noopener noreferrer";
    said.append(link);
  }
  body.append(head, pictured, said);
  detail.replaceChildren(body);
  watch(shownBox, index);
}
function zoomButtons() {
  const bar = make("div", "zooming");
  bar.append(
    button("−", () => zoomBy(1 / STEP), "", "-", "Zoom out"), make("span", "level", "100%"),
    button("+", () => zoomBy(STEP), "", "+", "Zoom in"),
    fullButton());
  return bar;
}
// Where the tools are out of sight: in full screen and on a phone.
function whereAmI() {
  const node = make("p", "here");
  node.append(make("span", "", $("progress").textContent), button("↶ Undo", takeBack, "", "u"));
  return node;
}
function fullButton() {
  const said = isFull ? "Leave full screen" : "Full screen";
  const node = button("⤢", () => showFull(!isFull), "wide", "z", said);
  node.append(make("span", "", " " + said));
  return node;
}
function choice(index) {
  const record = recordOf(index), all = make("div", "choice"), kinds = make("div", "kinds");
  const add = (to, digit, text, verdict, kind) => {
    const isChosen = record.verdict === verdict && record.class === kind;
    const node = button(text, () => {
      judge(isChosen ? "" : verdict, isChosen ? "" : kind);
      [...detail.querySelectorAll(".choice button")].find((one) => one.dataset.kind === kind && one.classList.contains(verdict))?.focus();
    }, verdict, digit);
    node.dataset.kind = kind;
    node.setAttribute("aria-label", text);
    node.setAttribute("aria-pressed", isChosen);
    if (digit) node.append(make("kbd", "", digit));
    to.append(node);
  };
  const both = make("div", "both");
  add(both, "1", "Defect", "defect", "");
  add(both, "2", "Fine", "fine", "");
  classes.forEach((kind, i) => add(kinds, i <= LAST_KEY - FIRST_CLASS_KEY ? String(i + FIRST_CLASS_KEY) : "", kind, "defect", kind));
  all.append(both);
  if (classes.length) all.append(kinds);
  const field = make("label", "comment", "Comment"), input = make("input");
  input.type = "text";
  input.maxLength = 500;
  input.value = record.comment;
  input.setAttribute("aria-keyshortcuts", "c");
  let goesOn = false;
  input.addEventListener("input", () => {
    change(index, { comment: input.value }, goesOn);
    goesOn = true;
    markAgain(index);
  });
  input.addEventListener("blur", () => { goesOn = false; });
  field.append(input);
  all.append(field);
  return all;
}
function nearest(photo) {
  const near = make("div", "nearest"), frame = make("div", "frame"), spot = make("span", "spot");
  frame.append(image(photo.nearest, "whole", "Nearest normal training image"));
  [spot.style.top, spot.style.left] = photo.place.map((share) => share * 100 + "%");
  frame.append(spot);
  near.append(frame, make("p", "", "The nearest normal training image; the mark shows the place that is most similar to the most unusual one of this image."));
  return near;
}
function choose(position, scroll = true) {
  if (!order.length) return;
  const before = cards.get(chosen);
  chosen = Math.max(0, Math.min(order.length - 1, position));
  before?.setAttribute("aria-selected", false);
  if (scroll) bring();
  paint();
  cards.get(chosen).setAttribute("aria-selected", true);
  show();
}
function bring() {
  if (isFull) return;
  const above = tools.getBoundingClientRect(), covered = getComputedStyle(tools).position === "sticky" ? above.height : 0;
  const below = getComputedStyle(detail).position === "fixed" ? detail.offsetHeight : 0;
  const top = list.getBoundingClientRect().top + Math.floor(chosen / columns) * rowHeight;
  const room = window.innerHeight - below;
  if (top < covered + GAP) window.scrollBy(0, top - covered - GAP);
  else if (top + rowHeight > room) window.scrollBy(0, top + rowHeight - room);
}
// Records a verdict on the selected image, and goes on to the next one that has none.
function judge(verdict, kind = "") {
  if (!order.length) return;
  const index = order[chosen];
  change(index, { verdict, class: kind });
  markAgain(index);
  const first = `${shown[index].slice(common)}: ${kind || verdict || "no verdict"}. `;
  const isOpen = (i) => !recordOf(i).verdict;
  let next = verdict ? order.findIndex((i, position) => position > chosen && isOpen(i)) : chosen;
  if (next < 0) next = order.findIndex(isOpen);
  if (next >= 0 && next !== chosen) choose(next);
  else show();
  announce(next < 0 ? `${first}All that are shown have a verdict. ` : first);
}
function takeBack() {
  const index = undo();
  if (index < 0) return announce("There is nothing to undo. ");
  const position = order.indexOf(index);
  markAgain(index);
  if (position >= 0) choose(position);
  announce(`${shown[index].slice(common)}: undone, ${recordOf(index).class || recordOf(index).verdict || "no verdict"}. `);
}
function showView(next) {
  view = next;
  tools.elements.view.value = next;
  clear();
  paint();
  show();
}
function setHeat(percents) {
  const value = Math.max(0, Math.min(100, percents));
  $("opacity").value = value;
  document.documentElement.style.setProperty("--heat", value / 100);
  if (view !== "heat") showView("heat");
}
