"""The portal: the pages of one account, for the user who has signed in by the OpenID provider, a ticket or a link."""
