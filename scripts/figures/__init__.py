"""Drawn people in drawn or photographed clothes: training pictures and the demo shop, all from a seed.

In reading order: `util` (seeds, noise), `products` (what a garment is), `fabric`,
`sheet` and `texture` (what its cloth looks like), `canvas` (how a piece of cloth is painted), `body`
(skeleton and poses), `garment` (cloth laid on a skeleton), `worn` (a dressed figure), `flat`
(shop pictures), `scenery` and `camera` (what is around and between), `clip` (sequences),
`dataset` (training sets); `photo` (a garment's photo, measured), `photo_cut` and `photo_cloth` (its
product and its panels), `photo_shop`, `panorama` and `sources` (sets with real pictures);
`assortment`, `shop`, `stage` and `plays` (the demo shop).

Units: centimetres on the garment and the body, pixels on the picture. Colours are RGB,
0..255, until the file is written.
"""

CLASSES = (
    "short_sleeved_shirt",
    "long_sleeved_shirt",
    "short_sleeved_outwear",
    "long_sleeved_outwear",
    "vest",
    "sling",
    "shorts",
    "trousers",
    "skirt",
    "short_sleeved_dress",
    "long_sleeved_dress",
    "vest_dress",
    "sling_dress",
)
"""The 13 classes of DeepFashion2; class id = index + 1."""
