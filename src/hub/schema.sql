-- The hub's tables. Steps of the schema are only ever added (database.rs).

create extension if not exists vector;

-- Models that pictures are embedded by. One of them is the one that is published.
create table model (
  -- The manifest's hash of all that makes a descriptor.
  hash text primary key,
  name text not null,
  -- Values in one embedding.
  embedding integer not null check (embedding between 1 and 15999),
  is_current boolean not null
);
create unique index model_current on model (is_current) where is_current;

create table shop (
  name text primary key,
  made timestamptz not null default now()
);

-- What all shops say of a product. The column names are Google Merchant's.
create table product (
  id text primary key,
  title text not null,
  link text,
  image_link text not null,
  additional_image_link text,
  brand text,
  color text,
  size text,
  product_type text,
  item_group_id text,
  -- The region of the body that the texts name: '' where they do not say it.
  region text not null
);

-- That a shop sells a product, at what price, and how many pieces it has.
create table offer (
  shop text not null references shop (name),
  product_id text not null references product (id),
  -- Order in the shop's feed; a product keeps its own.
  position bigint not null,
  price text,
  sale_price text,
  sale_price_effective_date text,
  availability text,
  quantity text,
  location text,
  primary key (shop, product_id)
);
create index offer_by_product on offer (product_id);

create table picture (
  product_id text not null references product (id),
  -- 0 is image_link, then the additional ones in the feed's order.
  position integer not null,
  -- The link as the feed says it.
  source text not null,
  sha256 bytea not null check (length(sha256) = 32),
  primary key (product_id, position)
);
create index picture_by_content on picture (sha256);

-- A picture by its content: a JPEG of at most 480 pixels.
create table content (
  sha256 bytea primary key check (length(sha256) = 32),
  thumbnail bytea not null
);
alter table content alter column thumbnail set storage external;

-- What a network saw in a picture, for each region that was looked for and each head: an embedding with its bias
-- (weight . embedding^2) as the last element, so that the logit of a search is an inner product.
-- Partitioned by model, then by the region of the garment that was found, then by head.
create table view (
  model text not null references model (hash),
  body text not null check (body in ('', 'upper', 'lower', 'dress')),
  sha256 bytea not null,
  -- The region that was looked for; '' where that was not known.
  wanted text not null,
  head text not null check (head in ('match', 'aggregation')),
  class integer not null,
  score real not null,
  x1 real not null,
  y1 real not null,
  x2 real not null,
  y2 real not null,
  -- It shows a part of the product from near.
  detail boolean not null,
  embedding vector not null,
  primary key (sha256, wanted, head, model, body)
) partition by list (model);
-- Read as a whole by every exact search: not to be compressed or moved out of the row.
alter table view alter column embedding set storage plain;

-- Pictures in which a model found no garment.
create table refusal (
  model text not null references model (hash),
  sha256 bytea not null,
  wanted text not null,
  reason text not null,
  primary key (sha256, wanted, model)
);

-- Pictures that wait for a worker. A worker locks the rows that it works on: if it dies, they are free again.
create table job (
  sha256 bytea not null,
  wanted text not null,
  -- For people: the file's name.
  name text not null,
  bytes bytea not null,
  queued timestamptz not null default now(),
  primary key (sha256, wanted)
);
alter table job alter column bytes set storage external;
create index job_by_age on job (queued);

create table release (
  shop text not null references shop (name),
  number bigint not null,
  made timestamptz not null default now(),
  state text not null,
  products bigint not null,
  -- The share of the shop's mirrors that it is given to, percent; those that do not say who they are get what is complete.
  share integer not null check (share between 0 and 100),
  -- Since when it is given to so many.
  share_since timestamptz not null default now(),
  -- Why it is not given to more.
  stopped text,
  primary key (shop, number)
);

create table mirror (
  name text primary key,
  shop text not null references shop (name),
  -- Of its key.
  token_sha256 bytea not null unique,
  joined timestamptz not null default now(),
  revoked timestamptz,
  last_seen timestamptz,
  -- The newest report, as JSON.
  heartbeat text,
  address text
);

-- One-time codes.
create table enrolment (
  code_sha256 bytea primary key,
  shop text not null references shop (name),
  mirror text not null,
  expires timestamptz not null
);

-- Enrolments of worn views, as mirrors sent them: numbers, never a picture.
create table worn (
  -- The same on every mirror.
  uid text primary key,
  mirror text not null,
  received timestamptz not null default now(),
  model text not null,
  -- The products that were worn.
  products text[] not null,
  -- As `vetrina catalogue worn export` writes it.
  line text not null
);
alter table worn alter column line set storage external;

-- Who did what. Never changed.
create table audit (
  at timestamptz not null default now(),
  actor text not null,
  action text not null,
  detail text not null
);
