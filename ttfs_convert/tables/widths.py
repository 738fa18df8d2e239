"""How wide texts are, in columns of letters."""

HELP = 100  # of the commands, at most
WITHOUT_WINDOW = 132  # of tables where nobody has a window: wide enough that none is cut
NARROWEST = 40  # of tables, whatever $COLUMNS says
