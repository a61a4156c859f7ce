-- Schema 8: an undo is one row.

-- For an undo: the generation that it brought back; the rows of that one are its own as well. Null for any other, and for an undo once the
-- change after it has written them as the undo's own.
alter table generation add column restores integer;

-- The catalogue as it is now: the rows of the newest generation, or of the one that it restores.
drop view picture;
drop view product;
create view product as
  select * from product_version
  where since <= (select coalesce(restores, number) from generation order by number desc limit 1)
  and (until is null or until > (select coalesce(restores, number) from generation order by number desc limit 1));
create view picture as
  select product_id, picture_version.position as position, source, content_id
  from product join picture_version on product_id = id and picture_version.since = product.since;

-- Rows that are no longer the newest can be the catalogue as it is now.
drop index product_by_position;
drop index product_by_group;
create index product_by_group on product_version (item_group_id) where item_group_id is not null;
