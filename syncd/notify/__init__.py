"""Notices: tell people once of each problem and each pending decision, never at the expense of a run.

`watch` finds the news and puts it into the outbox, in one transaction. `sender` delivers the outbox by webhook
and e-mail, each channel at its own pace. The package refuses to follow redirects, to send over an unverified
connection, and to repeat an address or a password in the log.
"""
