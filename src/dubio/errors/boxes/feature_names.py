"""Names of the features of a candidate box."""

from __future__ import annotations

# R is the box: a labelled one, or an object that the model sees and no label meets; g is the given class
# (that of the label nearby for a detection), c the proposed one. Lengths are relative to the box or image,
# confidences are shares of right detections at a score, so neither scale matters.
FEATURES = (
    "source",  # 0 labelled box, 1 detection
    "given",  # g, -1: nothing is labelled here
    "proposed",  # c
    "log_size",  # log of the root of area over image area
    "aspect",  # log of width / height
    "row",  # centre / height
    "borders",  # sides at the image border
    "size_off",  # log_size, in standard deviations of the class
    "aspect_off",
    "difficult",
    "occlusion",
    "truncation",
    "conf",  # confidence of the detection that shows R best
    "rank",  # its score as a share of the detections below it
    "rival",  # confidence of the best other class there
    "p_given",  # confidence that the place shows g
    "p_proposed",
    "iou_same",  # of a labelled box: see dubio.errors.boxes.passes
    "iou_any",
    "conf_same_30",
    "conf_same_50",
    "conf_same_75",
    "conf_other_50",
    "conf_other_75",
    "support_same",
    "support_any",
    "near_seen",
    "mass_within",
    "conf_around",
    "claimed",  # overlap of another label with the detection that shows R best, less R's own
    "twin_same",  # with the other labels
    "twin_any",
    "twin_cover",
    "twin_within",
    "n_within",
    "near_given",
    "met_same",  # of a detection: with the labels
    "met_any",
    "met_cover",
    "met_within",
    "met_near",
    "near_heads",  # with the other objects seen
    "under_iou",
    "under_conf",
    "heads_within",
    "head_around",
    "off_most",  # largest distance of a side of R from where the model (or the label) has it, in sides of R
    "off_mean",
    "off_centre",
    "off_size",  # log of area over the model's
    "off_sigma",  # largest distance in standard deviations, if the model tells them
    "sigma",  # standard deviation of the coordinates, in sides
    "iou_usual",  # iou_same less what is usual for the class, in its standard deviations
    "class_precision",  # share of the objects seen of class c that are labelled
    "class_recall",  # share of the labelled boxes of class g (or c) that the model confirms
    "class_confusion",  # share of the labelled boxes of class g that the model takes for c
    "class_share",
    "image_recall",  # share of the other labels that the model confirms in this image
    "image_precision",  # share of the other objects seen that are labelled in this image
    "image_class_precision",  # … of class c
    "image_mass",  # log of 1 + confidence of the unlabelled objects seen, added up
    "image_given",  # log of 1 + number of labels
    "suspect_missing",  # suspicion by ranks among the labels as given: see dubio.errors.boxes.label_free
    "suspect_spurious",
    "suspect_wrong_class",
    "suspect_location",
    "suspect_duplicate",
)
# They say which class, not how it is: a classifier that knew them would depend on the order of classes.
HIDDEN = ("given", "proposed")
INDEX = {name: k for k, name in enumerate(FEATURES)}
