"""SEAM Match-RCNN in PyTorch: definition, model folders, training and measurement.

- `model`: the network (`config`, `preprocess`, `detection`, `network`).
- `folder`: model folders and checkpoints (`manifest`, `export`, `weights`, `runtime`).
- `precisions`: fp16 and int8 graphs, and what they cost in accuracy.
- `train`: data (`data`, `worn`, `augment`, `views`, `features`), what is learned (`losses`, `detector`, `match`, `adapt`,
  `aggregation`), and how (`loop`, `recipe`).
- `check`: `agreement`, accuracy (`evaluate`), what adapting to a shop brings (`learning`), time (`timing`).

Rooms import downwards: `train` and `check` use `model` and `folder`, never the reverse.
"section N" in this package means section N of docs/seam.md.
"""
