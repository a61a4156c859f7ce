-- Schema 6: how clearly a judged answer stood out.

-- The logit of the product that was shown first less that of the next one; null where there was no next one, and for what was said
-- before this schema. The margins of wrong answers are counted among those of strangers.
alter table correction add column margin real;
