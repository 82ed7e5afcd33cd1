// Verdicts to a file and back.

const placeOf = (v, box) => JSON.stringify([v, ...box]);
let linked = null;
let writingTimer = 0;

function exported() {
  const rows = [];
  for (const f of FINDINGS) {
    const entry = verdicts.get(f.n);
    if (!entry) continue;
    const [x0, y0, x1, y1] = f.box;
    rows.push({
      finding: f.n, image_id: f.image, x0, y0, x1, y1, kind: f.kind, verdict: entry.verdict, time: entry.time,
    });
  }
  return { format: 1, run: DATA.run, verdicts: rows };
}

const exportText = () => `${JSON.stringify(exported(), null, 1)}\n`;

function download() {
  const link = h("a", {
    href: URL.createObjectURL(new Blob([exportText()], { type: "application/json" })), download: "verdicts.json",
  });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

async function writeLinked() {
  const stream = await linked.createWritable();
  await stream.write(exportText());
  await stream.close();
}

async function save() {
  if (linked) {
    try {
      await writeLinked();
      toast(`Saved ${plural(verdicts.size, "verdict")} to ${linked.name}`);
      return;
    } catch {
      linked = null;
    }
  }
  download();
  toast(`Saved ${plural(verdicts.size, "verdict")} as verdicts.json`);
}

// From then on every decision goes straight into the file.
async function linkFile() {
  try {
    linked = await showSaveFilePicker({
      id: "dubio-verdicts", suggestedName: "verdicts.json",
      types: [{ description: "Verdicts", accept: { "application/json": [".json"] } }],
    });
    await writeLinked();
    toast(`${linked.name} is kept up to date from now on`);
  } catch (error) {
    linked = null;
    if (error.name !== "AbortError") toast("That file can't be written; save a copy instead");
  }
}

onVerdict(() => {
  if (!linked) return;
  clearTimeout(writingTimer);
  writingTimer = setTimeout(() => writeLinked().catch(() => {
    linked = null;
    toast("The verdicts file can't be written any more; save a copy");
  }), 400);
});

async function load(file) {
  let data = null;
  try {
    data = JSON.parse(await file.text());
  } catch {
    toast(`${file.name} is no JSON file`);
    return;
  }
  if (!data || ![1, 2].includes(data.format) || !Array.isArray(data.verdicts)) {
    toast(`${file.name} holds no verdicts of dubio`);
    return;
  }
  // by place, not by number: a run that was ranked anew keeps what was decided
  const places = new Map(FINDINGS.map((f) => [placeOf(f.image, [...f.box, f.kind]), f.n]));
  const found = [];
  for (const row of data.verdicts) {
    const n = row && places.get(placeOf(row.image_id, [row.x0, row.y0, row.x1, row.y1, row.kind]));
    const entry = known(row);
    if (n !== undefined && n !== null && entry) found.push([n, entry]);
  }
  setMany(found);
  const rest = data.verdicts.length - found.length;
  toast(rest
    ? `Loaded ${found.length} of ${plural(data.verdicts.length, "verdict")}; ${rest} fit no finding of this run`
    : `Loaded ${plural(found.length, "verdict")}`);
}
