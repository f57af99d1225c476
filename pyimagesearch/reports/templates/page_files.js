// The verdicts as files. What a spreadsheet would run as a formula gets something harmless in front.
const FORMULA = /^[=+\-@\t\r]/;
const judged = () => [...records.keys()].sort((a, b) => a - b).map((index) => {
  const [name, , score, p_value] = rows[index];
  return { image: name, label: labelOf(index), score, p_value, ...records.get(index) };
});
function asJson() {
  const { model, threshold, counts } = settings;
  const all = { format: "pyimagesearch verdicts", format_version: 1, model, threshold, counts, verdicts: judged() };
  return JSON.stringify(all, null, 1) + "\n";
}
const quoted = (text) => (/[",\n\r]/.test(text) ? '"' + text.replaceAll('"', '""') + '"' : text);
function asCsv() {
  const lines = [settings.csvColumns];
  for (const one of judged()) {
    let name = bytesShown(one.image);
    if (FORMULA.test(name)) name = "./" + name; // which names the same file
    const text = (cell) => (FORMULA.test(cell.replace(/^'+/, "")) ? "'" + cell : cell);
    const cells = { ...one, image: name, threshold: settings.threshold, model: settings.model };
    for (const free of ["class", "comment", "inspector"]) cells[free] = text(cells[free]);
    lines.push(settings.csvColumns.map((column) => String(cells[column])));
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
