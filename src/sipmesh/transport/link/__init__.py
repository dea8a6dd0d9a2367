"""One link: its states, what waits to be written, how long it may go on, and the end of a refused connection."""
