"""Signing in by an OpenID provider, and its access tokens as credentials. `tokens` and `configuration` know no Django: the data plane uses them."""
