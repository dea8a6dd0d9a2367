"""What is asked of calls: the media policy, and signatures of calls with partners."""
