-- Schema 7: the number on a product's label.

-- GTIN (EAN, UPC, ISBN) as the feed says it; several with commas between them; null where the feed has none, and for what was imported
-- before this schema.
alter table product_version add column gtin text;
