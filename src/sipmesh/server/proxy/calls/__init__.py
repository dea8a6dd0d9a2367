"""What is asked of calls: the media policy, signatures of calls with partners, and senders who hide."""
