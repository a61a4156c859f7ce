-- Schema 4: worn views, what the network saw of a product on a person before the mirror; and what staff said of answers. Numbers,
-- never a picture.

-- Somebody put on one product or several and turned before a mirror.
create table enrolment (
  -- Counted from 1, never used twice.
  number integer primary key autoincrement,

  -- The same on every mirror of the shop: 32 hexadecimal digits, drawn by chance.
  uid text not null unique check (length(uid) = 32),

  -- UTC, RFC 3339.
  made text not null,

  -- What saw it, without passwords: "v4l2:///dev/video0", a clip's name.
  camera text not null,

  -- The model that made the descriptors, as in the table model. Those of another one than the catalogue's are kept and not used.
  model_name text not null,
  descriptor_hash text not null,
  embedding integer not null check (embedding between 1 and 65536)
) strict;

-- One moment of one product in it. A product that the feed no longer has keeps its views: it may come back.
create table worn_view (
  enrolment integer not null references enrolment (number) on delete cascade,

  -- The id of the feed's row: the colour that was worn.
  product_id text not null check (product_id <> ''),

  -- From 0; the first are the best choice of so many.
  position integer not null,

  -- Index into the model's class names.
  class integer not null,

  -- Softmax probability of the class, 0 to 1.
  score real not null check (score between 0 and 1),

  -- How sharp the garment was in the picture, beside the sharpest of the same enrolment: 0 to 1.
  sharpness real not null check (sharpness between 0 and 1),

  -- As in descriptor.
  match_embedding blob not null,
  aggregation_embedding blob not null,

  primary key (enrolment, product_id, position)
) strict, without rowid;

create index worn_view_by_product on worn_view (product_id);

-- What staff said of an answer of the mirror.
create table correction (
  id integer primary key,

  -- The hour, UTC: "2026-11-27T18". No nearer time is kept.
  hour text not null check (length(hour) = 13),

  -- The part of the body; null where it was not known.
  region text check (region in ('upper', 'lower', 'dress')),

  -- The product that was shown first; its logit and what was said of it.
  shown_id text not null,
  logit real not null,
  verdict text not null check (verdict in ('none', 'similar', 'likely')),

  -- 'right'; 'other': it was meant_id; 'not_ours': the shop does not sell it.
  judgement text not null check (judgement in ('right', 'other', 'not_ours')),
  meant_id text check ((meant_id is not null) = (judgement = 'other')),

  descriptor_hash text not null
) strict;
