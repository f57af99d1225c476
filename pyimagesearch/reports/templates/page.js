"use strict";
(() => {
  const element = document.getElementById("data");
  if (!element) return;
  const data = JSON.parse(element.textContent);
  element.textContent = "";
  const { settings, sheets } = data;
  data.rows = data.blocks.flat();
  const [NAME, IS_ANOMALY, SCORE, P_VALUE, PLACE, PHOTO] = [0, 1, 2, 3, 4, 5];
  const LABELS = ["all", "anomaly", "normal"], VIEWS = ["photo", "heat", "outline"];
  const WORDS = { defect: "defect", fine: "fine" };
  const GAP = 10, LEAST_CARD = 150, TEXT = 72, PRINTED = 120, PRINTED_CARD = 160;
  const $ = (id) => document.getElementById(id);
  const list = $("list"), detail = $("detail"), status = $("status"), tools = $("tools");
  if (!list) return;
  const utf8 = new TextEncoder();

  // --- names: bytes that are no UTF-8 come as lone surrogates, as Python reads them ---
  const stray = /[\ud800-\udbff][\udc00-\udfff]|([\udc80-\udcff])/g;
  const bytesShown = (name) =>
    name.replace(stray, (all, byte) => (byte ? "\\x" + (byte.charCodeAt(0) - 0xdc00).toString(16) : all));
  const control = /[\u0000-\u001f\u007f-\u009f\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;
  const printable = (name) =>
    bytesShown(name).replace(control, (c) =>
      ({ "\n": "\\n", "\r": "\\r", "\t": "\\t" })[c] ??
      (c < "\u0100" ? "\\x" + c.charCodeAt(0).toString(16).padStart(2, "0") : "\\u" + c.charCodeAt(0).toString(16).padStart(4, "0")));
  const inUrl = (name) => {
    let text = "";
    for (const c of name)
      text += c === "/" ? c : c >= "\udc80" && c <= "\udcff" ? "%" + (c.charCodeAt(0) - 0xdc00).toString(16)
        : [...utf8.encode(c)].map((b) => "%" + b.toString(16).padStart(2, "0")).join("");
    return text;
  };
  const original = (name) => {
    if (settings.root === null || /^[a-z][a-z0-9+.-]*:\/\//i.test(name)) return null;
    return name.startsWith("/") ? "file://" + inUrl(name) : inUrl(settings.root) + "/" + inUrl(name);
  };
  const shown = data.rows.map((row) => printable(row[NAME]));
  const lowered = shown.map((name) => name.toLowerCase());
  // A folder that all names share is not repeated on the cards.
  const common = shown.length
    ? [...shown.keys()].reduce((n, i) => {
        while (!shown[i].startsWith(shown[0].slice(0, n))) n = shown[0].lastIndexOf("/", n - 2) + 1;
        return n;
      }, shown[0].lastIndexOf("/") + 1)
    : 0;
  const short = (name) => (name.length > 21 ? "…" + name.slice(-20) : name);
  const decimals = (number) => String(Number(number.toPrecision(4)));

  // --- verdicts, kept by the browser where it lets pages from disk do so ---
  const verdicts = new Map();
  const key = "verdicts." + data.identity;
  let store = null;
  try {
    store = window.localStorage;
    const kept = JSON.parse(store.getItem(key) ?? "[]");
    for (const [index, verdict] of kept)
      if (index in data.rows && verdict in WORDS) verdicts.set(index, verdict);
  } catch { store = null; }
  let unsaved = false;
  const keep = () => {
    unsaved = true;
    try { store?.setItem(key, JSON.stringify([...verdicts])); } catch { store = null; }
    $("volatile").hidden = store !== null;
  };
  $("volatile").hidden = store !== null;
  window.addEventListener("beforeunload", (event) => { if (store === null && unsaved) event.preventDefault(); });

  // --- what is listed ---
  let order = [], chosen = 0, view = "photo", columns = 1, cardWidth = LEAST_CARD, rowHeight = 1, printing = false;
  const filters = { label: "all", decided: "all", search: "", order: "score" };
  const ordering = {
    score: (a, b) => a - b,
    calm: (a, b) => b - a,
    name: (a, b) => (shown[a] < shown[b] ? -1 : shown[a] > shown[b] ? 1 : a - b),
  };
  function select() {
    const current = order[chosen];
    const wanted = filters.search.toLowerCase();
    order = [];
    for (let i = 0; i < data.rows.length; i++) {
      if (filters.label !== "all" && (filters.label === "anomaly") !== !!data.rows[i][IS_ANOMALY]) continue;
      if (filters.decided !== "all" && (verdicts.get(i) ?? "none") !== filters.decided) continue;
      if (wanted && !lowered[i].includes(wanted)) continue;
      order.push(i);
    }
    order.sort(ordering[filters.order]);
    chosen = Math.max(0, order.indexOf(current));
    for (const card of cards.values()) card.remove();
    cards.clear();
    layOut();
    show();
    announce();
  }
  const counted = (n, one, more) => `${n.toLocaleString("en")} ${n === 1 ? one : more}`;
  function announce(first = "") {
    const judged = counted(verdicts.size, "verdict", "verdicts");
    status.textContent =
      `${first}${counted(order.length, "image", "images")} of ${data.rows.length.toLocaleString("en")} shown, ${judged}`;
  }

  // --- images ---
  const make = (tag, className, text) => {
    const node = document.createElement(tag);
    if (className) node.className = className;
    if (text !== undefined) node.textContent = text;
    return node;
  };
  const image = (source, className, alt) => {
    const node = make("img", className);
    node.loading = "lazy";
    node.decoding = "async";
    node.alt = alt;
    node.draggable = false;
    node.src = source.startsWith("data:") ? source : settings.pictures + "/" + source;
    return node;
  };
  const svg = (tag, attributes) => {
    const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    return node;
  };
  // The image of a row inside a box, with its heat map or outline.
  function picture(index, width, height) {
    const row = data.rows[index], photo = row[PHOTO], place = row[PLACE];
    const box = make("div", "shown");
    box.style.width = width + "px";
    box.style.height = height + "px";
    if (!photo && !place) {
      box.append(make("span", "absent", "no picture"));
      return box;
    }
    const [w, h] = photo ? photo.size : [place[2], place[3]];
    const scale = Math.min(width / w, height / h);
    const frame = make("div", "frame");
    frame.style.width = w * scale + "px";
    frame.style.height = h * scale + "px";
    box.append(frame);
    if (!photo) {
      const small = image(sheets[place[0]][0], "photo", shown[index]);
      small.style.width = settings.columns * settings.cell * scale + "px";
      small.style.height = sheets[place[0]][1] * settings.cell * scale + "px";
      small.style.left = -(place[1] % settings.columns) * settings.cell * scale + "px";
      small.style.top = -Math.floor(place[1] / settings.columns) * settings.cell * scale + "px";
      frame.append(small);
    } else {
      frame.append(image(photo.photo, "photo whole", shown[index]));
      if (view === "heat" && photo.heat) frame.append(image(photo.heat, "heat whole", ""));
      if (photo.outline && (view === "outline" || (view === "heat" && settings.heatHasEdge))) {
        const side = settings.outlineScale;
        const drawn = svg("svg", { viewBox: `0 0 ${side} ${side}`, preserveAspectRatio: "none", class: "whole " + view, "aria-hidden": "true" });
        drawn.append(svg("path", { d: photo.outline, class: "edge" }), svg("path", { d: photo.outline }));
        frame.append(drawn);
      }
    }
    return box;
  }

  // --- the list: only the rows that are in sight exist ---
  const cards = new Map();
  function layOut() {
    const width = list.clientWidth;
    columns = Math.max(2, Math.floor((width + GAP) / (LEAST_CARD + GAP)));
    cardWidth = Math.floor((width - (columns - 1) * GAP) / columns);
    rowHeight = Math.round((cardWidth - 14) * 0.75) + TEXT + GAP;
    list.style.height = Math.max(120, Math.ceil(order.length / columns) * rowHeight - GAP) + "px";
    for (const card of cards.values()) card.remove();
    cards.clear();
    list.querySelector(".none")?.remove();
    if (!order.length) list.append(make("p", "none", "No image matches."));
    paint();
  }
  function card(position) {
    const index = order[position], row = data.rows[index];
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
    const label = row[IS_ANOMALY] ? "anomaly" : "normal";
    tags.append(make("span", "tag " + label, label), make("span", "verdict tag"));
    node.append(picture(index, cardWidth - 14, Math.round((cardWidth - 14) * 0.75)), title, numbers, tags);
    mark(node, position);
    return node;
  }
  function mark(node, position) {
    const verdict = verdicts.get(order[position]) ?? "";
    const tag = node.querySelector(".verdict");
    tag.textContent = verdict;
    tag.className = "verdict tag " + verdict;
    node.setAttribute("aria-selected", position === chosen);
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
  function fact(name, value) {
    const pair = make("div");
    pair.append(make("dt", "", name), make("dd", "", value));
    return pair;
  }
  // The colours of heat, and what they mean.
  function scale() {
    const node = make("div", "scale"), bar = make("i");
    bar.style.background = `linear-gradient(90deg, ${settings.heatColours.join(", ")})`;
    node.append(bar);
    for (const [at, heat] of settings.heatMarks) {
      const mark = make("span", "", heat === "1" ? "threshold" : "× " + heat);
      mark.style.left = at * 100 + "%";
      node.append(mark);
    }
    return node;
  }
  function show() {
    detail.hidden = !order.length;
    if (!order.length) return;
    const index = order[chosen], row = data.rows[index], photo = row[PHOTO];
    const narrow = window.matchMedia("(max-width: 820px)").matches;
    const width = narrow ? Math.floor((window.innerWidth - 28) * 0.4) : Math.max(260, detail.clientWidth - 28);
    const height = narrow ? Math.min(width, Math.floor(window.innerHeight * 0.3)) : Math.min(width, Math.max(160, window.innerHeight - 590));
    const body = make("div", "body"), pictured = make("div"), said = make("div");
    pictured.append(picture(index, width, height));
    if (view === "heat" && photo && photo.heat) {
      pictured.append(scale());
    }
    const label = row[IS_ANOMALY] ? "anomaly" : "normal";
    const facts = make("dl", "facts");
    facts.append(fact("label", label), fact("score", decimals(row[SCORE])), fact("p-value", decimals(row[P_VALUE])));
    facts.querySelector("dd").className = "tag " + label;
    const cut = shown[index].lastIndexOf("/") + 1;
    said.append(make("h2", "", shown[index].slice(cut)), make("p", "folder", shown[index].slice(0, cut)), facts);
    const choice = make("div", "choice");
    for (const [digit, verdict] of [["1", "defect"], ["2", "fine"]]) {
      const button = make("button", verdict, verdict === "defect" ? "Defect" : "Fine");
      button.type = "button";
      button.setAttribute("aria-pressed", verdicts.get(index) === verdict);
      button.setAttribute("aria-keyshortcuts", digit);
      button.addEventListener("click", () => {
        judge(verdicts.get(index) === verdict ? null : verdict);
        detail.querySelector("button." + verdict)?.focus();
      });
      choice.append(button);
    }
    said.append(choice);
    const why = photo && photo.why ? photo.why
      : row[IS_ANOMALY] ? "Its heat map is not in this report." : "No part of it is above the threshold.";
    said.append(make("p", "why", why));
    if (photo && photo.nearest) {
      const near = make("div", "nearest"), frame = make("div", "frame"), spot = make("span", "spot");
      frame.append(image(photo.nearest, "whole", "Nearest normal training image"));
      [spot.style.top, spot.style.left] = photo.place.map((share) => share * 100 + "%");
      frame.append(spot);
      near.append(frame, make("p", "", "The nearest normal training image; the mark shows the place that is most similar to the most unusual one of this image."));
      said.append(near);
    }
    const way = original(row[NAME]);
    if (way !== null) {
      const link = make("a", "", "Open the image file");
      link.href = way;
      link.target = "_blank";
      link.rel = "noopener noreferrer";
      said.append(link);
    }
    body.append(pictured, said);
    detail.replaceChildren(body);
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
    const above = tools.getBoundingClientRect(), covered = getComputedStyle(tools).position === "sticky" ? above.height : 0;
    const below = getComputedStyle(detail).position === "fixed" ? detail.offsetHeight : 0;
    const top = list.getBoundingClientRect().top + Math.floor(chosen / columns) * rowHeight;
    const room = window.innerHeight - below;
    if (top < covered + GAP) window.scrollBy(0, top - covered - GAP);
    else if (top + rowHeight > room) window.scrollBy(0, top + rowHeight - room);
  }
  function judge(verdict) {
    if (!order.length) return;
    const index = order[chosen];
    if (verdict === null) verdicts.delete(index);
    else verdicts.set(index, verdict);
    keep();
    const node = cards.get(chosen);
    if (node) mark(node, chosen);
    show();
    announce(`${shown[index].slice(common)}: ${verdict ?? "no verdict"}. `);
  }
  function showView(next) {
    view = next;
    tools.elements.view.value = next;
    for (const node of cards.values()) node.remove();
    cards.clear();
    paint();
    show();
  }

  // --- the verdicts as files ---
  const judged = () => [...verdicts.keys()].sort((a, b) => a - b).map((index) => {
    const [name, isAnomaly, score, p] = data.rows[index];
    return { image: name, label: isAnomaly ? "anomaly" : "normal", score, p_value: p, verdict: verdicts.get(index) };
  });
  function asJson() {
    const { model, threshold, counts } = settings;
    const all = { format: "pyimagesearch verdicts", format_version: 1, model, threshold, counts, verdicts: judged() };
    return JSON.stringify(all, null, 1) + "\n";
  }
  const quoted = (text) => (/[",\n\r]/.test(text) ? '"' + text.replaceAll('"', '""') + '"' : text);
  function asCsv() {
    const lines = [["image", "label", "score", "p_value", "verdict", "threshold", "model"]];
    for (const one of judged()) {
      let name = bytesShown(one.image);
      // A spreadsheet would run it as a formula; with ./ in front it names the same file.
      if (/^[=+\-@\t\r]/.test(name)) name = "./" + name;
      lines.push([name, one.label, String(one.score), String(one.p_value), one.verdict, String(settings.threshold), settings.model]);
    }
    return lines.map((fields) => fields.map(quoted).join(",") + "\n").join("");
  }
  function save(text, name, type) {
    const link = make("a");
    link.href = URL.createObjectURL(new Blob([text], { type }));
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    unsaved = false;
    announce(`${name} saved. `);
  }
  $("save-json").addEventListener("click", () => save(asJson(), "verdicts.json", "application/json"));
  $("save-csv").addEventListener("click", () => save(asCsv(), "verdicts.csv", "text/csv"));

  // --- input ---
  for (const [id, name] of [["label", "label"], ["decided", "decided"], ["order", "order"]])
    $(id).addEventListener("change", (event) => { filters[name] = event.target.value; select(); });
  $("search").addEventListener("input", (event) => { filters.search = event.target.value; select(); });
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
  const keys = {
    1: () => judge("defect"), 2: () => judge("fine"), 0: () => judge(null),
    f: () => {
      $("label").value = filters.label = LABELS[(LABELS.indexOf(filters.label) + 1) % LABELS.length];
      select();
    },
    v: () => showView(VIEWS[(VIEWS.indexOf(view) + 1) % VIEWS.length]),
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const typing = event.target.closest("input, select");
    if (typing && typing.type === "search" && event.key === "Escape") { list.focus(); return; }
    if (typing) {
      // A radio button or a list uses arrows and letters itself.
      if (typing.type !== "radio" || event.key.startsWith("Arrow")) return;
    }
    if (event.target.closest(".scroll") && event.key in moves) return;
    if (event.key in moves) choose(moves[event.key]());
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
  new ResizeObserver(() => {
    if (list.clientWidth === known || printing) return;
    known = list.clientWidth;
    layOut();
    show();
  }).observe(list);
  window.addEventListener("beforeprint", () => {
    printing = true;
    cardWidth = PRINTED_CARD;
    for (const card of cards.values()) card.remove();
    cards.clear();
    paint();
    for (const one of list.querySelectorAll("img")) one.loading = "eager";
  });
  window.addEventListener("afterprint", () => { printing = false; layOut(); });
  select();
})();
