-- Step 4: operators, who ask `hub serve` over HTTP.

create table operator (
  name text primary key,
  role text not null check (role in ('reader', 'publisher', 'admin')),
  token_sha256 bytea not null unique,
  made timestamptz not null default now(),
  -- To the minute.
  last_used timestamptz
);
