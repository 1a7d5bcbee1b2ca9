"""What the makers of an API have to change, by the name of the probe that failed."""

from ksi_pipeline.connectors.hourly_api import LONGEST_URL

REMEDIES = {
    "answer": "Answer GET with status 200, with the Bearer token in the header Authorization.",
    "bare_list": "Send the JSON list itself: no object around it, no page, no error text.",
    "rows": 'Send time, ext_ref_code as text ("0001") and num_tickets as a whole number from 0.',
    "hours": "Send for each row the start of its hour with the UTC offset, inside what was asked.",
    "duplicate_hour": "Send one row for each code and hour; in the autumn hour that comes twice, "
    "the offset tells the two apart.",
    "repeated_keys": "Read every ext_ref_codes of the query, not only the first or the last.",
    "inclusive_end": "Read fromTime and toTime as instants, toTime included: 10:59:59 leaves the "
    "hour of 11:00 out.",
    "plus_offset": "Read %2B in a time as +, and compare instants, not texts: the same window is "
    "the same at any offset.",
    "spring_day": "Answer a day of 23 hours: its skipped hour has no row.",
    "autumn_day": "Answer a day of 25 hours: the hour that comes twice has two rows, which "
    "differ in their offset.",
    "empty_list": "Where there is nothing, send 200 and [], not 404, 204 or null.",
    "unknown_code": "Leave out a code that you do not know, and answer the others.",
    "same_twice": "Give the same question the same rows; a corrected hour keeps its one row.",
    "longest_window": "Answer seven days within 30 seconds, and better within 10.",
    "wrong_token": "Answer 401 to a token that is wrong; sales are open to anybody otherwise.",
    "no_token": "Answer 401 where the header Authorization is missing; sales are open to anybody "
    "who knows the address otherwise.",
    "long_url": f"Accept a URL of {LONGEST_URL} characters.",
}

# of any probe whose answer repeats the token
ECHO_REMEDY = "Never repeat the token in an answer: it ends up in files and logs of whoever asks."
