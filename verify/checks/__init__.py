"""The checks of `specalign verify`: statements about a system, judged against evidence."""
