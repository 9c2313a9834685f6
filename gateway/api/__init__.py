"""The management API: its resources of the gateway, its addresses and its document."""
