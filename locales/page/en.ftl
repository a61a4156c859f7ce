# Every text of the page for staff. What the mirror reports of faults and imports is in locales/reports/. A text is one line, and its
# only placeables are values, { $count }: where a language needs plurals, the text is worded without them.

## Everywhere

mirror-silent = The mirror does not respond.
mirror-answers = The mirror answers { $status }.
to-mirror = The mirror’s page
to-counts = Counts and audit log
to-staff = Enrol and correct
unknown = unknown
search-products = Search by id, title, brand or type
cancel = Cancel

## The state

connecting = Connecting to the mirror
state-starting = starting
state-running = running
state-degraded = running, but something is wrong
state-stopping = stopping

## What the camera sees

camera-sees = What the camera sees
live-picture = The camera’s picture, live
view-full = Not mirrored, not recorded.
view-blurred = Not mirrored, not recorded, blurred (privacy.live_view).
view-off = The live picture is switched off (privacy.live_view).
garments = Recognized garments
nobody = Nobody is in view.
garment-track = { $garment }, track { $track }
gathered = { $gathered } of { $wanted } frames gathered
no-price = no price
price-before = { $price }, before { $before }

## The catalogue

catalogue = Catalogue
found = { $count } products
found-first = { $count } products, the first { $shown } are shown

## An import

import = Import a feed
feed-here = Feed in the mirror’s folder
feed-sent = or a feed from this computer (CSV, TSV, XML, JSON, XLSX; Google, Shopify, WooCommerce)
pictures-sent = and a zip of its pictures, if they are not in the mirror’s folder
feed-more = More about the feed
feed-currency = Currency of prices that have none, such as EUR (empty: as before)
feed-map = Columns that have other names, such as id=SKU,title=Name,image_link=Photo (empty: as before)
feed-fetch = Fetch missing pictures from the addresses in the feed. The mirror then calls these servers by https; they learn its address and which pictures it wants, and nothing else.
show-changes = Show what would change
apply = Apply
stop = Stop
sending = Sending { $file }: { $percent } %
removals = Remove the products that the feed does not have: { $count }
import-reading = { $feed }: reading the feed
import-new-pictures = { $feed }: new pictures { $done } of { $all }
import-read-pictures = { $feed }: pictures read { $done } of { $all }
import-failed = { $feed } cannot be imported, the catalogue is unchanged: { $fault }
import-cancelled = { $feed }: cancelled, the catalogue is unchanged
import-preview = { $feed } would make { $products } products ({ $counts }); { $pictures } pictures are new. Nothing is changed yet.
import-done = { $feed }: { $products } products ({ $counts })
import-counts = { $added } added, { $updated } updated, { $unchanged } unchanged, { $removed } removed
change-added = new: { $id }, { $title }
change-updated = changed: { $id } ({ $fields })
change-removed = removed: { $id }, { $title }
more-changes = and { $count } more
skipped = Skipped: { $count }
skipped-row = line { $line }: row skipped: { $reason }
skipped-picture = line { $line }: picture skipped: { $reason }
history = History
bring-back = Bring back
brought-back = The catalogue has { $count } products again ({ $source }).

## Figures

figures = Figures
counters = All counters
log = Log
figure-rate = recognized frames per second
figure-products = products
figure-uptime = uptime, hours
figure-drawn = screen last drawn, seconds ago
figure-memory = memory, MB
figure-temperature = temperature, °C
figure-throttled = recognition throttled
not-throttled = no
throttled-to = to 1/{ $share }
figure-screen = screen
screen-dark = dark
screen-on = on

## The counts

counts = Counts
the-last = Range
day-1 = 1 day
days-7 = 7 days
days-30 = 30 days
days-90 = 90 days
hours-csv = hours as CSV
products-csv = products as CSV
totals = In all
people = People
garments-of = Garments
matched = matched
refused = not in the catalogue
by-hour = People by hour of the day
products = Products
product = product
product-title = title
shown = shown
audit = Who looked, and who changed something
count-people = people
count-dwell = stayed, seconds each
count-matched = garments matched
count-shown = products shown
count-calls = calls for staff
chart-range = { $from } to { $to }: { $sums }
chart-bar = { $label }: { $value } { $kind }
confirmed-csv = confirmed answers as CSV
confirmed = As staff confirmed
confirmed-none = No answer was judged in this range.
week = week
garment = garment
judged = judged
precision = share right
likely-right = right of those called likely
kept-for = nobody is known; kept for { $days } days
audit-whole = unchanged; lines shown: { $count }
audit-broken = Changed or damaged at line { $lines }

## Staff

staff = Staff
enrol = Wear a product before the mirror
enrol-how = Put it on, choose it here, and turn round once before the mirror. From then on it is recognized better.
search-title = Search by id, title or label number (EAN)
scan-code = Scan its code with the mirror’s camera
scan-foreign = The code that the camera sees is of no product of this shop.
scan-none = The camera sees no code: hold it nearer.
enrol-chosen = Enrol what is chosen
worn-as-catalogue = worn as the catalogue says
choose = choose
worn-views = { $count } worn views
not-worn = not worn yet
consent = For each product up to eight lists of numbers that describe the garment are kept, with time and camera. No picture is kept, and nothing about the person.
agrees = Does whoever wears it agree?
agree = Yes, begin
refuse = No
step-back = Step back: { $seconds }
turn-round = Turn round once: { $seconds } s at most
one-moment = One moment
region-upper = upper garment
region-lower = lower garment
region-dress = dress
region-any = the most prominent garment
good-frames = { $good } of { $wanted } good frames
not-seen = not in the picture
undo-it = Undo it
undone = Enrolment { $number } is undone.
needs-password = Set web.password: without one nothing can be enrolled or corrected.
answers = Was the mirror right?
answers-how = The last twenty answers, ten minutes at most. Kept of what you say: both products, the score and the hour. No picture.
keep-seen = also keep what was seen of a confirmed product, as numbers
seconds-ago = { $seconds } s ago
judge-right = right
judge-other = it was what I chose above
judge-none = not ours
take-back = take it back
other-shops = in other shops?
other-shops-none = No other shop has anything like it.
choose-one = Choose the one product that it was, above.
thanks = thank you

## What the mirror reports, by its kind: audit log, who, verdicts, garments, faults ({ $detail }: locales/reports/)

audit-start = mirror started
audit-login = logged in
audit-login_refused = wrong password
audit-live_view = looked at the live picture
audit-staff_crop = looked at pictures of the last garments
audit-record = recorded the camera
audit-match_picture = sent a picture to be matched
audit-import = began the import of a feed
audit-undo = brought an older catalogue back
audit-remove = removed a product
audit-enrol = enrolment of a product:
audit-undo_enrol = took an enrolment back:
audit-correct = corrected an answer
audit-take_back = took a correction back:
who-owner = owner
who-staff = staff
who-program = program
who-command-line = command line
who-mirror = mirror
who-unknown = unknown
verdict-none = not in the catalogue
verdict-similar = similar
verdict-likely = likely
class-short_sleeved_shirt = short sleeved shirt
class-long_sleeved_shirt = long sleeved shirt
class-short_sleeved_outwear = short sleeved outwear
class-long_sleeved_outwear = long sleeved outwear
class-vest = vest
class-sling = sling
class-shorts = shorts
class-trousers = trousers
class-skirt = skirt
class-short_sleeved_dress = short sleeved dress
class-long_sleeved_dress = long sleeved dress
class-vest_dress = vest dress
class-sling_dress = sling dress
fault-camera = The camera gives no picture: { $detail }
fault-screen = The screen cannot be seen: { $detail }
fault-reload = The new settings were refused: { $detail }
fault-network = The wanted network does not run: { $detail }
fault-catalogue = The catalogue cannot be read or renewed: { $detail }
