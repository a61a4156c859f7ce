//! The shop's catalogue: a SQLite file with products, their pictures and descriptors; and the search over it.
