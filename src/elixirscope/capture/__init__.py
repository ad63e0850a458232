"""Runs the program to record. The way in is `recorder.record`."""
