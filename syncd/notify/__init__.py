"""Notices: who is told of what is wrong or waits for somebody, once, and never at the expense of a run."""
