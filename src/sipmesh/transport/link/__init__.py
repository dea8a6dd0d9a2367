"""One link: its states, its queue of messages, its deadlines, and the end of a refused connection."""
