# Every text of the screen. A shop's theme may replace any of them.

## While nobody is there, or nothing can be shown

welcome = What are you wearing?
welcome-next = Step in front of the mirror to find it in this shop.
waking = One moment.
waking-next = The mirror is starting.
recording = Recording.
recording-next = This camera’s pictures are being stored.
away = Back in a moment.
away-next = The camera is not available right now.

## Below everything

privacy = Nothing is recorded. Pictures stay in this mirror’s memory and are deleted immediately.
privacy-screen-kept = The newest picture of this screen is kept in a file until the next replaces it.
privacy-recording = These pictures are kept. To avoid being recorded, please step out of view.

## While a garment is looked at

looking = Looking closely
looking-next = Turn a little: every side helps.
searching = Searching the shop
searching-next = Just a moment.

## What was found. The heading is the product's own title.

this-one = You are wearing this
close-to-it = Similar to what you wear
not-sold = Not in this shop
not-sold-next = Show another garment, or ask us for something like it.
not-sold-short = Not sold here
also = Also on you
also-like = Like what you wear
more-like-it = More like it

## The one thing to do next

scan = Scan it with your phone
find = You find it here
ask = Ask us: we bring it to you
staff-called = We are on our way to you

## On a product

few-left = Only a few left
other-colors = In stock in other colors
sold-out = Out of stock
# { $count } sizes have no room.
more-sizes = +{ $count }

## While staff enrol what they wear

enrol-consent = May we remember this garment?
enrol-consent-next = Only numbers that describe it are kept: no picture, nothing about you. Please tell us yes or no.
enrol-step-back = Step back: { $count }
enrol-turn = Turn around once.
enrol-turn-next = Good views: { $count } of { $wanted }
enrol-upper = upper garment
enrol-lower = lower garment
enrol-dress = dress
enrol-any = the most striking garment
enrol-change = If another garment is meant, tap its name.
