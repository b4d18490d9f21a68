"""Abseil's libraries: 45 small ones, and loading them takes longer than all else that a small program does before main()."""

load("@zdd//third_party:system_library.bzl", "system_library")

def absl_library(**kwargs):
    """Like system_library, but an optimized program gets the archives: it starts in half the time."""
    system_library(archives_in_opt = True, **kwargs)
