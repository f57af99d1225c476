// What the inspector has found: kept by the browser where it lets pages from disk do so, and saved
// at once where a server serves the page.
const VERDICTS = ["defect", "fine"];
const NOTHING = { verdict: "", class: "", comment: "", inspector: "", date: "" };
const served = JSON.parse(document.querySelector('meta[name="inspection"]')?.content ?? "null");
const classes = served?.classes.length ? served.classes : settings.classes;
const records = new Map(), unsent = new Set(), steps = [];
const recordOf = (index) => records.get(index) ?? NOTHING;
const key = "inspection." + data.identity;
let store = null, unsaved = false, sending = false, trouble = "";

try {
  store = window.localStorage;
  const kept = JSON.parse(store.getItem(key) ?? "{}");
  for (const [index, ...values] of kept.records ?? []) {
    const record = Object.fromEntries(Object.keys(NOTHING).map((name, i) => [name, String(values[i])]));
    if (index in rows && ["", ...VERDICTS].includes(record.verdict)) records.set(index, record);
  }
  for (const index of kept.unsent ?? []) if (index in rows) unsent.add(index);
  $("inspector").value = store.getItem("inspector") ?? "";
} catch { store = null; }

function keep() {
  unsaved = true;
  const all = [...records].map(([index, record]) => [index, ...Object.keys(NOTHING).map((name) => record[name])]);
  try { store?.setItem(key, JSON.stringify({ records: all, unsent: served ? [...unsent] : [] })); } catch { store = null; }
  showKept();
}
function showKept() {
  $("volatile").hidden = store !== null || served !== null;
  $("kept").textContent = trouble || (!served ? (store ? "kept in this browser" : "")
    : unsent.size ? "saving…" : `saved in ${served.file}`);
  $("kept").classList.toggle("trouble", trouble !== "");
}
window.addEventListener("beforeunload", (event) => {
  if (served ? unsent.size : store === null && unsaved) event.preventDefault();
});

function put(index, record) {
  if (record && (record.verdict || record.comment)) records.set(index, record);
  else records.delete(index);
  unsent.add(index);
  keep();
  send();
}
// Changes what is recorded of an image; where this goes on with the last step, they are undone together.
function change(index, changes, goesOn = false) {
  const before = records.get(index);
  const date = new Date().toISOString().slice(0, 19) + "Z";
  const after = { ...recordOf(index), ...changes, inspector: $("inspector").value.trim(), date };
  if (after.verdict !== "defect") after.class = "";
  if (!goesOn) steps.push({ index, before });
  put(index, after);
}
// Takes the last step back; its image, or -1.
function undo() {
  const step = steps.pop();
  if (!step) return -1;
  put(step.index, step.before);
  return step.index;
}

// --- the server of "anomaly inspect" ---
const AT_ONCE = 500, AGAIN = 2000; // records; milliseconds
async function send() {
  if (!served || sending || !unsent.size) return;
  sending = true;
  let renewed = false;
  try {
    while (unsent.size) {
      const some = [...unsent].slice(0, AT_ONCE).map((index) => [index, records.get(index)]);
      const body = JSON.stringify(some.map(([index, record]) => ({ ...NOTHING, ...record, index })));
      const headers = { "Content-Type": "application/json", "X-Inspection": served.token };
      const reply = await fetch("verdicts", { method: "POST", headers, body });
      if (reply.status === 403 && !renewed) renewed = await renew();
      else if (!reply.ok) throw new Error(await reply.text());
      else for (const [index, record] of some) if (records.get(index) === record) unsent.delete(index);
    }
    trouble = "";
  } catch (error) {
    const why = error instanceof TypeError ? "the server does not answer" : error.message;
    trouble = `not saved yet (${why}): kept in this browser, and sent again`;
    setTimeout(send, AGAIN);
  }
  sending = false;
  keep();
}
// A server that was started again has another token, and perhaps another report.
async function renew() {
  const reply = await fetch("inspection");
  const now = await reply.json();
  if (now.identity !== data.identity) throw new Error("another report is served now: load this page again");
  served.token = now.token;
  return true;
}
async function receive() {
  const reply = await fetch("verdicts");
  for (const { index, ...record } of reply.ok ? await reply.json() : []) {
    if (!unsent.has(index)) records.set(index, record);
  }
}
