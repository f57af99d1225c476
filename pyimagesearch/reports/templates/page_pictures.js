// An image in a box, with its anomaly map or outline.
const VIEWS = ["heat", "outline", "photo"];
let view = "heat";
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
function picture(index, width, height) {
  const photo = rows[index][PHOTO], cell = rows[index][CELL];
  const box = make("div", "shown");
  box.style.width = width + "px";
  box.style.height = height + "px";
  if (!photo && !cell) {
    box.append(make("span", "absent", "no picture"));
    return box;
  }
  const [w, h] = photo ? photo.size : [cell[2], cell[3]];
  const scale = Math.min(width / w, height / h);
  const frame = make("div", "frame");
  frame.style.width = w * scale + "px";
  frame.style.height = h * scale + "px";
  box.append(frame);
  if (!photo) {
    const small = image(sheets[cell[0]][0], "photo", shown[index]);
    small.style.width = settings.columns * settings.cell * scale + "px";
    small.style.height = sheets[cell[0]][1] * settings.cell * scale + "px";
    small.style.left = -(cell[1] % settings.columns) * settings.cell * scale + "px";
    small.style.top = -Math.floor(cell[1] / settings.columns) * settings.cell * scale + "px";
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
// Where the largest anomalous region lies, as a cell of a grid, row by row; images without one come last.
const GRID = 5;
function cellOf(index) {
  const path = rows[index][PHOTO]?.outline;
  if (!path) return GRID * GRID;
  const numbers = path.slice(1, path.indexOf("Z")).split(/[ L]/).map(Number);
  const [x, y] = [0, 1].map((axis) => {
    const some = numbers.filter((_, i) => i % 2 === axis);
    const middle = (Math.min(...some) + Math.max(...some)) / 2 / settings.outlineScale;
    return Math.min(GRID - 1, Math.max(0, Math.floor(middle * GRID)));
  });
  return y * GRID + x;
}
