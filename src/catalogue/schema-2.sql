-- Schema 2: regions of the body, so that a search for a jacket cannot return trousers.

-- The region that the product's texts name: upper, lower or dress; null where they do not say it clearly. Then the class of
-- the garment in the main picture decides.
alter table product add column region text check (region in ('upper', 'lower', 'dress'));

-- What the network saw in a picture, now once for each region that was looked for: where a model wears a jacket and
-- trousers, one picture shows two products.
create table descriptor_by_region (
  content_id integer not null references content (id) on delete cascade,

  -- The region of the product that was looked for; '' where that was not known and the largest garment was taken.
  region text not null check (region in ('', 'upper', 'lower', 'dress')),

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
  aggregation_embedding blob not null,

  primary key (content_id, region)
) strict;

insert into descriptor_by_region
  select content_id, '', class, score, x1, y1, x2, y2, match_embedding, aggregation_embedding from descriptor;
drop table descriptor;
alter table descriptor_by_region rename to descriptor;

-- Pictures of the feed in which this model found no garment, so that a second import does not look again.
create table refusal_by_region (
  -- SHA-256 of the file's bytes.
  sha256 blob not null check (length(sha256) = 32),

  -- As in descriptor.
  region text not null check (region in ('', 'upper', 'lower', 'dress')),

  -- What the first import said.
  reason text not null,

  primary key (sha256, region)
) strict, without rowid;

insert into refusal_by_region select sha256, '', reason from refusal;
drop table refusal;
alter table refusal_by_region rename to refusal;
