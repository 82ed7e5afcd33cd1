"""Names of the features of a candidate region, apart from the compiled code that measures them."""

from __future__ import annotations

# Features of a candidate; R is the region, g its given and c its proposed class, P the predicted
# component that covers most of R, L the label component that does.
FEATURES = (
    "source",  # 0 label component, 1 disagreement, 2 core of disagreement
    "given",  # g
    "proposed",  # c
    "log_size",  # log of pixels
    "image_share",  # pixels / image
    "aspect",  # log of box width / height
    "fill",  # pixels / box
    "edge_share",  # edge pixels / pixels
    "thickness",  # largest distance from the edge, pixels
    "row",  # box centre / height
    "at_border",  # touches the image border
    "p_given",  # mean probability of the label
    "p_given_std",
    "p_given_edge",  # on the edge of R
    "p_given_low1",  # share of pixels below 0.1, 0.3, 0.6
    "p_given_low3",
    "p_given_low6",
    "p_proposed",  # mean probability of c
    "entropy",
    "entropy_edge",
    "margin",
    "max_prob",
    "agree",  # share of R where the model has g
    "agree_proposed",  # share of R where it has c
    "p_share",  # |R n P| / |R|
    "p_cover",  # |R n P| / |P|
    "p_log_size",  # log |P|
    "p_agree",  # share of P where the label agrees
    "p_given_in_p",  # mean probability of the label over P
    "l_share",  # |R n L| / |R|
    "l_cover",  # |R n L| / |L|
    "l_log_size",  # log |L|
    "l_agree",  # share of L where the model agrees
    "seam",  # mean distance from the outline of the label, pixels
    "seam_max",
    "ring_given",  # around R: share with label g
    "ring_proposed",  # … with label c
    "ring_pred",  # … predicted c
    "ring_pred_given",  # … predicted g
    "ring_agree",  # … where model and label agree
    "ring_p",  # … mean probability of the label
    "edge_gradient",  # strength of image edges on the edge of R, NaN without the picture
    "inner_gradient",
    "colour_contrast",  # colour inside R against L's remainder, in standard deviations
    "image_agree",  # share of the image where model and label agree
    "image_p",  # mean probability of the label over the image
)
CATEGORICAL = ("source", "given", "proposed")
