"""The shelf of kinds of things that documents state: every module here exports KIND."""
