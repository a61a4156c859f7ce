-- Step 2: the number on a product's label.
alter table product add column gtin text;
