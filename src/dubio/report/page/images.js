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
      h("span", { class: "score", title: `suspicion ${row.score}; from 0.5 on the label looks wrong as a whole` },
        h("small", {}, "suspicion"), h("b", {}, probability(row.score)), shareBar(row.score, { strong: true, label: `suspicion ${probability(row.score)}` })),
      row.findings ? h("button", { type: "button", class: "quiet", onclick: () => onlyImage(row.image_id) }, `See its ${plural(row.findings, "finding")}`) : null));
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
  const said = faults.length
    ? `${BOXES ? `The labels of ${plural(faults.length, "image")} look` : plural(faults.length, "label looks", "labels look")} wrong as a whole: ${FAULTS}.`
    : learned ? `${BOXES ? "The labels of no image look" : "No label looks"} wrong as a whole (${FAULTS}).` : "";
  const measured = q.auroc ? ` Such faults, planted into labels of images that the classifier had not seen, are told from the labels as given with an AUROC of ${q.auroc.toFixed(2)}.` : "";
  const list = h("ol", { class: "image-rows" });
  const show = (n) => list.replaceChildren(...rows.slice(0, n).map((row, i) => imageCard(row, i + 1)));
  const first = Math.max(FEW_IMAGES, faults.length);
  show(first);
  const more = rows.length > first ? h("button", { type: "button", class: "quiet", id: "more-images",
    onclick: () => { show(rows.length); more.remove(); } }, `Show ${plural(rows.length - first, "more image")}`) : null;
  byId("images-body").append(h("p", { class: "muted" }, `${said}${measured} All images are in images.parquet, most suspect first.`), list, ...(more ? [more] : []));
  byId("images").hidden = false;
}
