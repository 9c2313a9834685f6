"""The portal's pages about people: signing in, sessions, requests and approvals. Thin: every write is an action, every read goes through access."""
