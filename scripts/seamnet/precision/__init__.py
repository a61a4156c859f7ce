"""A model folder's graphs in fp16 and int8, and what they cost in accuracy."""
