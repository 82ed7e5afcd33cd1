// Labels that look wrong as a whole, and the images in which most regions or boxes do.

const FAULT_FROM = 0.2;
const FEW_IMAGES = 4;
const FAULTS = BOXES
  ? "mostly unlabelled, without the objects of one class, shifted, those of another or a mirrored image, or with exchanged classes"
  : "mostly unlabelled, shifted, mirrored, or with exchanged classes";

function imageCard(row, rank) {
  const src = row.picture.src.split("/").map(encodeURIComponent).join("/");
  const picture = h("img", { src, alt: `${row.image_id}: picture, label and prediction`, loading: "lazy", decoding: "async",
    onerror: () => picture.replaceWith(h("div", { class: "no-picture" }, `The picture ${row.picture.src} is not beside this page`)) });
  const fault = row.fault !== null && row.fault >= FAULT_FROM;
  return h("li", { class: fault ? "image-row fault" : "image-row" },
    h("a", { class: "image-strip", href: src, target: "_blank", rel: "noopener", "aria-label": `Open the picture of ${row.image_id}` }, picture),
    h("div", { class: "image-words" },
      h("span", { class: "image-name" }, h("span", { class: "number" }, `${rank}`), " ", h("bdi", {}, row.image_id)),
      h("p", {}, row.reason),
      howWrong(row, fault),
      row.findings ? h("button", { type: "button", class: "quiet", onclick: () => onlyImage(row.image_id) }, `See its ${plural(row.findings, "finding")}`) : null));
}

// The same figures, under the same names, as on the command line and in images.parquet.
function howWrong(row, fault) {
  const noun = BOXES ? "boxes" : "regions";
  if (fault) return h("span", { class: "score", title: `fault probability ${row.fault}: that the label is wrong as a whole` },
    h("small", {}, "fault probability"), h("b", {}, probability(row.fault)), shareBar(row.fault, { strong: true, label: `fault probability ${probability(row.fault)}` }));
  if (row.expected_errors == null) return null;
  return h("span", { class: "score", title: `expected number of wrong ${noun}: their probabilities, added up` },
    h("small", {}, `wrong ${noun} expected`), h("b", {}, row.expected_errors.toFixed(1)));
}

function onlyImage(name) {
  const box = document.querySelector("#filters input[type=search]");
  if (!box) return;
  box.value = name;
  box.dispatchEvent(new Event("input", { bubbles: true }));
  byId("wall").scrollIntoView();
}

function showImages() {
  const rows = DATA.images || [];
  if (!rows.length) return;
  const faults = rows.filter((row) => row.fault !== null && row.fault >= FAULT_FROM);
  const learned = rows.some((row) => row.fault !== null);
  const q = DATA.summary.image_quality || {};
  const number = Math.max(q.suspect || 0, faults.length);
  const part = number > faults.length ? ` The first ${whole(faults.length)} are shown here.` : "";
  const said = number
    ? `${BOXES ? `The labels of ${plural(number, "image")} look` : plural(number, "label looks", "labels look")} wrong as a whole: ${FAULTS}.${part}`
    : learned ? `${BOXES ? "The labels of no image look" : "No label looks"} wrong as a whole (${FAULTS}).` : "";
  const measured = q.auroc ? ` Such faults, planted into labels of images that the classifier had not seen, are told from the labels as given with an AUROC of ${q.auroc.toFixed(2)}.` : "";
  const list = h("ol", { class: "image-rows" });
  const show = (n) => list.replaceChildren(...rows.slice(0, n).map((row, i) => imageCard(row, i + 1)));
  const first = Math.max(FEW_IMAGES, faults.length);
  show(first);
  const more = rows.length > first ? h("button", { type: "button", class: "quiet", id: "more-images",
    onclick: () => { show(rows.length); more.remove(); } }, `Show ${plural(rows.length - first, "more image")}`) : null;
  const shown = (n) => (n < 1 ? n.toFixed(1) : n.toFixed(0));
  const expected = q.expected != null && learned ? ` Of all ${plural(DATA.summary.images, "image")}, about ${shown(q.expected)} are expected to have such a fault.` : "";
  byId("images-body").append(h("p", { class: "muted" }, `${said}${expected}${measured} All images are in images.parquet, most suspect first.`), list, ...(more ? [more] : []));
  byId("images").hidden = false;
}
