// What the page was given: images, and names as people read them.
const $ = (id) => document.getElementById(id);
const list = $("list"), detail = $("detail"), status = $("status"), tools = $("tools");
if (!list) return;
const data = JSON.parse($("data").textContent);
$("data").textContent = "";
const { settings, sheets } = data;
const rows = data.blocks.flat();
const [NAME, IS_ANOMALY, SCORE, P_VALUE, CELL, PHOTO] = [0, 1, 2, 3, 4, 5];

// Bytes of names that are no UTF-8 come as lone surrogates, as Python reads them.
const stray = /[\ud800-\udbff][\udc00-\udfff]|([\udc80-\udcff])/g;
const bytesShown = (name) =>
  name.replace(stray, (all, byte) => (byte ? "\\x" + (byte.charCodeAt(0) - 0xdc00).toString(16) : all));
const control = /[\u0000-\u001f\u007f-\u009f\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;
const printable = (name) =>
  bytesShown(name).replace(control, (c) =>
    ({ "\n": "\\n", "\r": "\\r", "\t": "\\t" })[c] ??
    (c < "\u0100" ? "\\x" + c.charCodeAt(0).toString(16).padStart(2, "0") : "\\u" + c.charCodeAt(0).toString(16).padStart(4, "0")));
const utf8 = new TextEncoder();
const inUrl = (name) => {
  let text = "";
  for (const c of name)
    text += c === "/" ? c : c >= "\udc80" && c <= "\udcff" ? "%" + (c.charCodeAt(0) - 0xdc00).toString(16)
      : [...utf8.encode(c)].map((b) => "%" + b.toString(16).padStart(2, "0")).join("");
  return text;
};
const original = (name) => {
  if (settings.root === null || /^[a-z][a-z0-9+.-]*:\/\//i.test(name)) return null;
  if (settings.separator === "/")
    return name.startsWith("/") ? "file://" + inUrl(name) : inUrl(settings.root) + "/" + inUrl(name);
  const [, drive, path] = /^([a-z]:)?(.*)$/is.exec(name.replaceAll(settings.separator, "/"));
  if (drive) return "file:///" + drive + inUrl(path);
  return path.startsWith("//") ? "file:" + inUrl(path) : inUrl(settings.root) + "/" + inUrl(path);
};
const shown = rows.map((row) => printable(row[NAME]));
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
const counted = (n, one, more) => `${n.toLocaleString("en")} ${n === 1 ? one : more}`;
const labelOf = (index) => (rows[index][IS_ANOMALY] ? "anomaly" : "normal");
const make = (tag, className, text) => {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  return node;
};
