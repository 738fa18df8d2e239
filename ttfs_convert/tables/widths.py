"""How wide texts are, in columns of letters."""

HELP = 100  # of the commands, at most
WITHOUT_WINDOW = 132  # of tables where nobody has a window: wide enough that none is cut
HISTOGRAM = 56  # of the bars in a row of a table, at most
