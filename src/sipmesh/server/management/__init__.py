"""The control plane on the management server: publishing, certificate renewal, root rotation, status of all servers.

`controller` has the links and messages. `offers` is what others are given, `report_receiver` reads what they report, `network`
knows which servers are behind.
"""
