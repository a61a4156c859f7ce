-- The catalogue: what the shop sells, its pictures, and what the network saw in them.
--
-- The feed is the catalogue: an import leaves exactly the feed's products here. Pictures are kept by content, so that a
-- picture that was renamed, or that two products share, is embedded once.
--
-- pragma application_id is 0x56545241 ("VTRA") and pragma user_version counts the schema; store.rs sets both.
-- This is schema 1; the files schema-2.sql and up change it.

-- The model whose descriptors these are. No row before the first import; then exactly one.
create table model (
  -- Always 1.
  id integer primary key check (id = 1),

  -- The name in the model's manifest, for people.
  name text not null,

  -- The manifest's hash of all that makes a descriptor: graphs, weights, input size. Descriptors of two models with
  -- different hashes cannot be compared.
  descriptor_hash text not null,

  -- Values in one embedding, by either head.
  embedding integer not null check (embedding between 1 and 65536)
) strict;

-- One row of the feed. Texts are the feed's own, trimmed, control characters replaced by spaces; null where the feed has
-- none. The column names are Google Merchant's.
create table product (
  -- The shop's own identifier.
  id text primary key not null check (id <> ''),

  -- Order in the feed, from 0. An index's product ordinals follow it. A removed product leaves a gap.
  position integer not null,

  title text not null,

  -- Where the main picture is, as the feed says it: a path under the picture folder, or a URL.
  image_link text not null,

  -- Further pictures, joined by commas as in the feed; null for none.
  additional_image_link text,

  -- "19.90 EUR": shown as it is, never computed with.
  price text,

  brand text,
  color text,
  size text,

  -- "in_stock", "out_of_stock", ...: not checked against Google's list.
  availability text,

  -- The shop's own category path, such as "Women > Dresses".
  product_type text,

  -- The product's page; what the screen's QR code says.
  link text,

  -- The same for all sizes and colours of one garment.
  item_group_id text
) strict, without rowid;

create index product_by_position on product (position);

-- One picture file by its content.
create table content (
  id integer primary key,

  -- SHA-256 of the file's bytes.
  sha256 blob not null unique check (length(sha256) = 32),

  -- A JPEG of at most 480 pixels on its long side, so that the screen needs no picture folder.
  thumbnail blob not null
) strict;

-- What the network saw in a picture: its one garment.
create table descriptor (
  content_id integer primary key references content (id) on delete cascade,

  -- Index into the manifest's class names.
  class integer not null,

  -- Softmax probability of the class, 0 to 1.
  score real not null,

  -- The garment's box in pixels of the original picture; x2 and y2 are exclusive.
  x1 real not null,
  y1 real not null,
  x2 real not null,
  y2 real not null,

  -- Embeddings by the single-image head and by the aggregator's head: model.embedding little-endian 32-bit floats each.
  match_embedding blob not null,
  aggregation_embedding blob not null
) strict;

-- Which pictures show a product. A picture that was refused or could not be read is not here, so positions may have gaps.
create table picture (
  product_id text not null references product (id) on delete cascade,

  -- 0 is image_link, then the additional ones in the feed's order.
  position integer not null,

  -- The link as the feed says it.
  source text not null,

  content_id integer not null references content (id),

  primary key (product_id, position)
) strict, without rowid;

create index picture_by_content on picture (content_id);

-- Pictures of the feed in which this model found no garment, so that a second import does not look again.
create table refusal (
  -- SHA-256 of the file's bytes.
  sha256 blob primary key not null check (length(sha256) = 32),

  -- What the first import said.
  reason text not null
) strict, without rowid;
