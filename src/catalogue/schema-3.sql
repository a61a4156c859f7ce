-- Schema 3: generations, so that an import can be undone; sale prices, stock and places.

-- What made the catalogue as it was at one time: an import, a removal, an undo. The newest is what is searched; the last few
-- are kept.
create table generation (
  -- Counted from 1, never used twice.
  number integer primary key autoincrement,

  -- UTC, RFC 3339.
  made text not null,

  -- For people: "import of feed.csv".
  source text not null,

  products integer not null,
  added integer not null,
  updated integer not null,
  removed integer not null
) strict;

-- One row of the feed as it was in some generations. A row that an import does not change stays as it is, whatever number of
-- generations it is part of. Texts are the feed's own, cleaned; null where the feed has none. The column names are Google
-- Merchant's.
create table product_version (
  -- The shop's own identifier.
  id text not null check (id <> ''),

  -- The first generation that has this row, and the first that no longer has it; null for what is searched now.
  since integer not null,
  until integer check (until > since),

  -- Order in the feed, from 0. An index's ordinals follow it. A removed product leaves a gap.
  position integer not null,

  title text not null,

  -- Where the main picture is, as the feed says it: a path under the picture folder, or a URL.
  image_link text not null,

  -- Further pictures, joined by commas as in the feed; null for none.
  additional_image_link text,

  -- "19.90 EUR".
  price text,

  -- The price while sale_price_effective_date lasts, an interval of ISO 8601; without one, always.
  sale_price text,
  sale_price_effective_date text,

  brand text,
  color text,
  size text,

  -- "in_stock", "out_of_stock", ...: not checked against Google's list.
  availability text,

  -- Pieces in stock: "3", or by size, "S=3, M=0".
  quantity text,

  -- Where in the shop it hangs.
  location text,

  -- The shop's own category path, such as "Women > Dresses".
  product_type text,

  -- The product's page; what the screen's QR code says.
  link text,

  -- The same for all sizes and colours of one garment: these are one product of the search.
  item_group_id text,

  -- The region that the texts name; null where they do not say it clearly. Then the class of the garment in the main picture
  -- decides.
  region text check (region in ('upper', 'lower', 'dress')),

  primary key (id, since)
) strict, without rowid;

-- Which pictures show a product. A picture that was refused or could not be read is not here, so positions may have gaps.
create table picture_version (
  product_id text not null,
  since integer not null,

  -- 0 is image_link, then the additional ones in the feed's order.
  position integer not null,

  -- The link as the feed says it.
  source text not null,

  content_id integer not null references content (id),

  primary key (product_id, since, position),
  foreign key (product_id, since) references product_version (id, since) on delete cascade
) strict, without rowid;

insert into generation (number, made, source, products, added, updated, removed)
  select 1, strftime('%Y-%m-%dT%H:%M:%SZ', 'now'), 'a vetrina that kept no history', count(*), 0, 0, 0 from product
  having count(*) > 0;
insert into product_version (id, since, position, title, image_link, additional_image_link, price, brand, color, size,
    availability, product_type, link, item_group_id, region)
  select id, 1, position, title, image_link, additional_image_link, price, brand, color, size,
    availability, product_type, link, item_group_id, region from product;
insert into picture_version select product_id, 1, position, source, content_id from picture;
drop table picture;
drop table product;
create unique index product_now on product_version (id) where until is null;
create index product_by_position on product_version (position) where until is null;
create index product_by_group on product_version (item_group_id) where until is null;
create index product_ended on product_version (until) where until is not null;
create index picture_by_content on picture_version (content_id);

-- The catalogue as it is now.
create view product as select * from product_version where until is null;
create view picture as
  select product_id, picture_version.position as position, source, content_id
  from product_version join picture_version on product_id = id and picture_version.since = product_version.since
  where until is null;

-- What an import was told and the next one needs: the column map.
create table setting (
  name text primary key not null,
  value text not null
) strict, without rowid;
