"""The rtpengine of this host: its control socket, and the calls that it has of ours."""
