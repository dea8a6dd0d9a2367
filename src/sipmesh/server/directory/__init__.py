"""Users from the directory of the organisation: entries read by LDAP, compared with the users here, and the steps between both.

Only management has it. The LDAP library is in the extra ``directory``, and only `ldap_session` imports it.
"""
