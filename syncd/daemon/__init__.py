"""The daemon: runs on schedule, answers who asks, tells people what is wrong."""
