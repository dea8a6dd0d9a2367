"""What is asked of calls: the media policy, which may end them, and signatures of calls with partners."""
