-- Step 3: what staff said of the mirrors' answers.

create table correction (
  mirror text not null,
  -- Among the mirror's own.
  uid text not null,
  received timestamptz not null default now(),
  -- UTC: "2026-11-27T18". No nearer time is sent.
  hour text not null check (length(hour) = 13),
  region text check (region in ('upper', 'lower', 'dress')),
  -- The product that was shown first; its logit, how clearly it stood out, and what the mirror said of it.
  shown text not null,
  logit real not null,
  margin real,
  verdict text not null check (verdict in ('none', 'similar', 'likely')),
  judgement text not null check (judgement in ('right', 'other', 'not_ours')),
  meant text check ((meant is not null) = (judgement = 'other')),
  -- Hash of the model.
  model text not null,
  primary key (mirror, uid)
);
create index correction_by_hour on correction (mirror, hour);
