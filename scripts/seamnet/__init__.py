"""SEAM Match-RCNN in PyTorch: definition, model folders, training and measurement.

- `model`: the network (`config`, `preprocess`, `boxes`, `trunk`, `heads`, `network`).
- `folder`: model folders and checkpoints (`weights`, `export`, `manifest`, `runtime`).
- `precision`: fp16 and int8 graphs.
- `train`: data, losses and the stages of training.
- `check`: accuracy, agreement and time.

Rooms import downwards: `train` and `check` use `model` and `folder`, never the reverse.
"section N" in this package means section N of docs/seam.md.
"""
