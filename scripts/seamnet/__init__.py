"""SEAM Match-RCNN in PyTorch: definition, checkpoints, export, training.

In reading order: `config` (the numbers of a network), `preprocess` (picture to tensor), `boxes`
and `anchors` (box arithmetic), `trunk` and `heads` (layers), `network` (the whole, and how a
picture passes through it), `tracking` (section 8), `checkpoint` (loading by key), `graphs`,
`manifest` and `export` (model folders), `folder` (running one with onnxruntime), `parity`
(agreement with given answers), then `data`, `losses`, `train` and `evaluate`.

"section N" in this package means section N of docs/seam.md.
"""
