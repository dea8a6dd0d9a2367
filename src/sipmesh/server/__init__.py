"""A running server: it carries out what `routing` decides, over the links of `transport`.

`service` runs the servers that one command names. `running` is one of these servers. `wiring` chooses its role in the
control plane. Each sub-package has one duty, and a higher one imports a lower one: `admin`, then `agent`, `management` and
`refresh`, then `replication`, `running`, `certificates`, `proxy`, `quotas`, `in_force`.
"""
