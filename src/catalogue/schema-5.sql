-- Schema 5: pictures of a detail.

-- 1: the picture shows a part of the product from near, a hem, a collar: its box is cut on two sides of the picture or fills it. Such a
-- picture is not searched where the product has another one. 0 also for what was embedded before this schema.
alter table descriptor add column detail integer not null default 0 check (detail in (0, 1));
