"""Notices: people are told once of what is wrong or waits for a decision, never at the expense of a run.

`watch` finds out what is news and puts it into the outbox, in one transaction. `sender` delivers the outbox by webhook
and e-mail, each channel at its own pace. It refuses to follow redirects, to send over an unverified connection, and to
repeat an address or a password in the log.
"""
