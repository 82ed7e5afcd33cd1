// Puts the page together.

byId("meta").append(h("bdi", {}, DATA.title), ` · ${day(DATA.date)} · ${plural(DATA.images, "image")} · ${plural(DATA.labels, "labelled box", "labelled boxes")} · ${plural(DATA.detections, "detection")}, shown from a score of ${two(DATA.min_score)}`);
byId("tools").append(themeButton());
showSaid();
showWall();
showCurves();
showClasses();
showStated();
showWorth();
showRelated();
showCorners();
showCorruptions();
showNavigation();
showEnds("Labels and detections were only read. validation.parquet beside this page holds one row per box with every uncertainty, summary.json all figures.");
