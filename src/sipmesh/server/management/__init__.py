"""The control plane on the management server: publishing, certificate renewal, root rotation, status of all servers.

`controller` has the links and messages. `offers` has the documents for other servers. `report_receiver` reads their reports.
`network` knows which servers are behind.
"""
