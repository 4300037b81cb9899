"""The figures, put together into the SQL of macros and views, and of the sums that are kept."""
