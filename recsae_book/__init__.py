"""What makes the book from the library: notebooks, editions, the scoreboard, verification and the command line.

It knows ``recsae_core``; the library knows nothing of it.
"""
